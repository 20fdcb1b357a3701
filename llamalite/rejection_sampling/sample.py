"""N replies to every prompt, and what the reward models make of them. Llama 2, section 3.2.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llamalite.model.config import SamplingConfig
from llamalite.model.decoding import Decoder
from llamalite.model.generate import generate
from llamalite.model.transformer import Transformer
from llamalite.protocols import Dialogue, Prompt, Reward
from llamalite.rejection_sampling.candidates import Candidate
from llamalite.rejection_sampling.select import best_of_round
from llamalite.scoring import Scoring, alone, combined, score_replies
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer


def sample_candidates(
    model: Transformer | Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    n: int,
    temperatures: Sequence[float],
    max_new_tokens: int,
    top_p: float = 1.0,
    seed: int = 0,
    version: str = "",
    fingerprint: str = "",
) -> list[Candidate]:
    """`n` replies to each prompt, n / len(temperatures) at each temperature, prompt by prompt.

    The replies of a prompt at one temperature share one reading of it. The same seed gives the same
    replies. Raises ValueError when `n` does not divide, or a prompt leaves no room for a reply.
    """
    each = n // len(temperatures)
    if each * len(temperatures) != n:
        raise ValueError(
            f"{n} candidates do not divide among {len(temperatures)} temperatures; "
            f"choose a multiple of {len(temperatures)}"
        )
    encoded = [encode_prompt(tokenizer, prompt.messages) for prompt in prompts]
    found: list[list[Candidate]] = [[] for _ in prompts]
    for number, temperature in enumerate(temperatures):
        drawn = generate(
            model,
            encoded,
            SamplingConfig(max_new_tokens, temperature=temperature, top_p=top_p),
            eos_id=tokenizer.eos_id,
            n=each,
            seed=seed + number,
        )
        for mine, prompt, completions in zip(found, prompts, drawn, strict=True):
            mine += [
                Candidate(
                    prompt_id=prompt.id,
                    kind=prompt.kind,
                    is_safety=prompt.is_safety,
                    messages=tuple(
                        {"role": m["role"], "content": m["content"]} for m in prompt.messages
                    ),
                    text=tokenizer.decode(completion.ids).strip(),
                    finished=completion.finished,
                    version=version,
                    model=fingerprint,
                    temperature=temperature,
                    seed=seed + number,
                    index=index,
                )
                for index, completion in enumerate(completions)
            ]
    return [candidate for mine in found for candidate in mine]


def score_candidates(
    scoring: Scoring, candidates: Sequence[Candidate], at_once: int = 256
) -> list[Candidate]:
    """The candidates with their scores, in place of any they had.

    A reply's score is its own, whatever it is scored with. ValueError names prompts whose score is
    NaN or infinite.
    """
    scored: list[Candidate] = []
    for first in range(0, len(candidates), at_once):
        part = candidates[first : first + at_once]
        replies = [candidate.text for candidate in part]
        finished = [candidate.finished for candidate in part]
        scores = score_replies(scoring, part, replies, finished)
        ranks = combined(scoring, scores, part, replies).tolist()
        for i, (candidate, rank) in enumerate(zip(part, ranks, strict=True)):
            own = {name: values[i] for name, values in scores.items()}
            scored.append(replace(candidate, scores=own, score=rank))
    return scored


def best_replies(
    dialogues: Sequence[Dialogue], replies: Sequence[Sequence[str]], reward: Reward
) -> list[str | None]:
    """Each dialogue's best of its N replies by any scorer. Llama 2, section 3.2.3.

    Replies of whichever model, as text; N may differ between dialogues. None where a dialogue has
    no reply with text and without tags of the chat format. Raises ValueError when the two lengths
    differ, or a score is missing, NaN or infinite.
    """
    if len(dialogues) != len(replies):
        raise ValueError(
            f"{len(dialogues)} dialogues and {len(replies)} lists of replies; give one to each"
        )
    bag = [
        Candidate(f"{i}", "", False, tuple(map(dict, asked)), text, True, "", "", 1.0, 0, n)
        for i, (asked, texts) in enumerate(zip(dialogues, replies, strict=True))
        for n, text in enumerate(texts)
    ]
    found = best_of_round(score_candidates(alone(reward), bag)).chosen
    best = {candidate.prompt_id: candidate.text for candidate in found}
    return [best.get(f"{i}") for i in range(len(dialogues))]
