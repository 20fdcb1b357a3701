"""Optimizer, schedule, accumulation, resume: what every stage's training rests on."""

from __future__ import annotations

import csv
import math
import multiprocessing
import random
import signal
from pathlib import Path

import killed_fit
import numpy as np
import pytest
import torch
from deadly import kill_apart, run_apart
from killed_fit import deterministic_columns, happening, latest_name
from torch import nn

from llamalite import parallel
from llamalite.progress import heard_by
from llamalite.resume import (
    IndexedSteps,
    MetricsTable,
    StreamData,
    random_state,
    set_random_state,
)
from llamalite.training import TrainingModule, fit, learning_rate_factor, make_optimizer
from llamalite.training_config import OptimizerConfig, ParallelConfig

CPU = ParallelConfig(accelerator="cpu", compile="off")
SERVER = multiprocessing.get_context("forkserver")


# --- schedule -----------------------------------------------------------------------------------
def test_schedule_matches_hand_worked_numbers():
    # 2 steps of warm-up, then 8 of cosine from 1 to 0.1: at its middle cos(pi/2) = 0, so 0.55
    config = OptimizerConfig(warmup_steps=2)
    factors = [learning_rate_factor(step, 10, config) for step in range(10)]
    assert factors[:2] == [0.5, 1.0]
    assert factors[5] == pytest.approx(0.55)
    assert factors[3] == pytest.approx(0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)  # cos(pi/4)
    assert factors[9] == pytest.approx(0.1)
    assert learning_rate_factor(99, 10, config) == pytest.approx(0.1)


@pytest.mark.parametrize(("warmup", "total"), [(0, 7), (5, 50), (20, 20), (2000, 5000)])
def test_schedule_agrees_with_transformers(warmup, total):
    transformers = pytest.importorskip("transformers")
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = transformers.get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, warmup, total, min_lr_rate=0.1
    )
    ours = OptimizerConfig(warmup_steps=warmup)
    # theirs spends step 0 at rate 0; ours begins where theirs stands after it
    for step in range(total):
        optimizer.step()
        theirs.step()
        expected = learning_rate_factor(step, total, ours)
        assert theirs.get_last_lr()[0] == pytest.approx(expected, rel=1e-9)


def test_warmup_takes_the_longer_of_steps_and_fraction():
    # the reward models' rule, section 3.2.2: 3 % of the steps, at least 5
    config = OptimizerConfig(warmup_steps=5, warmup_fraction=0.03)
    assert [config.warmup(n) for n in (3, 100, 1000)] == [3, 5, 30]


def test_constant_schedule_stays_at_the_peak():
    config = OptimizerConfig(schedule="constant")
    assert {learning_rate_factor(step, 10, config) for step in range(10)} == {1.0}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lr": 0.0}, "lr is 0.0"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"clip": -1.0}, "clip is -1.0"),
        ({"warmup_fraction": 1.5}, "between 0 and 1"),
        ({"schedule": "linear"}, "choose cosine or constant"),
    ],
)
def test_impossible_optimizers_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        OptimizerConfig(**wrong)


# --- optimizer and clipping ---------------------------------------------------------------------
def test_only_matrices_decay():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimizer = make_optimizer(model, OptimizerConfig())
    decay = {id(w): g["weight_decay"] for g in optimizer.param_groups for w in g["params"]}
    assert decay[id(model[0].weight)] == 0.1
    assert decay[id(model[0].bias)] == decay[id(model[1].weight)] == decay[id(model[1].bias)] == 0


def test_one_step_of_adamw_worked_by_hand():
    # first step: both moments' bias corrections cancel, the update is lr * g / (|g| + eps)
    weight = nn.Parameter(torch.tensor([[2.0]]))
    module = nn.Module()
    module.weight = weight
    optimizer = make_optimizer(module, OptimizerConfig(lr=0.1, eps=1e-5))
    weight.grad = torch.tensor([[4.0]])
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.1) - 0.1 * 4 / (4 + 1e-5), rel=1e-6)


def test_clipping_scales_to_the_norm_and_reports_the_norm_before():
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert parallel.clip_gradients([a, b], 1.0).item() == pytest.approx(5.0)
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.0]))
    torch.testing.assert_close(b.grad, torch.tensor([0.8]))
    parallel.clip_gradients([a, b], 2.0)  # already shorter: left alone
    torch.testing.assert_close(b.grad, torch.tensor([0.8]))


# --- training runs ------------------------------------------------------------------------------
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class Masked(TrainingModule):
    """Mean square error over the rows that count."""

    @staticmethod
    def loss_and_metrics(model, batch):
        x, y, counts = batch
        error = ((model(x) - y) ** 2).mean(1)
        return (error * counts).sum() / counts.sum().clamp(min=1), {}


def build():
    torch.manual_seed(0)
    return Net()


def rows(step):
    generator = torch.Generator().manual_seed(step)
    x, y = torch.randn(2, 8, 8, generator=generator)
    return x, y, (torch.rand(8, generator=generator) > 0.6).float()


def run(work: Path, accumulation: int, steps: int = 12, **options):
    def make(step):
        parts = [part.chunk(accumulation) for part in rows(step)]
        return list(zip(*parts, strict=True))

    module = Masked(build, OptimizerConfig(lr=0.01, warmup_steps=3), steps, parallel=CPU)
    data = StreamData(
        lambda rank, world: IndexedSteps(make, steps),
        lambda batch: (int(batch[2].sum()), len(batch[0])),
        steps * accumulation,
        **options,
    )
    report = fit(module, data, work=work, accumulation=accumulation, progress=False)
    return parallel.full_weights(module.model), report


def test_accumulating_eight_parts_equals_one_whole_batch(tmp_path):
    # the parts hold different numbers of counted rows, even none: their mean is weighted
    whole, whole_report = run(tmp_path / "whole", 1)
    parts, parts_report = run(tmp_path / "parts", 8)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=1e-5, atol=1e-6)
    assert parts_report["loss"] == pytest.approx(whole_report["loss"], rel=1e-5)


def test_a_worker_process_changes_nothing(tmp_path):
    here, _ = run(tmp_path / "here", 2)
    there, _ = run(tmp_path / "there", 2, workers=1)
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_logs_have_a_row_a_step_with_the_schedule_in_it(tmp_path):
    run(tmp_path, 2)
    with (tmp_path / "metrics.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in table] == list(range(1, 13))
    assert float(table[2]["lr"]) == pytest.approx(0.01)
    assert float(table[-1]["lr"]) == pytest.approx(0.001)
    assert int(table[-1]["tokens"]) == 12 * 8
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_every_step_is_told_with_the_numbers_logged_for_it(tmp_path):
    told = []
    with heard_by(told.append):
        run(tmp_path, 2)
    with (tmp_path / "metrics.csv").open() as stream:
        losses = [f"loss {float(row['loss']):.3f}" for row in csv.DictReader(stream)]
    steps = dict.fromkeys(part.done for parts in told for part in parts)
    assert list(steps) == list(range(13))
    last = {part.done: part.text for parts in told for part in parts}
    assert [last[done].split(", ")[1] for done in range(1, 13)] == losses
    assert last[1].startswith("step 2 of 12, ")
    assert told[-1] == ()


def test_training_twice_in_one_folder_only_reads_the_end(tmp_path):
    first, _ = run(tmp_path, 2)
    second, report = run(tmp_path, 2)
    assert report["resumed_at"] == 12
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_ctrl_c_is_a_keyboard_interrupt_and_the_next_is_heard_too(tmp_path):
    def make(step):
        if step == 5:
            raise KeyboardInterrupt
        return [rows(step)]

    module = Masked(build, OptimizerConfig(lr=0.01, warmup_steps=3), 12, parallel=CPU)
    data = StreamData(
        lambda rank, world: IndexedSteps(make, 12),
        lambda batch: (int(batch[2].sum()), len(batch[0])),
        12,
    )
    heard = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(module, data, work=tmp_path / "stopped", progress=False)
        assert signal.getsignal(signal.SIGINT) is heard
    finally:
        signal.signal(signal.SIGINT, heard)
    stopped, _ = run(tmp_path / "stopped", 1)
    whole, _ = run(tmp_path / "whole", 1)
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_keeps_the_step_at_work_and_the_next_start_goes_on(tmp_path, capfd):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    killed_fit.main(whole)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), happening(7, interrupt):
            killed_fit.main(stopped, progress=True)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, heard)
    # it came within the eighth step; the regular states are those of the third, sixth, ninth
    assert latest_name(stopped) == "resume-000000008.ckpt"
    told = capfd.readouterr()
    assert "stopping after this step" in told.err
    assert "going on" not in told.out
    killed_fit.main(stopped, progress=True)
    assert "train: going on from step 8 of 40" in capfd.readouterr().out
    hashes = [(folder / "weights.sha256").read_text() for folder in (whole, stopped)]
    assert hashes[0] == hashes[1]
    assert deterministic_columns(stopped) == deterministic_columns(whole)


def test_a_second_ctrl_c_and_one_with_nothing_to_save_stop_at_once(tmp_path):
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # twice within the eighth step: the state of the sixth stays; within the tenth, that of the
        # ninth has just been saved
        for step, times, kept in ((7, 2, 6), (9, 1, 9)):
            with pytest.raises(KeyboardInterrupt), happening(step, interrupt, times):
                killed_fit.main(tmp_path)
            assert latest_name(tmp_path) == f"resume-00000000{kept}.ckpt"
    finally:
        signal.signal(signal.SIGINT, heard)


# --- kill -9 ------------------------------------------------------------------------------------
def test_kill_9_at_any_point_ends_with_the_same_bytes(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_apart(SERVER, killed_fit.main, whole) == 0
    dice = random.Random(7)
    for _ in range(2):
        before = latest_name(killed)
        kill_apart(
            SERVER,
            killed_fit.main,
            killed,
            when=lambda before=before: latest_name(killed) != before,
            after=dice.random() * 0.1,
        )
    # what a kill in the middle of writing leaves
    (killed / "resume-000000099.ckpt.partial").write_bytes(b"torn")
    with (killed / "metrics.csv").open("a") as stream:
        stream.write("39,torn")

    assert run_apart(SERVER, killed_fit.main, killed) == 0
    hashes = [(folder / "weights.sha256").read_text() for folder in (killed, whole)]
    assert hashes[0] == hashes[1]
    assert deterministic_columns(killed) == deterministic_columns(whole)


# --- the resume state's parts -------------------------------------------------------------------
def test_random_state_survives_a_weights_only_file(tmp_path):
    torch.save(random_state(), tmp_path / "state")
    expected = torch.rand(3), np.random.rand(3), random.random(), np.random.normal()
    set_random_state(torch.load(tmp_path / "state", weights_only=True))
    found = torch.rand(3), np.random.rand(3), random.random(), np.random.normal()
    assert torch.equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    assert found[2:] == expected[2:]


def test_metrics_table_drops_rows_after_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    for step in (1, 2, 3):
        table.log_metrics({"loss": step / 2}, step)
    path.write_text(path.read_text() + "4,0.")  # torn by a kill
    table = MetricsTable(path, keep_until=2)
    table.log_metrics({"loss": 9.0, "unknown": 1.0}, 3)
    assert path.read_text().split() == ["step,loss", "1,0.5", "2,1.0", "3,9.0"]
    MetricsTable(path)
    assert not path.exists()


# --- machine ------------------------------------------------------------------------------------
def test_cpu_trains_in_fp32_and_a_gpu_in_what_it_computes(monkeypatch):
    config = ParallelConfig()
    assert parallel.pick_precision(config, "cpu") == "fp32"
    for native, expected in ((True, "bf16"), (False, "fp16")):  # an A100, a T4
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True, n=native: n
        )
        assert parallel.pick_precision(config, "gpu") == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no GPU; choose cpu or auto"):
        parallel.pick_accelerator(ParallelConfig(accelerator="gpu"))


def test_compiling_is_decided_by_the_work_of_the_run():
    def function(model, batch):
        return batch

    def choice(config, flops):
        chosen = parallel.compiled(function, Net(), config, flops=flops, device="cpu")
        return chosen is not function

    assert not choice(ParallelConfig(), 1e9)
    assert choice(ParallelConfig(), 1e15) == parallel.can_compile_on_cpu()
    assert choice(ParallelConfig(compile="on"), 0)
    assert not choice(ParallelConfig(compile="off"), 1e15)


def test_recomputing_activations_gives_the_same_gradients():
    plain, recomputed = build(), build()
    parallel.checkpoint_activations(recomputed)
    for net in (plain, recomputed):
        net(rows(0)[0]).square().sum().backward()
    assert recomputed.state_dict().keys() == plain.state_dict().keys()
    for a, b in zip(plain.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
