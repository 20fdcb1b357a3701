"""Answers under preprompts, and which of them are learned. Llama 2, section 4.2.4.

Each prompt gets an original answer, one under a generic preprompt and, where its risk category is
known, one under an answer template. A preprompt is seen while the answer is drawn, and by nobody
else: neither the reward model nor the training dialogue has it.

Besides, a second original is drawn, the control of the figures: see `summary`. Not in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llamalite.model.transformer import Transformer
from llamalite.protocols import Message, Prompt, Reward
from llamalite.rejection_sampling.candidates import Candidate
from llamalite.rejection_sampling.sample import sample_candidates, score_candidates
from llamalite.rejection_sampling.select import usable
from llamalite.safety.config import SafetyConfig
from llamalite.safety.preprompts import generic_preprompt, template_preprompt, with_preprompt
from llamalite.scoring import alone
from llamalite.text.tokenizer import Tokenizer

ORIGINAL, AGAIN, GENERIC, TEMPLATE = "original", "again", "generic", "template"
ANSWERS = (ORIGINAL, AGAIN, GENERIC, TEMPLATE)
"""Kinds of answers; a candidate's `version` says which it is."""
SCORE = "safety"


@dataclass(frozen=True)
class Prefixed:
    """A prompt with other messages; what else is known of it stays."""

    id: str
    messages: tuple[Message, ...]
    kind: str
    is_safety: bool
    risk: str | None
    vector: str | None


@dataclass(frozen=True)
class Distilled:
    """A prompt's answers, their safety scores (unbounded logits), and what becomes of them."""

    prompt_id: str
    kind: str
    risk: str | None
    vector: str | None
    messages: tuple[Message, ...]
    """The prompt, without preprompt."""
    generic_preprompt: str
    template_preprompt: str | None
    """None for a prompt without a risk category; so are its template answer and score."""
    original: str
    again: str
    """A second original."""
    generic: str
    template: str | None
    original_score: float
    again_score: float
    generic_score: float
    template_score: float | None
    learned: str
    """Which answer would be learned: "template", "generic" or "again"."""
    outcome: str
    """"kept", "not better" than the original, or "unusable": empty, cut by the limit, or with a
    tag of the chat format."""

    @property
    def kept(self) -> bool:
        """Whether it is learned from."""
        return self.outcome == "kept"

    @property
    def dialogue(self) -> list[dict[str, str]]:
        """The prompt without preprompt and the distilled answer, to learn from."""
        answer = getattr(self, self.learned)
        assert answer is not None, "a template's answer is learned only where there is one"
        return [*map(dict, self.messages), {"role": "assistant", "content": answer}]

    @property
    def learned_score(self) -> float:
        """Score of the answer that would be learned."""
        score = getattr(self, f"{self.learned}_score")
        assert score is not None, "see dialogue"
        return score


def preprompts(prompt: Prompt, number: int) -> dict[str, str | None]:
    """The preprompt of every kind of answer to prompt `number`; None: drawn without one."""
    found: dict[str, str | None] = {
        ORIGINAL: None,
        AGAIN: None,
        GENERIC: generic_preprompt(number),
    }
    if prompt.risk is not None:
        found[TEMPLATE] = template_preprompt(prompt.risk, number)
    return found


def draw_answers(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    config: SafetyConfig,
    *,
    seed: int,
    fingerprint: str = "",
) -> list[Candidate]:
    """One answer of every kind to each prompt; candidates hold the prompts without preprompts.

    `numbers` choose the preprompts. The same seed gives the same answers; kinds have seeds of their
    own, so that the second original is another draw.
    """
    found: list[Candidate] = []
    for kind_number, kind in enumerate(ANSWERS):
        under = [preprompts(prompt, n) for prompt, n in zip(prompts, numbers, strict=True)]
        mine = [i for i in range(len(prompts)) if kind in under[i]]
        if not mine:
            continue
        asked = []
        for i in mine:
            prompt, preprompt = prompts[i], under[i][kind]
            messages = with_preprompt(prompt, preprompt) if preprompt else tuple(prompt.messages)
            asked.append(
                Prefixed(
                    prompt.id, messages, prompt.kind, prompt.is_safety, prompt.risk, prompt.vector
                )
            )
        dice = np.random.SeedSequence([seed, kind_number]).generate_state(1)
        drawn = sample_candidates(
            model,
            tokenizer,
            asked,
            n=1,
            temperatures=(config.temperature,),
            max_new_tokens=config.max_new_tokens,
            top_p=config.top_p,
            seed=int(dice[0]),
            version=kind,
            fingerprint=fingerprint,
        )
        for i, candidate in zip(mine, drawn, strict=True):
            plain = tuple({"role": m["role"], "content": m["content"]} for m in prompts[i].messages)
            found.append(replace(candidate, messages=plain))
    return found


def score_answers(reward: Reward, candidates: Sequence[Candidate], at_once: int) -> list[Candidate]:
    """The candidates with the safety reward model's scores, of prompts without preprompts."""
    return score_candidates(alone(reward, SCORE), candidates, at_once)


def pass_gate(
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    candidates: Sequence[Candidate],
    config: SafetyConfig,
) -> list[Distilled]:
    """Every prompt's scored answers side by side, and whether the distilled one is learned.

    The gate keeps an answer only where its score is above the original's; equal is not enough.
    Raises ValueError when a candidate has no score.
    """
    by_prompt: dict[str, dict[str, Candidate]] = {}
    for candidate in candidates:
        if candidate.score is None:
            raise ValueError(
                f"an answer to prompt {candidate.prompt_id} has no score; score the answers first"
            )
        by_prompt.setdefault(candidate.prompt_id, {})[candidate.version] = candidate
    rows = []
    for prompt, number in zip(prompts, numbers, strict=True):
        mine, under = by_prompt[prompt.id], preprompts(prompt, number)
        original, again, generic = (mine[kind] for kind in (ORIGINAL, AGAIN, GENERIC))
        template = mine.get(TEMPLATE)
        learned = config.distil if config.distil in mine else GENERIC
        rows.append(
            Distilled(
                prompt_id=prompt.id,
                kind=prompt.kind,
                risk=prompt.risk,
                vector=prompt.vector,
                messages=original.messages,
                generic_preprompt=under[GENERIC] or "",
                template_preprompt=under.get(TEMPLATE),
                original=original.text,
                again=again.text,
                generic=generic.text,
                template=template.text if template else None,
                original_score=_score(original),
                again_score=_score(again),
                generic_score=_score(generic),
                template_score=_score(template) if template else None,
                learned=learned,
                outcome=_outcome(mine[learned], original, config.gate),
            )
        )
    return rows


def _outcome(answer: Candidate, original: Candidate, gate: str) -> str:
    if not usable(answer):
        return "unusable"
    better = _score(answer) > _score(original)
    return "kept" if better or gate == "none" else "not better"


def _score(candidate: Candidate) -> float:
    assert candidate.score is not None, "checked before"
    return candidate.score


def write_distilled(path: Path, rows: Sequence[Distilled]) -> None:
    """Write a Parquet file that appears whole or not at all; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    turns = pa.list_(pa.struct({"role": text, "content": text}))
    kinds = {name: text for name in Distilled.__dataclass_fields__}
    kinds |= {name: number for name in kinds if name.endswith("_score")} | {"messages": turns}
    columns: dict[str, Any] = {
        name: pa.array([_cell(getattr(row, name)) for row in rows], kind)
        for name, kind in kinds.items()
    }
    columns["kept"] = pa.array([row.kept for row in rows], pa.bool_())
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(columns), partial)
    partial.replace(path)


def _cell(value: Any) -> Any:
    return [dict(message) for message in value] if isinstance(value, tuple) else value


def read_distilled(path: str | Path) -> list[Distilled]:
    """Rows of a file; ValueError when it is missing or holds none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
        return [
            Distilled(**{k: v for k, v in row.items() if k not in ("kept", "messages")},
                      messages=tuple(dict(m) for m in row["messages"]))
            for row in rows
        ]  # fmt: skip
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; run the stage safety first") from None
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} holds no distilled answers ({reason}); make it again") from None
