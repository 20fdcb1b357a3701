"""What a pretraining run needs before anyone pays for it: memory, layout, time, energy, carbon.

Pure arithmetic on a model's shape and a cluster's numbers; needs no torch. It reproduces tables 1
and 2 of the paper, which is how we know the carbon formula: the paper prints GPU hours, power and
tonnes, the constants are those of Llama 1 (PUE 1.1, 0.385 kg CO2eq per kWh). Rows of table 2 are
*truncated* to 0.01 t (13B: 62.4477 is printed as 62.44) while its total of 539.00 is that of the
untruncated rows; the printed rows add up to 538.98.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from llamalite.model.config import ModelConfig
from llamalite.plan_batch import micro_batches
from llamalite.plan_stages import MACHINES, stage_times
from llamalite.presets import MODELS, RUNS, get_preset

GPU_MEMORY_USABLE = 0.94
"""Share of a device's memory left after the CUDA context, NCCL buffers and fragmentation."""
DEVICES_PER_NODE = 8
A100_TFLOPS = 312.0
A100_MEMORY = 80.0
"""GB (10^9 bytes)."""
MICRO_BATCH = 1
"""Sequences a rank holds at once where neither the preset nor the user says."""


@dataclass(frozen=True)
class PaperRun:
    """One row of tables 1 and 2."""

    gpu_hours: int
    watts: int
    tco2eq: float
    """Tonnes as printed in table 2."""
    tokens: int = 2_000_000_000_000


PAPER_RUNS: dict[str, PaperRun] = {
    "7b": PaperRun(184_320, 400, 31.22),
    "13b": PaperRun(368_640, 400, 62.44),
    "34b": PaperRun(1_038_336, 350, 153.90),
    "70b": PaperRun(1_720_320, 400, 291.42),
}
PAPER_TOTAL_GPU_HOURS = 3_311_616
PAPER_TOTAL_TCO2EQ = 539.00


@dataclass(frozen=True)
class PlanConfig:
    """A model, a cluster and what electricity costs the climate there."""

    preset: str = "7b"
    """Model or run preset: 7b 13b 34b 70b, or any other of llamalite.presets."""
    model: ModelConfig | None = None
    """A shape of your own, in place of the preset's."""
    gpus: int | None = None
    """Number of devices; unset: the run preset's, or the smallest power of two that holds it."""
    gpu_memory: float | None = None
    """Memory of one device, GB (10^9 bytes); unset: that of the preset's machine, an A100's 80."""
    peak_tflops: float | None = None
    """Dense matmul peak of one device in the training precision, TFLOP/s; unset: that of the
    preset's machine, an A100's 312 (bf16)."""
    mfu: float | None = None
    """Model FLOPs utilisation, 0 to 1, counting 6 FLOPs per weight and token; unset: what the
    paper's GPU hours imply on A100s (0.35 to 0.43), that of the preset's machine, and 0.38 else."""
    tokens: float | None = None
    """Training tokens; unset: the preset's (the paper: 2e12)."""
    gpu_hours: float | None = None
    """GPU hours; unset: the paper's own for its models, else computed from tokens and mfu."""
    sequence: int | None = None
    """Tokens of one sequence; unset: the model's context."""
    micro_batch: int | None = None
    """Sequences one data-parallel rank holds at once; unset: the preset's own, else 1."""
    batch_tokens: int | None = None
    """Global batch in tokens; unset: the preset's (the paper: 4M, as 1024 x 4096)."""
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    """fp32, or mixed: 16-bit compute over fp32 master weights, gradients and optimizer; unset: that
    of the preset's machine, else bf16."""
    fsdp: int | None = None
    """Ranks that shard weights, gradients and optimizer (FSDP2); unset: all there are."""
    tp: int | None = None
    """Ranks that split every matrix (tensor parallel); unset: the preset's where `gpus` is unset
    too, or divides by it and the run fits, else the fewest that fit."""
    activation_checkpointing: bool | None = None
    """Keep only each block's input and recompute the rest later; unset: the preset's."""
    generation_batch: int = 1
    """Sequences generated at once, for the size of the key/value cache."""
    watts: float | None = None
    """Power of one device, W; unset: the paper's 400 (34B: 350), that of the preset's machine."""
    pue: float = 1.1
    """Power usage effectiveness: energy of the data centre per energy of its machines."""
    grid_intensity: float = 0.385
    """Carbon intensity of the electricity, kg CO2eq per kWh."""

    def __post_init__(self) -> None:
        for name in ("gpus", "sequence", "micro_batch", "batch_tokens", "fsdp", "tp"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        for name in ("gpu_memory", "peak_tflops", "tokens", "gpu_hours", "watts", "pue"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value}; it must be above 0")
        if self.mfu is not None and not 0 < self.mfu <= 1:
            raise ValueError(f"mfu is {self.mfu}; it must lie above 0 and not above 1")
        if self.grid_intensity < 0 or self.generation_batch < 0:
            raise ValueError("grid_intensity and generation_batch must be at least 0")
        if self.precision not in (None, "fp32", "bf16", "fp16"):
            raise ValueError(f"precision is {self.precision!r}; choose fp32, bf16 or fp16")


@dataclass(frozen=True)
class Layout:
    """How the devices share the work: replicas x fsdp x tp of them."""

    replicas: int
    fsdp: int
    tp: int

    @property
    def data_parallel(self) -> int:
        """Ranks that see different data."""
        return self.replicas * self.fsdp


# --- carbon: table 2 ---------------------------------------------------------------------------


def energy_kwh(gpu_hours: float, watts: float, pue: float = 1.1) -> float:
    """Energy at the data centre's meter, kWh. Llama 2, section 2.2.1 (PUE from Llama 1)."""
    return gpu_hours * watts / 1000 * pue


def carbon_tonnes(
    gpu_hours: float, watts: float, pue: float = 1.1, grid_intensity: float = 0.385
) -> float:
    """Tonnes CO2eq. Llama 2, table 2; interconnect, hosts and cooling beyond PUE are left out."""
    return energy_kwh(gpu_hours, watts, pue) * grid_intensity / 1000


def printed_tonnes(tonnes: float) -> float:
    """Cut to 0.01 t as table 2 prints its rows; amounts under 1 t keep four significant digits."""
    if tonnes < 1:
        return float(f"{tonnes:.4g}")
    return math.floor(tonnes * 100 + 1e-9) / 100


def carbon_table() -> dict[str, Any]:
    """Table 2 recomputed, beside what is printed."""
    exact = {name: carbon_tonnes(run.gpu_hours, run.watts) for name, run in PAPER_RUNS.items()}
    rows = {name: printed_tonnes(tonnes) for name, tonnes in exact.items()}
    return {
        "rows": rows,
        "gpu_hours": sum(run.gpu_hours for run in PAPER_RUNS.values()),
        "total": round(sum(exact.values()), 2),
        "sum_of_printed_rows": round(sum(rows.values()), 2),
    }


# --- memory ------------------------------------------------------------------------------------


def block_parameters(model: ModelConfig) -> int:
    """Weights of one decoder block."""
    attention = 2 * model.dim * model.head_dim * (model.n_heads + model.n_kv_heads)
    return attention + 3 * model.dim * model.ffn_dim + 2 * model.dim


def activation_bytes(
    model: ModelConfig, tokens: int, tp: int, width: int, checkpointing: bool
) -> int:
    """Bytes kept for the backward pass of `tokens` tokens on one device (`width` bytes a value).

    Not in the paper; counts what autograd saves in this package's block with fused attention: the
    residual stream and its norms (4 D), q, k, v before and after RoPE and the attention output
    (3 (H + K) E), and the feed-forward layer's four F; plus the logits, their fp32 copy and its
    gradient. Tensor parallelism splits heads and F, not the residual stream.
    """
    stream = 4 * model.dim
    inner = 3 * (model.n_heads + model.n_kv_heads) * model.head_dim + 4 * model.ffn_dim
    block = tokens * (stream * width + math.ceil(inner / tp) * width)
    block += tokens * math.ceil(model.n_heads / tp) * 4  # log-sum-exp of the fused attention
    logits = tokens * math.ceil(model.vocab_size / tp) * (width + 8)
    if not checkpointing:
        return model.n_layers * block + logits
    return model.n_layers * tokens * model.dim * width + block + logits


def memory_by_part(config: PlanConfig, model: ModelConfig, layout: Layout) -> dict[str, int]:
    """Bytes on one device while training, by part, and `cache` for generation."""
    shard = math.ceil(model.n_parameters / (layout.fsdp * layout.tp))
    width = 4 if config.precision == "fp32" else 2
    weights = 4 * shard
    if layout.fsdp > 1:  # two gathered blocks: the one at work and the one being fetched
        gathered = max(2 * block_parameters(model), model.vocab_size * model.dim)
        weights += width * math.ceil(gathered / layout.tp)
    elif width == 2:  # autocast's 16-bit copies live for the whole forward pass
        weights += 2 * shard
    sequence = config.sequence or model.max_seq_len
    cache = math.ceil(model.n_kv_heads / layout.tp) * model.kv_bytes_per_token(width)
    return {
        "weights": weights,
        "gradients": 4 * shard,
        "optimizer": 8 * shard,
        "activations": activation_bytes(
            model,
            (config.micro_batch or MICRO_BATCH) * sequence,
            layout.tp,
            width,
            bool(config.activation_checkpointing),
        ),
        "cache": cache // model.n_kv_heads * sequence * config.generation_batch,
    }


def training_bytes(parts: Mapping[str, int]) -> int:
    """Bytes on one device while training: every part but the generation cache."""
    return sum(size for name, size in parts.items() if name != "cache")


def choose_layout(config: PlanConfig, model: ModelConfig) -> tuple[int, Layout, bool]:
    """Number of devices, their layout, and whether the run fits in their memory.

    What the config fixes is kept; the rest is the smallest tensor-parallel degree that fits (it
    costs the most communication), and FSDP over everything else.
    """
    possible = [d for d in range(1, model.n_kv_heads + 1) if model.n_kv_heads % d == 0]
    if config.tp and config.tp not in possible:
        raise ValueError(
            f"tp {config.tp} does not divide {model.n_kv_heads} kv heads; choose among "
            f"{', '.join(map(str, possible))}"
        )
    degrees = [config.tp] if config.tp else [d for d in possible if d <= DEVICES_PER_NODE]
    counts = [config.gpus] if config.gpus else [2**power for power in range(15)]
    memory = (config.gpu_memory or A100_MEMORY) * 1e9 * GPU_MEMORY_USABLE
    layout = None
    for gpus in counts:
        for tp in degrees:
            if gpus % tp or (config.fsdp and (gpus // tp) % config.fsdp):
                continue
            fsdp = config.fsdp or gpus // tp
            layout = Layout(gpus // tp // fsdp, fsdp, tp)
            used = training_bytes(memory_by_part(config, model, layout))
            if used <= memory:
                return gpus, layout, True
    if layout is None:
        raise ValueError(
            f"{config.gpus} gpus do not divide into fsdp {config.fsdp or 'any'} x tp "
            f"{config.tp or 'any'}; make gpus a multiple of fsdp x tp"
        )
    return layout.data_parallel * layout.tp, layout, False


# --- the plan ----------------------------------------------------------------------------------


def run_plan(config: PlanConfig) -> dict[str, Any]:
    """Everything there is to know before a run, as one JSON-able dict.

    Keys: `parameters`, `kv_bytes_per_token` (16-bit), `gpu_hours`, `tco2eq` (t), `layout`, `fits`,
    `bytes_per_device`, `accumulation` (None where a `refusal` says why), `days`, ...
    Raises ValueError for an unknown preset or an impossible layout.
    """
    asked = config
    config, model, paper = _resolve(asked)
    assert config.tokens
    assert config.mfu
    assert config.peak_tflops
    assert config.gpu_memory
    assert config.batch_tokens
    assert config.sequence
    assert config.micro_batch
    gpus, layout, fits = choose_layout(config, model)
    flops = 6.0 * model.n_parameters * config.tokens
    peak_per_hour = config.peak_tflops * 1e12 * 3600
    gpu_hours = config.gpu_hours or flops / (peak_per_hour * config.mfu)
    assert config.watts
    parts = memory_by_part(config, model, layout)
    tonnes = carbon_tonnes(gpu_hours, config.watts, config.pue, config.grid_intensity)
    sequence, rows = config.sequence, config.micro_batch
    accumulation, refusal = micro_batches(config.batch_tokens, sequence, rows, layout.data_parallel)
    return {
        "preset": config.preset if config.model is None else "a shape of your own",
        "model": asdict(model),
        "parameters": model.n_parameters,
        "kv_bytes_per_token": model.kv_bytes_per_token(),
        "tokens": int(config.tokens),
        "sequence": config.sequence,
        "steps": int(config.tokens) // config.batch_tokens,
        "batch_tokens": config.batch_tokens,
        "accumulation": accumulation,
        "refusal": refusal,
        "flops": flops,
        "gpus": gpus,
        "nodes": math.ceil(gpus / DEVICES_PER_NODE),
        "layout": {"replicas": layout.replicas, "fsdp": layout.fsdp, "tp": layout.tp},
        "layout_is": _layout_reason(asked, config, fits),
        "bytes_per_device": parts | {"training": training_bytes(parts)},
        "gpu_memory_bytes": int(config.gpu_memory * 1e9),
        "fits": fits,
        "mfu": round(flops / (gpu_hours * peak_per_hour), 4),
        "tokens_per_second_per_gpu": config.tokens / (gpu_hours * 3600),
        "tokens_per_second": config.tokens / (gpu_hours * 3600) * gpus,
        "gpu_hours": int(gpu_hours) if float(gpu_hours).is_integer() else gpu_hours,
        "days": gpu_hours / gpus / 24,
        "watts": config.watts,
        "energy_kwh": energy_kwh(gpu_hours, config.watts, config.pue),
        "tco2eq": printed_tonnes(tonnes),
        "tco2eq_unrounded": tonnes,
        "paper": beside_paper(paper, model, gpu_hours) if paper else None,
        "stages": _stages(config),
    }


def beside_paper(run: PaperRun, model: ModelConfig, gpu_hours: float) -> dict[str, float]:
    """Table 2's row, the utilisation behind it on an A100, and planned hours by printed ones."""
    return {
        "gpu_hours": run.gpu_hours,
        "tco2eq": run.tco2eq,
        "mfu": round(implied_mfu(model, run), 4),
        "planned_by_printed": round(gpu_hours / run.gpu_hours, 4),
    }


def _stages(config: PlanConfig) -> list[dict[str, Any]]:
    """Times of all stages, where one device does them and the preset is asked for as it is."""
    if config.preset not in MACHINES or config.model is not None:
        return []
    return [each._asdict() for each in stage_times(get_preset(config.preset))]


def implied_mfu(model: ModelConfig, run: PaperRun) -> float:
    """The utilisation of A100s behind printed GPU hours, at 6 FLOPs per weight and token."""
    return 6 * model.n_parameters * run.tokens / (run.gpu_hours * 3600 * A100_TFLOPS * 1e12)


def _resolve(config: PlanConfig) -> tuple[PlanConfig, ModelConfig, PaperRun | None]:
    """Fill what was left unset from the preset and, for the paper's models, from the paper."""
    if config.preset not in MODELS and config.preset not in RUNS:
        known = ", ".join(dict.fromkeys([*MODELS, *RUNS]))
        raise ValueError(f"unknown preset {config.preset!r}; choose among {known}")
    paper = PAPER_RUNS.get(config.preset) if config.model is None else None
    run = get_preset(config.preset).config("pretrain") if config.preset in RUNS else None
    model = config.model or (run.model if run else MODELS[config.preset])
    told = config.tokens or config.mfu or config.peak_tflops
    machine = MACHINES.get(config.preset) if config.model is None else None
    peak = config.peak_tflops or (machine.peak_tflops if machine else A100_TFLOPS)
    likely = machine.mfu if machine else 0.38
    filled = replace(
        config,
        peak_tflops=peak,
        mfu=config.mfu or (implied_mfu(model, paper) if paper else likely),
        gpu_memory=config.gpu_memory or (machine.memory if machine else A100_MEMORY),
        precision=config.precision or (machine.precision if machine else "bf16"),
        watts=config.watts or (paper.watts if paper else machine.watts if machine else 400),
        micro_batch=config.micro_batch or MICRO_BATCH,
        tokens=config.tokens or (run.tokens if run else 2e12),
        batch_tokens=config.batch_tokens or (run.step_tokens if run else 4_194_304),
        sequence=config.sequence or (run.sequence_length if run else model.max_seq_len),
        gpu_hours=config.gpu_hours or (paper.gpu_hours if paper and not told else None),
    )
    if config.model is None and run is not None:
        parallel = run.parallel
        if config.activation_checkpointing is None:
            filled = replace(filled, activation_checkpointing=parallel.activation_checkpointing)
        if config.fsdp is None and config.tp is None:
            its_own = config.gpus in (None, parallel.processes)
            kept = replace(
                filled, gpus=config.gpus or parallel.processes, tp=parallel.tensor_parallel
            )
            if its_own and config.micro_batch is None:
                rows = run.batch_size // (run.accumulation * parallel.data_parallel)
                kept = replace(kept, micro_batch=rows)
            if config.gpus is None or _divides_and_fits(kept, model):
                filled = kept
    return filled, model, paper


def _divides_and_fits(config: PlanConfig, model: ModelConfig) -> bool:
    """Whether the devices divide by the given tp, and the run fits in their memory."""
    assert config.gpus
    assert config.tp
    return config.gpus % config.tp == 0 and choose_layout(config, model)[2]


def _layout_reason(asked: PlanConfig, filled: PlanConfig, fits: bool) -> str:
    """Why the layout is the one it is, in a few words."""
    if asked.fsdp or asked.tp:
        return "as asked"
    if filled.tp:
        own = (
            asked.gpus is None or asked.gpus == get_preset(asked.preset).pretrain.parallel.processes
        )
        return "the preset's own" if own else "tp of the preset"
    return "the fewest tp that fits" if fits else "no tp fits"
