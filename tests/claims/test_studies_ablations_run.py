"""P3 to P6 measured on small random models and judged: every name a rule asks for is there."""

from dataclasses import replace

import numpy as np
import pytest
from small import PIECES, small_model, small_tokenizer, world_artifact

from llamalite.ablations import serving
from llamalite.ablations.serving import Served
from llamalite.artifacts import Artifact, drafting
from llamalite.claims import all_studies
from llamalite.claims.study import Finished
from llamalite.model.checkpoint import save_model
from llamalite.presets import get_preset
from llamalite.pretraining.config import PretrainConfig
from llamalite.world import World, WorldConfig

CI = get_preset("ci")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A world, and what turns a context into a pretraining artifact of a random model."""
    folder = tmp_path_factory.mktemp("runs")
    world = World(WorldConfig(people=12, attributes=3, towns=4, arithmetic_max=5, canaries=4))
    tokenizer = small_tokenizer(world)

    def make(name, context, seed=0):
        model = small_model(context, seed)
        config = PretrainConfig(
            model=model.config, sequence_length=context, mixture={"encyclopedia": 1.0}
        )
        with drafting(folder / name, "pretrain", config, {}, seed) as draft:
            save_model(draft.path, model)
            tokenizer.save(draft.path / "tokenizer.model")
        return Artifact.open(folder / name)

    assert tokenizer.vocab_size == PIECES
    return world_artifact(folder, world), make


def measured(trained, claim, contexts):
    """A claim's measurement, its arms being random models of these contexts."""
    world, make = trained
    arms = {
        arm: {"world": world, "pretrain": make(f"{claim}-{number}", context, number)}
        for number, (arm, context) in enumerate(contexts.items())
    }
    found = all_studies()[claim].measure(Finished(CI, 1, arms))
    verdict, _ = all_studies()[claim].rule.judge([found] * 3)
    assert verdict in ("holds", "not_shown", "contradicted")
    return found


def test_recipes(trained):
    arms = all_studies()["P3"].arms(CI)
    found = measured(trained, "P3", {arm: 128 if "v2" in arm else 64 for arm in arms})
    assert len(found) == 4 * 5  # arms and groups of exams
    for group in ("reading comprehension", "math"):
        assert len({len(found[f"{group}, {arm}"]) for arm in arms}) == 1


def test_contexts(trained):
    found = measured(trained, "P4", {"T": 64, "2T": 128})
    gain = np.subtract(found["name far, 2T"], found["name far, T"])
    assert np.array_equal(found["gain on long inputs"], gain)
    assert len(found["name near, T"]) == len(gain) > 3
    change = np.mean(found["short, 2T"]) - np.mean(found["short, T"])
    assert np.mean(found["change, short"]) == pytest.approx(change)


def test_attentions(trained):
    found = measured(trained, "P5", {"MHA": 128, "GQA": 128, "MQA": 128})
    assert found["largest difference of parameters"] == 0  # all of one shape, in this test
    assert 4 < np.mean(found["loss, GQA"]) < 8  # near log 400, nothing was learned
    assert len(found["exams, GQA less MHA"]) == len(found["exams, MQA"])


def test_serving_as_the_paper_has_it(monkeypatch):
    """Figures as in the paper's figure: half and a quarter of the bytes, twice and four times the
    batch, more speed where the batch is large. They hold, and a smaller batch does not."""

    def served(largest):
        def serve(models, config):
            speeds = {"MHA": 1.0, "GQA": 0.8, "MQA": 0.7}
            return {
                name: Served(
                    1000,
                    800 * model.n_kv_heads,
                    {
                        b: [speeds[name] * b] * config.repeats
                        for b in (1, 2, 4)
                        if b <= largest[name]
                    },
                    2 * largest[name],
                )
                for name, model in models.items()
            }

        monkeypatch.setattr(serving, "serve", serve)
        found = all_studies()["P6"].measure(Finished(CI, 1, {}))
        return all_studies()["P6"].rule.judge([found] * 3)[0], found

    verdict, found = served({"MHA": 1, "GQA": 2, "MQA": 4})
    assert verdict == "holds"
    assert found["log throughput, GQA over MHA"] == pytest.approx([np.log(1 / 0.8)] * 2)
    assert found["curve batch, MQA"] == [1, 2, 4]
    assert served({"MHA": 2, "GQA": 2, "MQA": 4})[0] == "not_shown"
    verdict, found = served({"MHA": 4, "GQA": 2, "MQA": 4})  # out of memory before multi-head
    assert verdict == "contradicted"
    assert found["log throughput, GQA over MHA"] == pytest.approx([np.log(1 / 0.8)] * 2)
    with pytest.raises(ValueError, match="72 MiB hold not one sequence of 128 tokens with MHA;"):
        served({"MHA": 0, "GQA": 2, "MQA": 4})
    with pytest.raises(ValueError, match="with GQA, MQA; raise the budget"):
        served({"MHA": 1, "GQA": 0, "MQA": 0})


def test_a_model_without_groups_is_no_arm():
    model = replace(CI.pretrain.model, n_kv_heads=4)
    with pytest.raises(ValueError, match="form no groups"):
        all_studies()["P5"].arms(replace(CI, pretrain=replace(CI.pretrain, model=model)))
