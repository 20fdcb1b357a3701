"""What the tokenizer is trained on. Llama 2, section 2.2; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from llamalite.data_care.epochs import check_mixture


@dataclass(frozen=True)
class TokenizerConfig:
    """A SentencePiece vocabulary and the sample of the corpus it is learned from."""

    vocab_size: int = 1024
    """V: number of pieces, the 256 bytes included; the paper's is 32k. Must be the model's."""
    sample_documents: int = 20_000
    """Documents to learn from, over all sources."""
    mixture: dict[str, float] = field(default_factory=dict)
    """Share of the documents by source, of any sum; sources left out are not read. Empty: every
    source alike. The paper does not say what its tokenizer was trained on."""
    corpus: dict[str, str] = field(default_factory=dict)
    """Your own texts instead of the micro-world's, as --tokenizer.corpus.NAME FILE: for each source
    a file pattern (JSONL, Parquet or text, or a folder of them), packaged:NAME, or
    hub:NAME[:CONFIG[:SPLIT]] with a column "text"; of stream:... the first documents are read, no
    more than the sample needs. The mixture must then name these sources, or none. What cannot be
    used is counted and set aside in rejected.jsonl."""
    character_coverage: float = 0.99995
    """Share of the text whose characters get a piece of their own; rarer ones are spelled in bytes.
    Not in the paper."""
    model: str = ""
    """A SentencePiece tokenizer.model to use instead of training one, such as a released Llama's;
    the settings above then count for nothing."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "sample_documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0.9 <= self.character_coverage <= 1:
            raise ValueError(
                f"character_coverage is {self.character_coverage}; it must lie between 0.9 and 1"
            )
        check_mixture(self.mixture, () if self.model else self.corpus)

    def needs(self, role: str) -> bool:
        """Whether the stage reads what plays that role: no micro-world beside texts of your own."""
        return role != "world" or not self.corpus or bool(self.model)
