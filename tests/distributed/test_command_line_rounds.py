"""The loop's stages as torchrun starts them: the first process leads, all sample, all tune."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from small import brief_model, chat_artifact, small_tokenizer, small_world, world_artifact
from test_command_line import Processes

from llamalite.artifacts import Artifact, drafting
from llamalite.preferences.protocol import GUIDELINES
from llamalite.reward.config import RewardConfig
from llamalite.reward.model import RewardModel, save_reward_model

ROUND = [
    *("rejection_sampling", "--round", "1", "--preset", "ci"),
    *("--rejection_sampling.prompts", "12", "--rejection_sampling.prompts_at_once", "3"),
    *("--rejection_sampling.candidates", "4", "--rejection_sampling.max_new_tokens", "24"),
    *("--rejection_sampling.refit.batch_size", "4", "--rejection_sampling.refit.epochs", "1"),
    *("--rejection_sampling.refit.parallel.compile", "off"),
    *("--rejection_sampling.refit.parallel.accelerator", "cpu"),
]
TWO = ["--rejection_sampling.refit.parallel.data_parallel", "2"]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A run folder in which all that rejection sampling rests on stands, of random weights."""
    folder = tmp_path_factory.mktemp("before") / "ci-seed0"
    world = small_world()
    tokenizer = small_tokenizer(world)
    world_artifact(folder, world)
    for number, name in enumerate(("tokenizer", "pretrain", "sft", "preferences_1")):
        chat_artifact(folder, name, brief_model(tokenizer, number), tokenizer)
    with drafting(folder / "reward_1", "reward_1", RewardConfig(), {}, 0) as draft:
        for seed, name in enumerate(GUIDELINES):
            torch.manual_seed(seed)
            scorer = RewardModel.from_chat(brief_model(tokenizer))
            torch.nn.init.normal_(scorer.head.weight, std=0.5)
            save_reward_model(draft.path / name, scorer, tokenizer, name)
    return folder


def run(before, out, world, *more):
    """The round on a copy of what stands before it; what each process ended with."""
    if not out.exists():
        shutil.copytree(before, out / before.name)
    return Processes(world, [*ROUND, "--out", str(out), *more]).ends()


def test_torchrun_of_two_samples_and_tunes_as_one_process_does(before, tmp_path):
    [(code, _, err)] = run(before, tmp_path / "one", 1)
    assert code == 0, err
    [(code, out, err), (other, silence, _)] = run(before, tmp_path / "two", 2, *TWO)
    assert (code, other) == (0, 0), err
    assert out.count("done rejection_sampling_1") == 1
    assert silence == ""
    one, two = (
        Artifact.open(tmp_path / name / before.name / "rejection_sampling_1")
        for name in ("one", "two")
    )
    assert one.metrics["selected"] == two.metrics["selected"] > 3
    for name in ("candidates.parquet", "selected.parquet", "curves.json"):
        assert one.files[name] == two.files[name], name
    found, expected = (load_file(each.file("model.safetensors")) for each in (two, one))
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-4)
    # another number of processes does not make it stale
    [(code, out, err)] = run(before, tmp_path / "two", 1)
    assert code == 0, err
    assert "is up to date" in out + err


def test_another_number_of_processes_than_the_refit_is_set_up_for_is_refused(before, tmp_path):
    [(code, _, err), (other, _, silence)] = run(before, tmp_path / "two", 2)
    assert (code, other) == (2, 2)
    assert silence == ""
    assert err.splitlines()[-1] == (
        "llamalite: error: rejection_sampling.refit.parallel is set up for 1 process and 2 started;"
        " start 1 (torchrun --nproc-per-node, srun) or set "
        "rejection_sampling.refit.parallel.data_parallel x tensor_parallel to 2"
    )


def test_a_process_that_fails_over_its_share_ends_the_others(before, tmp_path):
    shutil.copytree(before, tmp_path / "two" / before.name)
    arguments = [*ROUND, "--out", str(tmp_path / "two"), *TWO]
    # the first makes its files and waits for those of the second
    others = ["--rejection_sampling.refit.parallel.accelerator", "gpu"]
    [(code, _, err), (other, _, silence)] = Processes(2, arguments, others=others).ends()
    assert (code, other) == (2, 2)
    lines = [line for line in err.splitlines() if "error" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "llamalite: error: process 1: accelerator is gpu but torch finds no GPU"
    )
    assert "Traceback" not in err + silence
