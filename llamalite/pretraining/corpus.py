"""Your own corpus: files or a hub dataset, tokenised once into rows on disk.

It is read in one pass. The rows stand in Arrow files, which are mapped into memory and not loaded,
so a corpus may be larger than the machine; beside them what was kept from training, and what could
not be used. Not in the paper.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llamalite.data_care.rejected import FILE, Rejects
from llamalite.disk import write_json
from llamalite.own_files import reading
from llamalite.resume_states import discard
from llamalite.text.files import learned_and_kept, open_source
from llamalite.text.packing import FirstFit, PackedRow
from llamalite.text.tokenizer import Tokenizer

_KEPT = "kept.json"
"""Texts kept from training, beside a source's rows; written last."""


def tokenised_blocks(
    corpus: Mapping[str, str], tokenizer: Tokenizer, length: int, folder: Path, held_out: int = 0
) -> dict[str, Any]:
    """Each source of a corpus as a dataset of rows of `length` tokens, made on first use.

    Documents that `held_out` keeps from training are not among them, but what `kept_texts` gives;
    what cannot be used is what `rejected_files` hold. Raises ValueError for a pattern that fits no
    file, a file type that cannot be read, and a source without text.
    """
    from datasets import Dataset, load_from_disk
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    blocks = {}
    for source, where in corpus.items():
        final = folder / source
        # several processes of one run come here at once; the first makes the rows
        with FileLock(folder / f"{source}.lock"):
            if not (final / _KEPT).exists():
                partial = folder / f"{source}.partial"
                discard(partial)
                discard(final)
                cache = folder / f"{source}.cache"
                with reading(source) as told:
                    rejects = Rejects(cache / FILE)
                    documents = open_source(source, where, cache, rejects)
                    rejects.close()
                    learned, kept = learned_and_kept(len(documents), held_out)
                    made: Any = Dataset.from_generator(
                        pack_blocks,
                        gen_kwargs={
                            "documents": documents.select(learned),
                            "tokenizer": tokenizer,
                            "length": length,
                        },
                        cache_dir=str(cache),
                    )
                    made.save_to_disk(partial)
                    found = f"{len(learned):,} documents in {len(made):,} rows of {length} tokens"
                    told(", ".join(filter(None, (found, rejects.told()))))
                if rejects.count:
                    (cache / FILE).rename(partial / FILE)
                write_json(partial / _KEPT, [documents[number]["text"] for number in kept])
                discard(cache)
                partial.rename(final)
            blocks[source] = load_from_disk(final)
    return blocks


def kept_texts(folder: Path, source: str) -> list[str]:
    """The documents of a source that `tokenised_blocks` kept from training."""
    return json.loads((folder / source / _KEPT).read_text(encoding="utf-8"))


def rejected_files(folder: Path, sources: Iterable[str]) -> list[Path]:
    """Where `tokenised_blocks` wrote what it set aside of each source, if there was any."""
    return [folder / source / FILE for source in sources]


def pack_blocks(documents: Any, tokenizer: Tokenizer, length: int) -> Iterator[dict[str, Any]]:
    """Rows of all documents: their tokens, and per document its length and what follows it.

    `next` is the token after a part of a document longer than a row, -1 after a document's end;
    masks, targets and positions follow from these.
    """
    rows: FirstFit[tuple[list[int], int]] = FirstFit(length)
    for document in documents:
        ids = tokenizer.encode(document["text"], bos=True, eos=True)
        for start in range(0, len(ids), length):
            part = ids[start : start + length]
            after = ids[start + length] if start + length < len(ids) else -1
            for row in rows.add((part, after), len(part)):
                yield _block(row)
    for row in rows.finish():
        yield _block(row)


def _block(parts: list[tuple[list[int], int]]) -> dict[str, Any]:
    return {
        "tokens": np.concatenate([ids for ids, _ in parts]).astype(np.int32),
        "lengths": np.array([len(ids) for ids, _ in parts], dtype=np.int32),
        "next": np.array([after for _, after in parts], dtype=np.int32),
    }


def unpack_block(block: Mapping[str, Any], length: int) -> PackedRow:
    """A row of `pack_blocks` as `llamalite.text.packing` would have made it."""
    filler = length - len(block["tokens"])
    tokens = torch.tensor(block["tokens"] + [0] * filler)
    lengths = torch.tensor(block["lengths"] + [filler] * (filler > 0))
    ends = lengths.cumsum(0) - 1
    after = torch.tensor(block["next"] + [-1] * (filler > 0))
    targets = torch.roll(tokens, -1)
    targets[ends] = after.clamp(min=0)
    mask = torch.ones(length, dtype=torch.bool)
    mask[ends] = after >= 0
    mask[length - filler :] = False
    starts = torch.repeat_interleave(ends - lengths + 1, lengths)
    return PackedRow(
        tokens,
        targets,
        mask,
        torch.arange(length) - starts,
        torch.repeat_interleave(torch.arange(len(lengths)), lengths),
    )
