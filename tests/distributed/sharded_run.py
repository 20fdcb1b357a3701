"""A short training run of some number of processes, each of which runs `main`.

Also by torchrun: sharded_run.py FOLDER DATA_PARALLEL TENSOR_PARALLEL STEPS [checkpointing]
The data, the initial weights and the schedule do not depend on the number of processes.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import torch
from safetensors.torch import save_file

from llamalite import parallel
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.pretraining.module import PretrainingModule
from llamalite.resume import IndexedSteps, StreamData
from llamalite.text.chat import Encoded
from llamalite.text.packing import collate, pack
from llamalite.training import fit
from llamalite.training_config import OptimizerConfig, ParallelConfig

SCHEDULE = 12
MODEL = ModelConfig(
    vocab_size=64,
    dim=32,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    head_dim=8,
    ffn_dim=48,
    max_seq_len=32,
)


def batches(step: int, rank: int, world: int):
    """Two micro-batches of a step's eight rows; rows have different numbers of loss tokens."""
    dice = torch.Generator().manual_seed(step)
    documents = []
    for _ in range(24):
        length = int(torch.randint(3, 20, (), generator=dice))
        first = int(torch.randint(0, 61, (), generator=dice))
        ids = [3 + (first + i) % 61 for i in range(length)]  # counting can be learned
        documents.append(Encoded(ids, [True] * length))
    own = list(pack(documents, 32))[:8][rank::world]
    half = len(own) // 2
    return [collate(own[:half]), collate(own[half:])]


class Interrupted(PretrainingModule):
    """Dies at a given step, right after the resume state was written."""

    last_step = SCHEDULE

    def on_train_batch_end(self, outputs, batch, _):
        if batch.place is not None and self.trainer.global_step == self.last_step < SCHEDULE:
            self.trainer.strategy.barrier()
            os._exit(0)


def main(folder: Path, data_parallel: int, tensor_parallel: int, steps: int, recompute: bool):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    weights = Transformer(MODEL).state_dict()
    config = ParallelConfig(
        accelerator="cpu",
        data_parallel=data_parallel,
        tensor_parallel=tensor_parallel,
        compile="off",
        activation_checkpointing=recompute,
        checkpoint_steps=4,
    )
    module = Interrupted(
        lambda: Transformer(MODEL),
        OptimizerConfig(lr=0.02, warmup_steps=3),
        SCHEDULE,
        parallel=config,
        weights=weights,
    )
    module.last_step = steps

    def stream(rank, world):
        return IndexedSteps(lambda step: batches(step, rank, world), SCHEDULE)

    def count(batch):
        return int(batch.loss_mask_BT.sum()), batch.tokens_BT.numel()

    data = StreamData(stream, count, 2 * SCHEDULE)
    fit(module, data, work=folder, accumulation=2, progress=False)
    found = parallel.full_weights(module.model)
    if module.trainer.is_global_zero:
        save_file(found, folder / "weights.safetensors")


def process(rank: int, world: int, port: int, errors: Path, arguments: tuple) -> None:
    """What a launcher such as torchrun would do for one process."""
    from launched import join_run  # torchrun, which runs this file alone, does not find it

    join_run(rank, world, port)
    try:
        main(*arguments)
    except BaseException:
        (errors / f"error-{rank}.txt").write_text(traceback.format_exc())
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), recompute="checkpointing" in sys.argv)
