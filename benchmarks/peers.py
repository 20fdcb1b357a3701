"""The same Llama in other programs: same shape, same weights, so the same work is timed.

`transformers` and `litgpt` (`pip install --no-deps litgpt==0.5.13`) are needed by the benchmarks
only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from llamalite.model.config import ModelConfig
from llamalite.model.hf import hf_config, hf_name
from llamalite.model.kernels import kernels
from llamalite.model.transformer import Transformer

if TYPE_CHECKING:
    from litgpt.model import GPT

SHAPES = {
    "1.0M": ModelConfig(1024, 128, 4, 4, 2, 32, 352, 256),
    "8.3M": ModelConfig(2048, 288, 8, 6, 2, 48, 768, 256),
}
"""The two shapes that are timed, by their number of parameters."""


def transformers_peer(model: Transformer) -> Any:
    """Hugging Face's Llama with this model's weights; it attends with PyTorch's fused kernel."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = LlamaConfig(**{**hf_config(model.config), "attn_implementation": "sdpa"})
    peer = LlamaForCausalLM(config)
    state = {hf_name(name): tensor for name, tensor in model.state_dict().items()}
    peer.load_state_dict(state, strict=not model.config.tie_embeddings)
    return peer


def litgpt_peer(model: Transformer) -> GPT:
    """litgpt's GPT in Llama's shape with this model's weights."""
    from litgpt.config import Config
    from litgpt.model import GPT

    c = model.config
    if model.output is None:
        raise ValueError("tie_embeddings is True; litgpt's Llama is compared untied only")
    peer = GPT(
        Config(
            name="llama-like",
            block_size=c.max_seq_len,
            vocab_size=c.vocab_size,
            padded_vocab_size=c.vocab_size,
            n_layer=c.n_layers,
            n_embd=c.dim,
            n_head=c.n_heads,
            n_query_groups=c.n_kv_heads,
            head_size=c.head_dim,
            intermediate_size=c.ffn_dim,
            norm_eps=c.norm_eps,
            rope_base=int(c.rope_theta),
            rotary_percentage=1.0,
            parallel_residual=False,
            bias=False,
            norm_class_name="RMSNorm",
            mlp_class_name="LLaMAMLP",
        )
    )
    state = {
        "lm_head.weight": model.output.weight,
        "transformer.wte.weight": model.tok_embeddings.weight,
        "transformer.ln_f.weight": model.norm.weight,
    }
    for i, block in enumerate(model.layers):
        ours = dict(block.named_parameters())
        attention = [ours[f"attention.{w}.weight"] for w in ("wq", "wk", "wv")]
        state |= {
            f"transformer.h.{i}.{name}": tensor
            for name, tensor in {
                "norm_1.weight": ours["attention_norm.weight"],
                "attn.qkv.weight": torch.cat(tuple(attention)),
                "attn.proj.weight": ours["attention.wo.weight"],
                "norm_2.weight": ours["ffn_norm.weight"],
                "mlp.fc_1.weight": ours["feed_forward.w1.weight"],
                "mlp.fc_2.weight": ours["feed_forward.w3.weight"],
                "mlp.proj.weight": ours["feed_forward.w2.weight"],
            }.items()
        }
    peer.load_state_dict({name: tensor.detach() for name, tensor in state.items()})
    return peer


PEERS: dict[str, Callable[[Transformer], nn.Module]] = {
    "transformers": transformers_peer,
    "litgpt": litgpt_peer,
}


def peer_logits(peer: nn.Module, tokens_BT: Tensor) -> Tensor:
    """Logits of any of the programs, for the check that all of them do the same work."""
    output = peer(tokens_BT)
    return output if isinstance(output, Tensor) else output.logits


def check_same_function(ours: Transformer, peers: dict[str, nn.Module]) -> None:
    """Raise ValueError when a peer's logits differ from ours by 1e-4 or more."""
    tokens_BT = torch.randint(0, ours.config.vocab_size, (2, 32))
    with torch.no_grad():
        expected = ours(tokens_BT)
        for name, peer in peers.items():
            difference = (peer_logits(peer, tokens_BT) - expected).abs().max().item()
            if not difference < 1e-4:
                raise ValueError(
                    f"{name}'s logits differ from ours by {difference:.1e}; "
                    "it is not the same model, so its speed says nothing"
                )


def interleaved(
    runs: dict[str, Callable[[], Any]], repeats: int, warm_ups: int = 1
) -> dict[str, list[float]]:
    """Seconds of every repeat of every run, taken in turn so that all share the weather."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(warm_ups + repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat >= warm_ups:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(theirs: list[float], ours: list[float]) -> float:
    """How many times as long they take: the median over repeats taken side by side."""
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    import platform

    import transformers

    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def shape(config: ModelConfig) -> dict[str, Any]:
    """A configuration as the results record it."""
    return asdict(config) | {"parameters": config.n_parameters}


def compiler_seconds() -> float:
    """How long compiling the sampler's operations takes; SystemExit where it cannot be done, for
    rows that are called compiled would then be of the plain sampler."""
    kernels.cache_clear()
    start = time.perf_counter()
    if isinstance(made := kernels(), str):
        raise SystemExit(f"compiled sampling cannot be measured: {made}")
    return time.perf_counter() - start
