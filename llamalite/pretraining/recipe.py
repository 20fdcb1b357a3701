"""The stage `pretrain`: a base model from a mixture of sources. Llama 2, section 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft, write_json
from llamalite.data_care.rejected import FILE, gather, number_of_lines
from llamalite.evaluation.config import HELD_OUT_FROM
from llamalite.model.checkpoint import model_from_state, save_model
from llamalite.model.transformer import Transformer
from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.data import BlockReader, DocumentReader, RowStream, count
from llamalite.pretraining.mixture import Mixture
from llamalite.pretraining.module import PretrainingModule, UnmaskedPretrainingModule
from llamalite.pretraining.streamed import (
    StreamedRows,
    StreamReader,
    first_documents,
    is_streamed,
    open_parts,
    read_in_all,
    rejected_in_all,
)
from llamalite.processes import is_leader
from llamalite.protocols import Corpus
from llamalite.resume import StreamData
from llamalite.text.chat import encode_document
from llamalite.text.packing import PackedBatch, PackedRow, collate, pack
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import fit

_MARKS = 4
"""How often the held-out loss is measured, besides once before training."""


def run(config: PretrainConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write config.json, model.safetensors, tokenizer.model, metrics.csv and held_out.json.

    Of a corpus of one's own, what could not be used goes to rejected.jsonl and is counted. Called
    again on a draft that was cut short, it goes on from the last resume state.
    """
    world: Corpus | None = None
    if config.needs("world"):
        from llamalite.world import World

        world = World.load(inputs["world"].file("world.json"))
    tokenizer = Tokenizer.load(inputs["tokenizer"].file("tokenizer.model"))
    pretrain_into(draft, config, tokenizer, world, seed)


def pretrain_into(
    draft: Draft, config: PretrainConfig, tokenizer: Tokenizer, corpus: Corpus | None, seed: int
) -> None:
    """Train on a corpus, as `pretrain`, and write the stage's files and metrics into a draft."""
    module, report = pretrain(
        config,
        tokenizer,
        corpus,
        seed,
        work=draft.work,
        metrics_file=draft.path / "metrics.csv",
        rejected_file=draft.path / FILE,
    )
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return
    save_model(draft.path, model_from_state(config.model, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    write_json(draft.path / "held_out.json", report.pop("held_out"))
    draft.metrics.update(report)


def pretrain(
    config: PretrainConfig,
    tokenizer: Tokenizer,
    corpus: Corpus | None,
    seed: int,
    *,
    work: Path,
    metrics_file: Path | None = None,
    rejected_file: Path | None = None,
    progress: bool = True,
) -> tuple[PretrainingModule, dict[str, Any]]:
    """Train a model; returns its module and a report with the table of what was read.

    The report's `held_out` is the course of the loss on documents kept from training, every source
    that is read alike. What was read of streams is in the first process's report alone.
    `corpus` is read unless the config names one of its own, and may then be None; the report's
    `rejected` is how many documents of that one could not be used, and they go to `rejected_file`.
    Raises ValueError when the tokenizer does not fit the model, or the mixture not the corpus.
    """
    if tokenizer.vocab_size != config.model.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} pieces and the model's vocab_size is "
            f"{config.model.vocab_size}; make them equal"
        )
    reader, sizes, kept = open_corpus(config, tokenizer, corpus, work, seed)
    weights = config.mixture or dict.fromkeys(sizes, 1.0)
    read = Mixture(weights, sizes, seed)  # complains now, not after the model is built

    streamed = is_streamed(config.corpus)

    def stream(rank: int, world: int) -> RowStream:
        mixture = Mixture(weights, sizes, seed)
        if streamed:
            return StreamedRows(reader(rank, world), mixture, config, rank, world)
        return RowStream(reader(), mixture, config, rank, world)

    data = StreamData(stream, count, config.steps * config.accumulation, apart=streamed)
    kind = UnmaskedPretrainingModule if config.attend_across_documents else PretrainingModule
    module = kind(
        lambda: Transformer(config.model),
        config.optimizer,
        config.steps,
        parallel=config.parallel,
        held_out=kept([source for source, weight in weights.items() if weight > 0]),
        held_out_steps=[round(config.steps * mark / _MARKS) for mark in range(_MARKS + 1)],
        step_flops=6.0 * config.model.n_parameters * config.step_tokens,
        seed=seed,
    )
    report: dict[str, Any] = fit(
        module,
        data,
        work=work,
        accumulation=config.accumulation,
        name="pretrain",
        metrics_file=metrics_file,
        progress=progress,
    )
    if data.saved is not None:
        read.load_state_dict(read_in_all(data.saved) if streamed else data.saved["mixture"])
        report["mixture"] = [row._asdict() for row in read.epochs()]
        if config.corpus:
            report["rejected"] = _set_aside(config, work, data.saved, rejected_file)
    report["parameters"] = config.model.n_parameters
    report["held_out"] = [{"step": step, **found} for step, found in sorted(module.course.items())]
    if module.course:
        report["held_out_loss"] = report["held_out"][-1]["loss"]
    return module, report


def _set_aside(
    config: PretrainConfig, work: Path, place: Mapping[str, Any], target: Path | None
) -> int:
    """Number of documents that could not be used; the leader brings them together in `target`."""
    if is_streamed(config.corpus):
        files = [work / f"rejected-{rank}.jsonl" for rank in range(len(place["parts"]))]
        count = rejected_in_all(place)
    else:
        from llamalite.pretraining.corpus import rejected_files

        files = rejected_files(work / "blocks", config.corpus)
        count = sum(number_of_lines(file) for file in files)
    if target and is_leader():
        gather(files, target)
    return count


def open_corpus(
    config: PretrainConfig,
    tokenizer: Tokenizer,
    corpus: Corpus | None,
    work: Path,
    seed: int = 0,
) -> tuple[Any, dict[str, int | None], Callable[[Sequence[str]], list[PackedBatch]]]:
    """How a corpus is read.

    What makes a reader of it, the number of documents (or rows) to learn of each source, and what
    makes batches of the held-out ones of some sources.
    """
    length = config.sequence_length
    if is_streamed(config.corpus):
        return open_streams(config, tokenizer, work, seed)
    if config.corpus:
        from llamalite.pretraining.corpus import kept_texts, tokenised_blocks

        folder = work / "blocks"
        blocks = tokenised_blocks(config.corpus, tokenizer, length, folder, config.held_out)

        def kept(sources: Sequence[str]) -> list[PackedBatch]:
            texts = [text for source in sources for text in kept_texts(folder, source)]
            examples = [encode_document(tokenizer, text) for text in texts]
            return in_batches(list(pack(examples, length)), config)

        sizes: dict[str, int | None] = {source: len(rows) for source, rows in blocks.items()}
        return lambda: BlockReader(blocks, length), sizes, kept

    assert corpus is not None, "the micro-world is there where no other corpus is named"

    def text(source: str, index: int) -> str:
        return corpus.document(source, index).text

    further = getattr(corpus, "further_sources", ()) if config.mixture else ()
    sizes = dict.fromkeys((*corpus.sources, *further), config.documents or None)

    def unread(sources: Sequence[str]) -> list[PackedBatch]:
        places = [(s, HELD_OUT_FROM + i) for s in sources for i in range(config.held_out)]
        examples = [encode_document(tokenizer, text(*place)) for place in places]
        return in_batches(list(pack(examples, length)), config)

    return lambda: DocumentReader(text, tokenizer, length), sizes, unread


def open_streams(
    config: PretrainConfig, tokenizer: Tokenizer, work: Path, seed: int = 0
) -> tuple[Any, dict[str, int | None], Callable[[Sequence[str]], list[PackedBatch]]]:
    """`open_corpus` for sources that are read as they come: nothing of them is kept on the disk.

    The first documents of each are held out and passed over wherever the streams meet them.
    """
    length = config.sequence_length
    held = first_documents(open_parts(config.corpus, 0, 1), config.held_out)
    texts_held = {(document.source, document.text) for each in held.values() for document in each}

    def reader(rank: int, world: int) -> StreamReader:
        return StreamReader(
            open_parts(config.corpus, rank, world),
            tokenizer,
            length,
            texts_held,
            rejected=work / f"rejected-{rank}.jsonl",
            shuffle=config.shuffle,
            seed=seed,
        )

    def kept(sources: Sequence[str]) -> list[PackedBatch]:
        texts = [document.text for source in sources for document in held[source]]
        examples = [encode_document(tokenizer, text) for text in texts]
        return in_batches(list(pack(examples, length)), config)

    return reader, dict.fromkeys(config.corpus), kept


def in_batches(rows: Sequence[PackedRow], config: PretrainConfig) -> list[PackedBatch]:
    """Rows in batches no larger than a step's, for measuring."""
    size = min(config.batch_size, 32)
    return [collate(rows[i : i + size]) for i in range(0, len(rows), size)]
