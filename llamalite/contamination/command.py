"""`llamalite contamination`: a benchmark against a corpus, as a table, files and a plot. A.6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llamalite.contamination.spans import BUDGET, HEAD, BenchmarkIndex
from llamalite.contamination.subsets import (
    CRITICAL,
    LENGTHS,
    Subset,
    affected,
    by_length,
    longest_affected,
    otherwise_off,
)
from llamalite.data_care.rejected import counted
from llamalite.disk import write_json
from llamalite.jsonl import Rejected, read_rows, write_rejected, write_rows
from llamalite.own_files import STREAM
from llamalite.progress import pieces

if TYPE_CHECKING:
    from llamalite.drawing import Drawing


_ASIDE = "corpus_rejected.jsonl"
"""Documents of the corpus that cannot be used; rejected.jsonl has the benchmark's lines."""


@dataclass(frozen=True)
class ContaminationConfig:
    """What is compared with what, and where the results go."""

    benchmark: str = ""
    """JSONL file, a sample a line: {"text": question and answer as the model was shown them,
    "score": its score on it}, as `llamalite benchmark --samples true` writes one for each model and
    task. Scores may be left out, in all lines; then only shares are told."""
    corpus: str = ""
    """Training data: files (JSONL or Parquet with a column "text", or .txt with a document a line;
    all but Parquet perhaps gzipped), a pattern or folder of such, packaged:NAME, or
    hub:NAME[:CONFIG[:SPLIT]] for a dataset of the Hugging Face hub. It is read as it comes, and
    nothing of it is kept."""
    tokenizer: str = ""
    """Whose tokens are compared, best the model's own: a model's folder, the name of a fetched
    model as smollm2, a tokenizer.model (SentencePiece) or a tokenizer.json (byte-level BPE)."""
    out: str = "runs/contamination"
    """Folder of contamination.json, samples.jsonl, contamination.svg, and of what cannot be used:
    rejected.jsonl of the benchmark, corpus_rejected.jsonl of the corpus."""
    budget: int = BUDGET
    """Tokens that may differ inside a match, after its first ten."""


class Sample(NamedTuple):
    """A verbalised sample and, where the file has it, the model's score on it."""

    text: str
    score: float | None


def measure(config: ContaminationConfig) -> dict[str, Any]:
    """Compare, write the files, and return what contamination.json holds.

    Keys: `samples`, `rejected` (lines of the benchmark set aside), `corpus_documents`,
    `corpus_rejected` (fault: documents set aside for it), `corpus_tokens`, `shares` (length of
    match: mean share of contaminated tokens, 0 to 1), and with scores `subsets` (length: the four
    subsets) and `affected` (the longest length at which contamination helped the scores, or None).
    Llama 2, appendix A.6. Raises ValueError for files that cannot be used.
    """
    from llamalite.data_care.rejected import Rejects
    from llamalite.data_care.streams import documents, open_stream
    from llamalite.progress_bar import progress_shown
    from llamalite.real_models.fetch import find_model
    from llamalite.text.loading import load_tokenizer

    for name in ("benchmark", "corpus", "tokenizer"):
        if not getattr(config, name):
            raise ValueError(f"--{name} is missing; see llamalite contamination --help")
    tokenizer = load_tokenizer(find_model(config.tokenizer))
    samples, rejected = read_benchmark(config.benchmark)
    index = BenchmarkIndex([tokenizer.encode(each.text) for each in samples], config.budget)
    folder = Path(config.out)
    rejects = Rejects(folder / _ASIDE)
    corpus = documents(open_stream("corpus", config.corpus.removeprefix(STREAM)))
    read = 0
    with progress_shown("contamination"):
        for each in pieces(rejects.usable(corpus), "document"):
            index.see(tokenizer.encode(each.text))
            read += 1
    rejects.close()
    if not read:
        raise rejects.all_gone(config.corpus)

    shares = {length: index.shares(length) for length in LENGTHS}
    scores = [each.score for each in samples if each.score is not None]
    found = by_length(index, scores) if scores else {}
    result: dict[str, Any] = {
        "samples": len(samples),
        "rejected": len(rejected),
        "corpus_documents": read,
        "corpus_rejected": dict(rejects.reasons.most_common()),
        "corpus_tokens": index.seen,
        "shares": {length: float(share.mean()) for length, share in shares.items()},
        "subsets": {length: [_plain(each) for each in four] for length, four in found.items()},
        "affected": longest_affected(found),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "contamination.json", result)
    write_rows(
        folder / "samples.jsonl",
        (
            {
                "text": each.text,
                "shares": {length: float(shares[length][row]) for length in LENGTHS},
            }
            for row, each in enumerate(samples)
        ),
    )
    if rejected:
        write_rejected(folder / "rejected.jsonl", rejected)
    if found:
        drawing = subset_scores(found)
        drawing.save(folder / "contamination.svg")
    _print(result, found, folder)
    return result


def read_benchmark(path: str) -> tuple[list[Sample], list[Rejected]]:
    """Samples of a JSONL file, and the lines that are none.

    Raises ValueError when no line can be used, and when some have scores and some have not.
    """
    samples, rejected = read_rows(
        path, _sample, what="the benchmark", wanted='an object with "text" and perhaps "score"'
    )
    scored = sum(each.score is not None for each in samples)
    if scored not in (0, len(samples)):
        raise ValueError(
            f"{path} has a score in {scored} of {len(samples)} lines; give it in all or in none"
        )
    return samples, rejected


def _sample(number: int, row: Any) -> Sample:
    text = row.get("text") if isinstance(row, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise ValueError('no "text"')
    score = row.get("score")
    if score is None:
        return Sample(text, None)
    if not isinstance(score, int | float) or not isfinite(score):
        raise ValueError(f'"score" is {score!r}, not a number')
    return Sample(text, float(score))


def _plain(subset: Subset) -> dict[str, Any]:
    """A subset for a JSON file, in which what is not there is null."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in asdict(subset).items()
    }


def subset_scores(found: Mapping[int, Sequence[Subset]]) -> Drawing:
    """Z of the four subsets against the shortest match, beside the bounds at -2 and 2."""
    from llamalite.drawing import COLOURS, INK, MARKERS, Drawing, canvas, style

    lengths = list(found)
    with style():
        figure, (axes,) = canvas()
        axes.axhspan(-CRITICAL, CRITICAL, color=INK, alpha=0.15, lw=0)
        for row, subset in enumerate(found[lengths[0]]):
            zs = [found[length][row].z for length in lengths]
            axes.plot(lengths, zs, color=COLOURS[row], marker=MARKERS[row], label=subset.name)
        axes.set(xlabel="shortest match, tokens", ylabel="Z", xticks=lengths)
        axes.legend(ncols=2)
    told = "; ".join(
        f"{length} tokens: " + ", ".join(f"{each.name} {each.z:.2g}" for each in found[length])
        for length in lengths
    )
    return Drawing(figure, "Scores of clean and contaminated samples", f"Z by subset. {told}.")


def _print(
    result: Mapping[str, Any], found: Mapping[int, tuple[Subset, ...]], folder: Path
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title="contamination", title_justify="left", box=None, padding=(0, 2))
    table.add_column("match")
    table.add_column("tokens in it", justify="right")
    for name in ("clean", "not clean", "not dirty", "dirty") if found else ():
        table.add_column(f"{name}: n, score, Z", justify="right")
    table.add_column("affected" if found else "")
    for length, share in result["shares"].items():
        four = found.get(length, ())
        table.add_row(
            f"{length}+",
            f"{share:.1%}",
            *(f"{each.samples} {each.score:.3g} {each.z:+.2f}" for each in four),
            ("yes" if affected(four) else "no") if four else "",
        )
    console.print(table)
    if result["rejected"]:
        console.print(f"{result['rejected']} lines of the benchmark set aside in rejected.jsonl")
    if aside := Counter(result["corpus_rejected"]):
        console.print(f"of the corpus {counted(aside)}: {_ASIDE}", soft_wrap=True)
    for line in in_words(found):
        console.print(line, soft_wrap=True)
    console.print(f"written: {folder}", soft_wrap=True)


def in_words(found: Mapping[int, tuple[Subset, ...]]) -> list[str]:
    """Lines that say whether contamination helped the scores, and where they differ otherwise."""
    if not found:
        return []
    at = longest_affected(found)
    lines = [
        f"scores are raised by contamination; the longest matches to show it: {_least(at)}"
        if at
        else "not enough evidence that contamination raised the scores (|Z| > 2 in all four, clean "
        "and not dirty below the mean, the others above it)"
    ]
    for length, four in found.items():
        if pattern := otherwise_off(four):
            lines.append(
                f"matches of {_least(length)}: scores differ between the subsets, but not as "
                f"contamination that helps would have it: {pattern}"
            )
    return lines


def _least(length: int) -> str:
    """A shortest match in words; the paper's 10 stands for "longer than 10 tokens"."""
    return "more than 10 tokens" if length == HEAD else f"{length} tokens and more"
