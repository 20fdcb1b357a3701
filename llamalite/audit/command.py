"""`llamalite audit`: who and what a corpus speaks of, as a table, files and plots. Section 4.1."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamalite.data_care.rejected import FILE, counted
from llamalite.disk import write_json
from llamalite.jsonl import write_rows
from llamalite.progress import pieces

WORST = 50
"""Documents of the highest toxicity that are kept to be looked at."""
EXCERPT = 300
"""Characters of each that are kept."""


@dataclass(frozen=True)
class AuditConfig:
    """What is audited, by whom, and where the results go."""

    corpus: str = "world:ci"
    """world:PRESET (the micro-world's corpus of a run preset), packaged:plays, packaged:bible or
    packaged:chats, files (JSONL or Parquet with a column "text", or .txt with a document a line;
    all but Parquet perhaps gzipped), a folder or pattern of such, or hub:NAME[:CONFIG[:SPLIT]], of
    any size: it is read as it comes, and nothing of it is kept."""
    documents: int = 0
    """Most documents that are read; 0: all, and 10,000 of a micro-world."""
    every: int = 1
    """Read each n-th document only; the paper scores a tenth of its corpus for toxicity. Not of a
    micro-world, which has no end."""
    toxicity: str = ""
    """Who scores lines for toxicity: words (a packaged list of rude English words), a .txt list of
    terms, or labelled rows to learn from as hub:toxigen/toxigen-data:annotated ("text" with
    "label", with "toxicity_human" and "toxicity_ai", or with "toxicity_human" alone). Empty: words;
    for a micro-world, labelled lines of another world."""
    out: str = "runs/audit"
    """Folder of audit.json, toxic.jsonl, the plots, and rejected.jsonl for what cannot be used.
    Shares of demographic descriptors are those of our own list of 120 English ones on five axes;
    the paper's, HolisticBias, has several hundred on them, so that shares do not compare with those
    of its table 9b."""

    def __post_init__(self) -> None:
        if self.documents < 0:
            raise ValueError(f"documents is {self.documents}; it must be at least 0")
        if self.every < 1:
            raise ValueError(f"every is {self.every}; it must be at least 1")


def audit(config: AuditConfig) -> dict[str, Any]:
    """Read the corpus once, write the files, and return what audit.json holds.

    Keys: those of `Tally.result` over all documents; `rejected` (fault: documents that were set
    aside for it); `sources`, the same by source where there are several; `detectors`, whose
    judgements and lists these are; and, where the truth is known, `toxicity_truth` (share,
    precision, recall; one of nothing is None). Raises ValueError for a corpus that cannot be read.
    """
    from llamalite.audit import figures
    from llamalite.audit.recipe import open_corpus
    from llamalite.audit.tally import Tally
    from llamalite.audit.words import described
    from llamalite.progress_bar import progress_shown

    folder = Path(config.out)
    corpus = open_corpus(
        config.corpus, config.documents, config.every, config.toxicity, folder / FILE
    )
    auditor = corpus.auditor
    whole, sources = Tally(), dict[str, Tally]()
    judged = hits = known = both = 0
    worst: list[tuple[float, int, dict[str, Any]]] = []
    with progress_shown("audit"):
        for number, read in enumerate(pieces(corpus.documents, "document", corpus.size)):
            marks = auditor.read(read.text)
            for tally in (whole, sources.setdefault(read.source, Tally())):
                tally.add(marks, len(read.text))
            if read.toxic is not None:
                judged += 1
                hits, known = hits + marks.toxic, known + read.toxic
                both += marks.toxic and read.toxic
            if marks.toxicity > 0:
                row = {
                    "document": number,
                    "source": read.source,
                    "score": round(marks.toxicity, 4),
                    "text": read.text[:EXCERPT],
                }
                # of equals the earlier stays
                entry = (marks.toxicity, -number, row)
                (heapq.heappush if len(worst) < WORST else heapq.heappushpop)(worst, entry)
    corpus.rejects.close()
    if not whole.documents:
        raise corpus.rejects.all_gone(config.corpus)
    result = {
        "corpus": config.corpus,
        "rejected": dict(corpus.rejects.reasons.most_common()),
        "detectors": {
            "toxicity": auditor.toxicity.name,
            "language": auditor.language.name,
            "demographics": described(auditor.axes),
        },
        **whole.result(auditor.axes),
    }
    if len(sources) > 1:
        result["sources"] = {name: each.result(auditor.axes) for name, each in sources.items()}
    if judged:
        result["toxicity_truth"] = {
            "share": round(known / judged, 6),
            "precision": round(both / hits, 6) if hits else None,
            "recall": round(both / known, 6) if known else None,
        }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "audit.json", result)
    write_rows(folder / "toxic.jsonl", (row for _, _, row in sorted(worst, reverse=True)))
    figures.skew(result).save(folder / "skew.svg")
    figures.demographics(result).save(folder / "demographics.svg")
    figures.toxicity(result).save(folder / "toxicity.svg")
    figures.languages(result).save(folder / "languages.svg")
    _print(result, folder)
    return result


TOP = 5
"""Descriptors of an axis, and languages, that the table shows."""


def _print(result: Mapping[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    title = f"audit of {result['corpus']}: {result['documents']:,} documents"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("what")
    table.add_column("documents", justify="right")
    table.add_column("of these")
    rows = {"gendered pronouns": result["pronouns"], "grammatical person": result["persons"]}
    for name, found in (rows | result["demographics"]).items():
        parts = list(found["of_them"].items())[:TOP]
        table.add_row(
            name,
            f"{found['documents']:.2%}",
            ", ".join(f"{part} {share:.1%}" for part, share in parts),
        )
    toxicity = result["toxicity"]
    table.add_row("toxic", f"{toxicity['share']:.2%}", f"mean score {toxicity['mean']:.4f}")
    for name, share in list(result["languages"]["documents"].items())[:TOP]:
        text = result["languages"]["text"].get(name, 0.0)
        table.add_row(f"language {name}", f"{share:.2%}", f"{text:.2%} of the text")
    console.print(table)
    if truth := result.get("toxicity_truth"):
        precision, recall = (
            "not defined" if truth[name] is None else f"{truth[name]:.1%}"
            for name in ("precision", "recall")
        )
        console.print(
            f"toxic in truth {truth['share']:.2%}; precision {precision}, recall {recall}"
        )
    if result["rejected"]:
        console.print(f"{counted(Counter(result['rejected']))}: {FILE}", soft_wrap=True)
    for name, detector in result["detectors"].items():
        console.print(f"{name}: {detector}", soft_wrap=True)
    console.print(f"written: {folder}", soft_wrap=True)
