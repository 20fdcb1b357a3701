"""Every word about devices: accelerator, precision, sharding, compilation, recomputation.

The paper trains with FSDP (section 3.2.3) on A100s; how it shards pretraining is not said. Here a
model is sharded with FSDP2 block by block, and its matrices may be split among processes besides
(tensor parallelism); both run on CPU over gloo as on GPUs over NCCL.
"""

from __future__ import annotations

import copy
import shutil
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from llamalite.training_config import ParallelConfig

COMPILE_PAYS_FROM_FLOPS = {"cpu": 1.5e13, "cuda": 1e15}
"""Work of a whole run above which compiling is paid back (see benchmarks/training.py)."""


def pick_accelerator(config: ParallelConfig) -> str:
    """The GPU where there is one and it is not refused, else the CPU."""
    if config.accelerator == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "gpu"
    if config.accelerator == "gpu":
        raise ValueError("accelerator is gpu but torch finds no GPU; choose cpu or auto")
    return "cpu"


def pick_precision(config: ParallelConfig, accelerator: str) -> str:
    """fp32 on CPU; on GPU bf16 where the chip computes in it, else fp16 (a T4 emulates bf16)."""
    if config.precision != "auto":
        return config.precision
    if accelerator == "cpu":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def pick_device(config: ParallelConfig | None = None) -> torch.device:
    """The device of a single-process run, for generation and evaluation."""
    return torch.device("cuda" if pick_accelerator(config or ParallelConfig()) == "gpu" else "cpu")


def trainer_arguments(config: ParallelConfig) -> dict[str, Any]:
    """What Lightning's Trainer is told about the machine."""
    accelerator = pick_accelerator(config)
    precision = pick_precision(config, accelerator)
    if accelerator == "gpu":
        torch.set_float32_matmul_precision("high")  # TF32 for what stays in fp32
    arguments: dict[str, Any] = {
        "accelerator": accelerator,
        "devices": config.processes // config.nodes,
        "num_nodes": config.nodes,
        "precision": {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}[precision],
    }
    if config.sharded:
        from lightning.pytorch.strategies import ModelParallelStrategy

        if precision == "fp16":
            raise ValueError(
                "precision fp16 does not go with sharding; choose bf16, or fp32 on CPU and old GPUs"
            )
        arguments["precision"] = "32-true"  # FSDP2 casts by its own policy, see `shard`
        arguments["strategy"] = ModelParallelStrategy(
            data_parallel_size=config.data_parallel,
            tensor_parallel_size=config.tensor_parallel,
            save_distributed_checkpoint=True,
        )
    return arguments


def prepare(
    build: Callable[[], nn.Module],
    config: ParallelConfig,
    mesh: Any,
    weights: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> nn.Module:
    """The model of this process: whole, or its shards on the meta device, to be filled later.

    Lightning gives shards storage; `draw_weights` or `load_full_weights` comes after that.
    """
    torch.manual_seed(seed)
    if mesh is None:
        model = build()
        if weights is not None:
            model.load_state_dict(weights)
        if config.activation_checkpointing:
            checkpoint_activations(model)
        return model
    with torch.device("meta"):
        model = build()
    if mesh["tensor_parallel"].size() > 1:
        split_matrices(model, mesh["tensor_parallel"])
    if config.activation_checkpointing:
        checkpoint_activations(model)
    if config.compile == "on" or (config.compile == "auto" and mesh.device_type == "cuda"):
        for block in blocks(model):
            block.compile()
    shard(model, mesh["data_parallel"], pick_precision(config, pick_accelerator(config)))
    return model


def blocks(model: nn.Module) -> list[nn.Module]:
    """The decoder blocks of a model, wherever it keeps them (a reward model wraps a decoder)."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    assert lists, "a model keeps its blocks in an nn.ModuleList"
    return list(max(lists, key=len))


def shard(model: nn.Module, mesh: Any, precision: str) -> None:
    """FSDP2: each block's weights are gathered when it runs, the rest with the root."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy()
    if precision == "bf16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for block in blocks(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def split_matrices(model: nn.Module, mesh: Any) -> None:
    """Tensor parallelism: each process has some heads, some of F, some of V.

    Into the heads and into F by columns, out of them by rows, so that one sum per half block is
    all that is sent.
    """
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    ways = {
        "wq": ColwiseParallel,
        "wk": ColwiseParallel,
        "wv": ColwiseParallel,
        "wo": RowwiseParallel,
        "w1": ColwiseParallel,
        "w3": ColwiseParallel,
        "w2": RowwiseParallel,
    }
    for block in blocks(model):
        names = [name for name, _ in block.named_modules()]
        plan = {name: ways[last]() for name in names if (last := name.split(".")[-1]) in ways}
        assert len(plan) == len(ways), f"a block lacks some of {sorted(ways)}"
        parallelize_module(block, mesh, plan)
    ends = {
        "tok_embeddings": RowwiseParallel(input_layouts=Replicate()),
        "output": ColwiseParallel(output_layouts=Replicate()),
    }
    names = {name.split(".")[-1]: name for name, _ in model.named_modules()}
    plan = {names[last]: way for last, way in ends.items() if last in names}
    parallelize_module(model, mesh, plan)


def checkpoint_activations(model: nn.Module) -> None:
    """Recompute every block in the backward pass instead of keeping what is inside it."""
    from torch.utils.checkpoint import checkpoint

    for block in blocks(model):
        # the forward is replaced, not the module wrapped: names of weights stay as they are
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)


def compiled(
    function: Callable[..., Any],
    model: nn.Module,
    config: ParallelConfig,
    *,
    flops: float,
    device: str,
) -> Callable[..., Any]:
    """`function` compiled, if the config says so or the run is long enough to pay for it.

    Whether it is worth it follows from the run's work alone, never from the clock, so that a
    resumed run takes the same path. A sharded model is compiled block by block in `prepare`.
    """
    if config.sharded or config.compile == "off":
        return function
    if config.compile == "auto":
        if flops < COMPILE_PAYS_FROM_FLOPS.get(device, float("inf")):
            return function
        if device == "cpu" and not can_compile_on_cpu():
            return function
    return torch.compile(function, dynamic=False)


def can_compile_on_cpu() -> bool:
    """Whether a C++ compiler and Python's headers are there, which torch.compile needs on CPU."""
    compiler = any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    return compiler and (Path(sysconfig.get_path("include")) / "Python.h").exists()


def clip_gradients(weights: Iterable[nn.Parameter], largest: float) -> Tensor:
    """Scale all gradients so that their global norm is at most `largest`; returns the norm before.

    Weights may live on different meshes (some split, some not), so norms are taken mesh by mesh.
    """
    groups: dict[Any, list[Any]] = {}
    for weight in weights:
        if weight.grad is not None:
            groups.setdefault(getattr(weight.grad, "device_mesh", None), []).append(weight.grad)
    if not groups:
        return torch.zeros(())
    norms = [to_local(nn.utils.get_total_norm(gradients)) for gradients in groups.values()]
    norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    if largest != float("inf"):
        scale = (largest / (norm + 1e-6)).clamp(max=1.0)
        local = [
            g.to_local() if hasattr(g, "to_local") else g for gs in groups.values() for g in gs
        ]
        torch._foreach_mul_(local, scale)
    return norm


def to_local(value: Any) -> Any:
    """A scalar DTensor as the plain tensor it stands for; anything else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def mean_over_processes(value: Tensor) -> float:
    """Mean of a scalar over all processes."""
    if not torch.distributed.is_initialized():
        return float(value)
    value = value.clone().float()
    torch.distributed.all_reduce(value)
    return float(value) / torch.distributed.get_world_size()


def full_weights(model: nn.Module) -> dict[str, Any]:
    """All weights, whole and on the CPU; every process must call it. Empty on all but the first."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    if not torch.distributed.is_initialized():
        return {name: weight.detach().cpu() for name, weight in model.state_dict().items()}
    return get_model_state_dict(
        model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )


def draw_weights(model: nn.Module, seed: int) -> None:
    """Give a sharded model the very weights that one process with this seed would begin with.

    Every process draws every matrix in turn, on the CPU, and keeps its part: no more than one is
    whole at a time, and the start does not depend on the number of processes.
    """
    torch.manual_seed(seed)
    for prefix, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        whole: Any = copy.copy(module)
        whole._parameters = {name: nn.Parameter(torch.empty(w.shape)) for name, w in own.items()}
        whole.reset_parameters()
        drawn = {f"{prefix}.{name}": w.detach() for name, w in whole._parameters.items()}
        load_full_weights(model, drawn, strict=False)


def load_full_weights(
    model: nn.Module, weights: Mapping[str, Tensor], *, strict: bool = True
) -> None:
    """Put whole weights, which every process has, into a sharded model; all unless not `strict`."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    options = StateDictOptions(full_state_dict=True, strict=strict)
    set_model_state_dict(model, dict(weights), options=options)


@contextmanager
def readable(checkpoint: Path | None, module: Any) -> Iterator[Path | None]:
    """A resume state in a form that this run's strategy reads, whoever wrote it.

    A single process is given a folder of shards as one temporary file; a sharded run is given a
    single file with the optimizer's state by name, for numbers mean nothing to it.
    """
    if checkpoint is None or module.parallel.sharded == checkpoint.is_dir():
        yield checkpoint
        return
    state = _consolidated(checkpoint) if checkpoint.is_dir() else _named(checkpoint)
    with tempfile.TemporaryDirectory(dir=checkpoint.parent) as folder:
        rewritten = Path(folder) / checkpoint.name
        torch.save(state, rewritten)
        del state
        yield rewritten


def _named(checkpoint: Path) -> dict[str, Any]:
    """A single process's resume state with the optimizer's by the names of the weights."""
    state = torch.load(checkpoint, weights_only=True)
    names, (optimizer,) = state["optimizer_names"], state["optimizer_states"]
    optimizer["state"] = {names[number]: v for number, v in optimizer["state"].items()}
    for group in optimizer["param_groups"]:
        group["params"] = [names[number] for number in group["params"]]
    return state


def _consolidated(checkpoint: Path) -> dict[str, Any]:
    """A sharded resume state as Lightning's single-file one.

    The folder's index is a pickle of torch's own making: read resume states of your own runs only;
    finished artifacts never hold one.
    """
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    with tempfile.NamedTemporaryFile(dir=checkpoint.parent, suffix=".tmp") as whole:
        dcp_to_torch_save(checkpoint, whole.name)
        tensors = torch.load(whole.name, weights_only=True)
    state = torch.load(checkpoint / "meta.pt", weights_only=True)
    optimizer = tensors["optimizer_0"]
    order = [name for group in optimizer["param_groups"] for name in group["params"]]
    numbers = {name: number for number, name in enumerate(order)}
    groups = [
        {**group, "params": [numbers[name] for name in group["params"]]}
        for group in optimizer["param_groups"]
    ]
    by_number = {numbers[name]: values for name, values in optimizer["state"].items()}
    state["state_dict"] = tensors["state_dict"]
    state["optimizer_states"] = [{"state": by_number, "param_groups": groups}]
    return state
