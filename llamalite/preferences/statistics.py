"""What was collected, as the paper tells it: tables 6 and 26, figure 25, the safety bins."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llamalite.preferences.protocol import GUIDELINES, RATINGS, SAFETY_BINS, Comparison


def statistics(
    comparisons: Iterable[Comparison], count_tokens: Callable[[str], int]
) -> dict[str, Any]:
    """Sizes, ratings, safety bins and more: of all, and of each batch.

    `count_tokens` tells how many tokens a text has.
    """
    found = list(comparisons)
    batches: dict[int, list[Comparison]] = defaultdict(list)
    for each in found:
        batches[each.batch].append(each)
    return {
        "all": describe(found, count_tokens),
        "batches": {
            str(batch): describe(batches[batch], count_tokens) for batch in sorted(batches)
        },
    }


def describe(
    comparisons: Sequence[Comparison], count_tokens: Callable[[str], int]
) -> dict[str, Any]:
    """All that is told of a set of comparisons."""
    return {
        **sizes(comparisons, count_tokens),
        "by_guideline": {g: sum(c.guideline == g for c in comparisons) for g in GUIDELINES},
        "ratings": {
            "all": rating_shares(comparisons),
            **{g: rating_shares([c for c in comparisons if c.guideline == g]) for g in GUIDELINES},
        },
        "safety_bins": bin_shares(comparisons),
        "versions": version_wins(comparisons),
        "chosen_left": _share(sum(c.choice == c.left for c in comparisons), len(comparisons)),
        "agreement": agreement(comparisons),
        "annotators": dict(sorted(Counter(c.annotator for c in comparisons).items())),
    }


def sizes(
    comparisons: Sequence[Comparison], count_tokens: Callable[[str], int]
) -> dict[str, float | int | None]:
    """The columns of tables 6 and 26: comparisons, turns a dialogue, tokens an example, a
    prompt and a response.

    The paper does not define them. Here a turn is one time the user speaks; an example is the whole
    dialogue with one reply, the mean of its two; a prompt is each message of the user or the
    system, a response each of the assistant, earlier turns included. For a single turn an example
    is then a prompt and a response, as in the paper's rows of single turns.
    """
    turns = examples = 0.0
    prompts, responses = [], []
    for each in comparisons:
        turns += each.turns
        earlier = 0
        for message in each.messages:
            tokens = count_tokens(message["content"])
            earlier += tokens
            (responses if message["role"] == "assistant" else prompts).append(tokens)
        replies = [count_tokens(reply.text) for reply in (each.a, each.b)]
        responses += replies
        examples += earlier + sum(replies) / 2
    number = len(comparisons)
    return {
        "comparisons": number,
        "turns_per_dialogue": _share(turns, number),
        "tokens_per_example": _share(examples, number),
        "tokens_per_prompt": _share(sum(prompts), len(prompts)),
        "tokens_per_response": _share(sum(responses), len(responses)),
    }


def rating_shares(comparisons: Sequence[Comparison]) -> dict[str, float | None]:
    """Share of each rating (figure 25, by batch); None where there is nothing."""
    return {
        rating: _share(sum(c.rating == rating for c in comparisons), len(comparisons))
        for rating in RATINGS
    }


def bin_shares(comparisons: Sequence[Comparison]) -> dict[str, float | None]:
    """Share of each safety bin among the comparisons that have one; the paper's are .18 .47 .35."""
    binned = [c.safety_bin for c in comparisons if c.safety_bin is not None]
    return {name: _share(binned.count(name), len(binned)) for name in SAFETY_BINS}


def version_wins(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """How often one model's reply was chosen over another's: a free regression test of the newest
    against the previous (section 3.2.1). A row for each guideline and pair of versions."""
    wins: Counter[tuple[str, str, str]] = Counter()
    for each in comparisons:
        if each.chosen.version != each.rejected.version:
            wins[each.guideline, each.chosen.version, each.rejected.version] += 1
    rows = []
    for guideline, one, other in sorted({(g, *sorted((a, b))) for g, a, b in wins}):
        won, lost = wins[guideline, one, other], wins[guideline, other, one]
        row = {"guideline": guideline, "version": one, "against": other, "won": won, "lost": lost}
        rows.append(row | {"share": _share(won, won + lost)})
    return rows


def agreement(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """How often two people who judged the same pair chose the same reply."""
    by_item: dict[str, list[str]] = defaultdict(list)
    for each in comparisons:
        by_item[each.id].append(each.choice)
    pairs = same = 0
    for choices in by_item.values():
        a = choices.count("a")
        b = len(choices) - a
        pairs += len(choices) * (len(choices) - 1) // 2
        same += a * (a - 1) // 2 + b * (b - 1) // 2
    return {"pairs": pairs, "same_choice": _share(same, pairs)}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
