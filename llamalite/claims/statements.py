"""Every measurable claim of the paper that this project sets out to show, by a stable id.

P pretraining, S supervised fine-tuning, R reward models, L the RLHF loop, G Ghost Attention,
E evaluation, F safety ("first, do no harm"), D discussion, W real weights and data.
"""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """What the paper says, and where."""

    id: str
    paper: str
    """Section, table or figure."""
    statement: str


_TEXT = """
P1 | 2.1 | up-sampling the most factual sources raises knowledge and dampens hallucination
P2 | fig 5 | at equal tokens larger models reach lower loss, and none has saturated
P3 | table 3 | the v2 recipe (more tokens, doubled context, new mix) beats the v1 recipe on every
    benchmark group
P4 | tables 16, 17 | doubling the context helps long-input tasks a lot and leaves short tasks as
    they were
P5 | table 18 | at equal parameters grouped-query attention is about as good as multi-head and
    better than multi-query on average
P6 | fig 24 | grouped- and multi-query attention shrink the KV cache by heads/kv-heads exactly and
    sustain larger batches; throughput at large batch is higher
P7 | table 1 | parameter counts and KV-cache bytes of 7B, 13B, 34B and 70B
P8 | table 2 | the carbon table follows from GPU hours, power, PUE and grid intensity
P9 | 2.1 | removing sites rich in personal data removes memorised personal data
P10 | table 9 | the corpus audit finds the pronoun, person and demographic skew that is there
P11 | 4.1 | the toxicity audit finds the small toxic share; leaving it in helps the model tell
    toxic from not with few examples
P12 | table 10 | a corpus that is mostly one language serves the others worse
P13 | A.6 | contamination analysis finds planted contamination, and only it
S1 | 3.1 | fewer, better examples beat many third-party ones
S2 | 3.1 | different vendors lead to markedly different models, and the data checks tell which
S3 | 3.1 | model samples become competitive with human-written answers
R1 | table 8 | reward-model accuracy falls with the rating: significantly > better > slightly >
    negligibly
R2 | table 28, fig 27 | the margin term helps, most on the distinct pairs; a larger margin makes
    scores more bimodal
R3 | table 7 | each reward model is best on its own domain
R4 | 3.2.2 | one reward model for both does worse than two: helpfulness and safety pull apart
R5 | table 29 | the safety auxiliary loss raises recall of unsafe replies
R6 | table 7 | our reward models beat outside judges on the in-domain test
R7 | fig 6 | accuracy grows with model size at equal data, and with cumulative batches, without
    plateau
R8 | fig 29 | reward-model score rises with graders' Likert quality: usable point-wise
R9 | 3.2.2 | a reward model goes stale on the newest policy's samples; fresh batches restore it
R10 | fig 25 | as the models improve, more pairs are negligibly better
R11 | 3.2.2 | mixing in generic preference data does no harm in domain and helps out of domain
L1 | fig 7 | the maximum reward over N samples grows with N, the median does not
L2 | fig 8 | the best sampling temperature moves up after RLHF
L3 | 3.2.3 | selecting only from the last iteration forgets skills; keeping the best of all
    iterations does not
L4 | 3.2.3 | a smaller model trained on the larger model's selected samples beats one trained on
    its own
L5 | fig 11 | PPO on top of rejection sampling improves further
L6 | 3.2.3 | the KL penalty prevents reward hacking
L7 | 3.2.3 | the piecewise combination keeps safety while raising helpfulness, against either
    reward alone
L8 | fig 11 | from V1 to V5 the win rate against a fixed baseline climbs on both axes, above 50 %
    from V3
L9 | 3.2.3 | generation under sharding is many times slower; consolidating the weights once per
    iteration mends it
L10 | fig 20 | reward distributions shift right and lose their bad tail from SFT to V2
G1 | table 30 | with Ghost Attention instructions hold for 20 turns and more; without, they are
    lost after a few
G2 | 3.3 | Ghost Attention holds for instructions never trained on
G3 | fig 10 | with Ghost Attention, attention to the system message stays high late in the
    dialogue
E1 | 3.4.1 | the reward models agree with human ranking well enough to steer by; a general reward
    model shows no divergence
E2 | 3.4.2, 4.4 | rater agreement is low for close pairs and high for clear winners, and higher
    for safety than for helpfulness
E3 | 4.4 | our agreement statistics equal published worked examples
F1 | figs 14, 15 | more safety data: safety score up, bad tail thinner, helpfulness flat
F2 | fig 33 | false refusals rise with the share of safety data, far more on borderline prompts
    than on ordinary ones
F3 | fig 16a | context distillation raises safety scores, answer templates raise them more
F4 | fig 16b | the reward-model gate avoids the harm that distillation does to good answers
F5 | table 40 | distilling on helpful prompts makes answers vague and refusing
F6 | 4.3 | red teaming: violations per person-hour fall over rounds; most old successes no longer
    work on the next candidate
F7 | fig 18 | multi-turn conversations draw more unsafe replies
F8 | table 14 | chat tuning raises truthfulness, brings toxic output to about zero and lifts
    sentiment
F9 | fig 17 | violation rate and mean rating beat the baselines
D1 | fig 21 | RLHF flattens Self-BLEU against temperature for factual prompts and keeps diversity
    for creative ones
D2 | 5.1 | about 1,000 dated SFT examples teach the model to answer as of a date
D3 | table 15 | tool calls appear without ever being annotated, and calculators lift arithmetic
W1 | 2.2 | our implementation computes the same function as the reference on real GQA weights of
    the Llama architecture
W2 | table 8 | a safety reward model with human-scored replies ranks held-out human judgements,
    more so with the rating margin
W3 | fig 7 | best-of-N under that reward model lowers harm on real red-team prompts
W4 | table 30 | Ghost Attention on the real model holds a persona longer
W5 | 4.4 | raters' agreement on real triple-rated replies, AC1 and AC2
"""

CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(*line.split(" | ")) for line in _TEXT.replace("\n    ", " ").split("\n")[1:-1]
    )
}
"""All claims in the paper's order of chapters."""

GROUPS: dict[str, str] = {
    "P": "Pretraining",
    "S": "Supervised fine-tuning",
    "R": "Preferences and reward models",
    "L": "Rejection sampling and PPO",
    "G": "Ghost Attention",
    "E": "Evaluation",
    "F": "Safety tuning",
    "D": "Discussion",
    "W": "Real models and data",
}


def parse_ids(ids: str) -> list[str]:
    """Claim ids of a comma-separated list; "all" is every claim.

    Raises ValueError for an unknown id.
    """
    if ids.strip().lower() == "all":
        return list(CLAIMS)
    found = [word.strip().upper() for word in ids.split(",") if word.strip()]
    unknown = [word for word in found if word not in CLAIMS]
    if unknown or not found:
        named = ", ".join(unknown) or repr(ids)
        raise ValueError(f"no claim is called {named}; ids are P1 to W5, as in P1,P2, or all")
    return list(dict.fromkeys(found))
