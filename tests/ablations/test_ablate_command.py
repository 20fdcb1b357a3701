"""`llamalite ablate` and `llamalite throughput` as a person calls them."""

import json

import pytest

from llamalite import presets
from llamalite.ablations import serving
from llamalite.ablations.command import AblateConfig, arms
from llamalite.ablations.serving import Served
from llamalite.claims import all_studies
from llamalite.claims.study import with_settings
from llamalite.cli import main

CI = presets.RUNS["ci"]


@pytest.fixture
def tiny(monkeypatch):
    """`ci` with four steps to a run."""
    changed = with_settings(
        CI,
        tokenizer={"sample_documents": 800},
        pretrain={"tokens": 4 * CI.pretrain.step_tokens, "held_out": 2},
        evaluate={"exam_questions": 4},
    )
    monkeypatch.setitem(presets.RUNS, "ci", changed)


def test_an_ablation_trains_asks_and_tells(tiny, tmp_path, capsys):
    call = ["ablate", "--vary", "context", "--contexts", "[128,256]", "--out", str(tmp_path)]
    assert main(call) == 0
    rows = json.loads((tmp_path / "ablation.json").read_text())
    assert [row["name"] for row in rows] == ["context 128", "context 256"]
    assert len({row["parameters"] for row in rows}) == len({row["tokens"] for row in rows}) == 1
    assert all(3 < row["held_out_loss"] < 8 for row in rows)
    assert all(0 <= score <= 1 for row in rows for score in row["exams"].values())
    shown = capsys.readouterr().out
    assert "context 128" in shown
    assert "held-out loss" in shown
    assert len(list(tmp_path.rglob("pretrain/model.safetensors"))) == 2


def test_each_kind_changes_one_thing():
    def changed(**settings):
        runs = {name: arm.pretrain for name, arm in arms(AblateConfig(**settings)).items()}
        first = next(iter(runs.values()))
        fields = {
            name
            for run in runs.values()
            for name in vars(run)
            if getattr(run, name) != getattr(first, name)
        }
        return list(runs), fields

    assert changed(vary="attention", kv_heads=(4, 1)) == (["4 kv heads", "1 kv heads"], {"model"})
    assert changed() == (["MHA", "GQA", "MQA"], {"model"})
    assert changed(vary="mix", weights=(0.5, 2.0)) == (
        ["encyclopedia x 0.5", "encyclopedia x 2"],
        {"mixture"},
    )
    assert changed(vary="size") == (["nano", "micro", "mini", "small"], {"model"})
    assert changed(vary="recipe") == (
        ["v1", "v2"],
        {"tokens", "sequence_length", "batch_size", "mixture", "model"},
    )
    names, fields = changed(vary="context", contexts=(64, 256))
    assert (names, fields) == (
        ["context 64", "context 256"],
        {"sequence_length", "batch_size", "model"},
    )
    tokens = {arm.pretrain.tokens for arm in arms(AblateConfig(tokens=50_000)).values()}
    assert tokens == {50_000}


def test_the_recipes_are_those_of_p3():
    """Llama 1's 1.4T tokens at 2k, Llama 2's 2.0T at 4k (table 1), at a hundred-millionth."""
    ours = arms(AblateConfig(vary="recipe", tokens=20_000))
    v1, v2 = (ours[name].pretrain for name in ("v1", "v2"))
    assert (v1.tokens, v2.tokens) == (14_286, 20_000)
    assert (2 * v1.sequence_length, v1.step_tokens) == (v2.sequence_length, v2.step_tokens)
    base = CI.pretrain.mixture
    assert v1.mixture == base | {"encyclopedia": pytest.approx(base["encyclopedia"] / 3)}
    p3 = all_studies()["P3"].arms(CI)
    mine = arms(AblateConfig(vary="recipe", tokens=p3["v2, whole"].pretrain.tokens))
    assert {f"{name}, whole": arm for name, arm in mine.items()} == {
        name: p3[name] for name in ("v1, whole", "v2, whole")
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--vary", "mix", "--source", "gossip"], "no source 'gossip'; choose among encyclopedia"),
        (["--vary", "size", "--sizes", "[huge,mini]"], "no model is called 'huge'"),
        (["--vary", "context", "--contexts", "[100,256]"], "no whole number of rows of 100"),
        (["--vary", "context", "--contexts", "[0,64]"], "no whole number of rows of 0"),
        (["--preset", "english"], "the preset english has no micro-world to ask exams of"),
        (["--kv_heads", "[3,1]"], "n_heads 4 is not divisible by n_kv_heads 3"),
        (["--kv_heads", "[2]"], "compares 1 model; name two or more"),
        (["--preset", "tiny"], "unknown preset 'tiny'"),
    ],
)
def test_a_mistake_is_said_before_anything_is_trained(options, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["ablate", *options, "--out", str(tmp_path)])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_throughput_writes_its_files_and_prints_its_table(tmp_path, monkeypatch, capsys):
    def found(models, config, on_progress):
        on_progress("4 kv heads, 1 at once")
        assert [model.n_kv_heads for model in models.values()] == [4, 1]
        return {
            "4 kv heads": Served(10, 4096, {1: [1.0], 2: [1.0]}, failed=4),
            "1 kv heads": Served(10, 1024, {1: [1.0], 2: [1.0], 4: [1.0]}),
        }

    monkeypatch.setattr(serving, "serve", found)
    call = ["throughput", "--kv_heads", "[4,1]", "--new_tokens", "8", "--out", str(tmp_path)]
    assert main(call) == 0
    told = json.loads((tmp_path / "throughput.json").read_text())
    assert told["4 kv heads"]["tokens_per_second"] == {"1": 8.0, "2": 16.0}
    drawn = (tmp_path / "throughput.svg").read_text()
    assert drawn.startswith("<svg")
    assert "out of memory at 4" in drawn
    shown = capsys.readouterr().out
    assert "4,096" in shown
    assert "4+" in shown  # doubling ended before memory did
