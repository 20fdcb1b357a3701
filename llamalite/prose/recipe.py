"""The stage `prose`: models of real text on documents they never read, beside 5-grams, and samples.

Not in the paper, which has exams and people for it. Where no truth is known two things are left:
how many bits a byte of unseen text costs, against a baseline that anybody can build, and what the
models write, to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.data_care.rejected import FILE
from llamalite.evaluation.perplexity import held_out_perplexity
from llamalite.evaluation.scoring import ratio_estimate
from llamalite.own_files import STREAM
from llamalite.progress import pieces
from llamalite.prose.config import ProseConfig
from llamalite.prose.ngram import NGrams
from llamalite.prose.samples import continuations, replies
from llamalite.text.files import FileCorpus, FileDocument, learned_and_kept
from llamalite.text.tokenizer import Tokenizer

_RARE = 2
"""N-grams of pieces seen less often are left out from three pieces on: there are millions."""


class HeldOut(NamedTuple):
    """Documents that no model read, by source; a `llamalite.protocols.Corpus` that ends."""

    texts: Mapping[str, Sequence[str]]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.texts)

    def document(self, source: str, index: int) -> FileDocument:
        return FileDocument(self.texts[source][index], source)


def run(config: ProseConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write prose.json (bits per byte of all models, by source) and samples.json.

    What could not be used of the corpus goes to rejected.jsonl and is counted.
    """
    from llamalite.model.checkpoint import load_model
    from llamalite.parallel import pick_device

    tokenizer = Tokenizer.load(inputs["pretrain"].file("tokenizer.model"))
    learned, held_out = split(config, inputs, draft)
    models = {
        name: load_model(inputs[stage].path, pick_device()).eval()
        for name, stage in (("base", "pretrain"), ("chat", "sft"))
    }
    found: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        for source, texts in held_out.texts.items():
            found.setdefault(name, {}).update(
                held_out_perplexity(
                    model,
                    tokenizer,
                    held_out,
                    [source],
                    documents=len(texts),
                    first=0,
                    resamples=config.resamples,
                )
            )
    rivals = baselines(config, tokenizer, learned, held_out)
    differences = {
        name: {
            source: difference(found["base"][source], score, config.resamples)
            for source, score in scores.items()
        }
        for name, scores in rivals.items()
    }
    found |= rivals
    write_json(draft.path / "prose.json", {"models": found, "differences": differences})
    made = inputs["sft"].manifest["config"]
    written = {
        "continuations": continuations(models["base"], tokenizer, held_out.texts, config, seed),
        "replies": replies(models, tokenizer, made, config, seed),
    }
    write_json(draft.path / "samples.json", written)
    for name, scores in found.items():
        for source, score in scores.items():
            draft.metrics[f"{name}, {source}"] = score["bits_per_byte"]["mean"]


def split(
    config: ProseConfig, inputs: Mapping[str, Artifact], draft: Draft
) -> tuple[list[str], HeldOut]:
    """What pretraining learned from, all sources together, and what is measured.

    Raises ValueError where pretraining had no text of its own, kept none back, or the chat model
    was tuned on what is measured.
    """
    made, tuned = (inputs[stage].manifest["config"] for stage in ("pretrain", "sft"))
    if not made["corpus"]:
        raise ValueError(
            "prose measures models of texts of your own and pretrain.corpus names none; "
            "the stage evaluate measures those of the micro-world"
        )
    weights = made["mixture"] or dict.fromkeys(made["corpus"], 1.0)
    where = {source: made["corpus"][source] for source, weight in weights.items() if weight > 0}
    if streams := [source for source in where if where[source].startswith(STREAM)]:
        raise ValueError(
            f"prose measures what pretraining kept back, and {', '.join(streams)} was read as a "
            f"stream, whose length is not known; leave {STREAM} away"
        )
    corpus = FileCorpus(where, draft.work / "corpus", draft.path / FILE)
    draft.metrics["rejected"] = corpus.rejects.count
    learned: list[str] = []
    kept: dict[str, list[str]] = {}
    for source in corpus.sources:
        rows = corpus.rows[source]
        read, unread = learned_and_kept(len(rows), made["held_out"])
        learned += [rows[number]["text"] for number in read]
        kept[source] = [rows[number]["text"] for number in unread][-config.documents :]
        if where[source] == tuned["data"] and tuned["held_out"] < len(kept[source]):
            raise ValueError(
                f"sft.held_out is {tuned['held_out']} and {len(kept[source])} documents of "
                f"{where[source]} are measured, so that the chat model learned from some; raise "
                f"sft.held_out, or lower prose.documents to {tuned['held_out']}"
            )
    empty = [source for source, texts in kept.items() if not texts]
    if empty:
        raise ValueError(
            f"pretraining kept nothing of {', '.join(empty)} to measure on; raise "
            "pretrain.held_out, or give ten documents or more"
        )
    return learned, HeldOut(kept)


def baselines(
    config: ProseConfig, tokenizer: Tokenizer, learned: Sequence[str], held_out: HeldOut
) -> dict[str, dict[str, Any]]:
    """Bits per byte of n-gram models of bytes and of pieces, by source, as of the other models.

    They count all that pretraining learned from, once.
    """
    units: dict[str, tuple[Callable[[str], Sequence[int]], NGrams]] = {
        "pieces": (tokenizer.encode, NGrams(tokenizer.vocab_size, config.order, _RARE)),
        "bytes": (str.encode, NGrams(256, config.order)),
    }
    found: dict[str, dict[str, Any]] = {}
    for unit, (encode, grams) in units.items():
        name = f"{config.order}-gram of {unit}"
        grams.fit(encode(text) for text in pieces(learned, f"counting {unit}, document"))
        for source, texts in held_out.texts.items():
            bits = [
                grams.bits(encode(text)) for text in pieces(texts, f"{name}, {source}, document")
            ]
            sizes = [len(text.encode("utf-8")) for text in texts]
            found.setdefault(name, {})[source] = {
                "bits_per_byte": ratio_estimate(bits, sizes, config.resamples),
                "items": [
                    {"nats": round(each * np.log(2), 4), "bytes": size}
                    for each, size in zip(bits, sizes, strict=True)
                ],
            }
    return found


def difference(
    one: Mapping[str, Any], other: Mapping[str, Any], resamples: int = 1000
) -> dict[str, Any]:
    """Bits per byte by which one model's surprise exceeds another's on the same documents."""
    nats = [a["nats"] - b["nats"] for a, b in zip(one["items"], other["items"], strict=True)]
    return ratio_estimate(
        np.array(nats) / np.log(2), [item["bytes"] for item in one["items"]], resamples
    )
