"""Speed of reward-model training beside trl's RewardTrainer: python -m benchmarks.reward

1,024 pairs of 24 to 96 tokens, the lengths of a chat's; one epoch in batches of 32, from the same
body. Each program is timed whole, with its trainer: `llamalite` as the stage calls it, `trl` as its
users do (without gradient checkpointing, which saves memory for time), and a plain loop over
padded batches of `transformers`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from benchmarks.peers import SHAPES, check_same_function, interleaved, shape, transformers_peer
from benchmarks.reporting import make_parser, print_report, summary
from llamalite.model.transformer import Transformer
from llamalite.reward.config import RewardConfig
from llamalite.reward.data import Pair
from llamalite.reward.recipe import train
from llamalite.training_config import OptimizerConfig, ParallelConfig

GOAL = 1.3
"""Times as fast as trl, at least."""
BATCH = 32
"""Pairs."""
LENGTHS = (24, 96)
"""Of a prompt with its reply, tokens; all lengths between are equally likely."""
FILLER = 0
TRL = "pip install --no-deps trl==1.16.0 accelerate==1.15.0"


def make_pairs(count: int, vocabulary: int) -> list[Pair]:
    """Pairs of random tokens, none of them the filler."""
    dice = np.random.default_rng(0)

    def row() -> np.ndarray:
        length = dice.integers(*LENGTHS, endpoint=True)
        return dice.integers(FILLER + 1, vocabulary, length, dtype=np.int32)

    return [Pair(str(i), 1, 0, i % 4, row(), row(), None) for i in range(count)]


def our_training(chat: Transformer, pairs: Sequence[Pair]) -> Callable[[], None]:
    """One epoch of the stage `reward`."""
    config = RewardConfig(
        margin="none",
        batch_size=BATCH,
        sequence_length=chat.config.max_seq_len,
        optimizer=OptimizerConfig(lr=1e-5, warmup_fraction=0.03),
        parallel=ParallelConfig(accelerator="cpu", compile="off"),
    )

    def run() -> None:
        with TemporaryDirectory() as folder:
            train(config, "helpfulness", chat, pairs, [], 0, work=Path(folder), progress=False)

    return run


def scalar_peer(chat: Transformer) -> Any:
    """The chat model's body in `transformers`, with a scalar head."""
    from transformers import LlamaForSequenceClassification

    body = transformers_peer(chat)
    body.config.num_labels, body.config.pad_token_id = 1, FILLER
    model: Any = LlamaForSequenceClassification(body.config)
    model.model.load_state_dict(body.model.state_dict())
    return model


def plain_training(chat: Transformer, pairs: Sequence[Pair]) -> Callable[[], None]:
    """One epoch of a plain loop: chosen and rejected replies padded into one batch."""

    def run() -> None:
        model = scalar_peer(chat)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        steps = math.ceil(len(pairs) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for first in range(0, len(pairs), BATCH):
            few = pairs[first : first + BATCH]
            rows = [torch.from_numpy(p.chosen).long() for p in few]
            rows += [torch.from_numpy(p.rejected).long() for p in few]
            ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=FILLER)
            mask = (ids != FILLER).long()
            scores = model(ids, attention_mask=mask, use_cache=False).logits[:, 0]
            chosen, rejected = scores.chunk(2)
            optimizer.zero_grad(set_to_none=True)
            (-logsigmoid(chosen - rejected).mean()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()

    return run


def trl_training(chat: Transformer, pairs: Sequence[Pair]) -> Callable[[], None]:
    """One epoch of `trl.RewardTrainer` on the same token ids."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, PrinterCallback
    from transformers.utils import logging
    from trl import RewardConfig as Settings
    from trl import RewardTrainer

    logging.set_verbosity_error()
    rows = {
        "chosen_ids": [pair.chosen.tolist() for pair in pairs],
        "rejected_ids": [pair.rejected.tolist() for pair in pairs],
    }
    data = Dataset.from_dict(rows)
    words = {str(i): i for i in range(chat.config.vocab_size)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, "0")), pad_token="0", eos_token="1"
    )

    def run() -> None:
        with TemporaryDirectory() as folder:
            settings = Settings(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_train_epochs=1,
                learning_rate=1e-5,
                lr_scheduler_type="cosine",
                max_length=None,
                gradient_checkpointing=False,
                bf16=False,
                use_cpu=True,
                dataloader_pin_memory=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            trainer = RewardTrainer(
                scalar_peer(chat), settings, train_dataset=data, processing_class=tokenizer
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()

    return run


def has_trl() -> bool:
    """Whether trl is installed with what it needs to train."""
    return all(find_spec(name) for name in ("trl", "accelerate"))


def measure(size: str, pairs: int, repeats: int) -> dict[str, Any]:
    """Time one shape in every program that is installed."""
    config = SHAPES[size]
    torch.manual_seed(0)
    chat = Transformer(config)
    check_same_function(chat, {"transformers": transformers_peer(chat)})
    made = make_pairs(pairs, config.vocab_size)
    runs = {
        "transformers, plain": plain_training(chat, made),
        "llamalite": our_training(chat, made),
    }
    if has_trl():
        runs = {"trl": trl_training(chat, made), **runs}
    peer = next(iter(runs))
    return {
        "size": size,
        "shape": shape(config),
        "goal": GOAL if peer == "trl" else None,
        "peer": peer,
        "runs": summary(interleaved(runs, repeats), peer, pairs, "pairs"),
    }


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__, repeats=5)
    parser.add_argument("--pairs", type=int, default=1024)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if not has_trl():
        print(f"trl (or accelerate) is missing and left out; to compare: {TRL}", file=sys.stderr)
    return print_report(
        {
            "benchmark": "reward model training",
            "results": [measure(size, options.pairs, options.repeats) for size in options.sizes],
        },
        options.json,
        {"pairs / s": lambda run: f"{run['pairs_per_second']:,.0f}"},
        ours="llamalite",
    )


if __name__ == "__main__":
    main()
