"""The stage `pretrain`: a base model from a mixture of sources. Llama 2, section 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llamalite import parallel
from llamalite.artifacts import Artifact, Draft
from llamalite.model.checkpoint import model_from_state, save_model
from llamalite.model.transformer import Transformer
from llamalite.pretraining.config import PretrainConfig
from llamalite.pretraining.data import BlockReader, DocumentReader, RowStream, count
from llamalite.pretraining.mixture import Mixture
from llamalite.pretraining.module import PretrainingModule, UnmaskedPretrainingModule
from llamalite.protocols import Corpus
from llamalite.resume import StreamData
from llamalite.text.tokenizer import Tokenizer
from llamalite.training import TrainingModule, fit


def run(config: PretrainConfig, inputs: dict[str, Artifact], draft: Draft, seed: int) -> None:
    """Write config.json, model.safetensors, tokenizer.model and metrics.csv.

    Called again on a draft that was cut short, it goes on from the last resume state.
    """
    from llamalite.world import World

    world = World.load(inputs["world"].file("world.json"))
    tokenizer = Tokenizer.load(inputs["tokenizer"].file("tokenizer.model"))
    module, report = pretrain(
        config,
        tokenizer,
        world,
        seed,
        work=draft.work,
        metrics_file=draft.path / "metrics.csv",
    )
    weights = parallel.full_weights(module.model)
    if not module.trainer.is_global_zero:
        return
    save_model(draft.path, model_from_state(config.model, weights, draft.path))
    tokenizer.save(draft.path / "tokenizer.model")
    draft.metrics.update(report)


def pretrain(
    config: PretrainConfig,
    tokenizer: Tokenizer,
    corpus: Corpus,
    seed: int,
    *,
    work: Path,
    metrics_file: Path | None = None,
    progress: bool = True,
) -> tuple[TrainingModule, dict[str, Any]]:
    """Train a model; returns its module and a report with the table of what was read.

    `corpus` is read unless the config names one of its own. Raises ValueError when the tokenizer
    does not fit the model, or the mixture not the corpus.
    """
    if tokenizer.vocab_size != config.model.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} pieces and the model's vocab_size is "
            f"{config.model.vocab_size}; make them equal"
        )
    reader, sizes = open_corpus(config, tokenizer, corpus, work)
    weights = config.mixture or dict.fromkeys(sizes, 1.0)
    read = Mixture(weights, sizes, seed)  # complains now, not after the model is built

    def stream(rank: int, world: int) -> RowStream:
        return RowStream(reader(), Mixture(weights, sizes, seed), config, rank, world)

    data = StreamData(stream, count, config.steps * config.accumulation)
    kind = UnmaskedPretrainingModule if config.attend_across_documents else PretrainingModule
    module = kind(
        lambda: Transformer(config.model),
        config.optimizer,
        config.steps,
        parallel=config.parallel,
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
    assert data.place is not None
    read.load_state_dict(data.place["mixture"])
    report["mixture"] = [row._asdict() for row in read.epochs()]
    report["parameters"] = config.model.n_parameters
    return module, report


def open_corpus(
    config: PretrainConfig, tokenizer: Tokenizer, corpus: Corpus, work: Path
) -> tuple[Any, dict[str, int | None]]:
    """What makes a reader of the corpus, and the number of documents (or rows) of each source."""
    length = config.sequence_length
    if config.corpus:
        from llamalite.pretraining.corpus import tokenised_blocks

        blocks = tokenised_blocks(config.corpus, tokenizer, length, work / "blocks")
        sizes: dict[str, int | None] = {source: len(rows) for source, rows in blocks.items()}
        return lambda: BlockReader(blocks, length), sizes

    def text(source: str, index: int) -> str:
        return corpus.document(source, index).text

    sizes = dict.fromkeys(corpus.sources, config.documents or None)
    return lambda: DocumentReader(text, tokenizer, length), sizes
