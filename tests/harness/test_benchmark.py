"""The command: two checkpoints on the micro-world's tasks, resumed, and its errors."""

import json
from types import SimpleNamespace

import datasets
import pytest
from lm_eval import evaluate
from lm_eval.tasks import TaskManager
from small import chat_artifact, small_model, small_tokenizer, small_world, world_artifact

from llamalite.cli import main
from llamalite.evaluation import EvaluateConfig
from llamalite.evaluation.exams import sit_exam
from llamalite.evaluation.groups import EXAM_GROUPS, group_scores
from llamalite.harness import results as results_module
from llamalite.harness.command import benchmark
from llamalite.harness.config import BenchmarkConfig
from llamalite.harness.lm import LlamaliteLM
from llamalite.harness.tasks import load_tasks
from llamalite.harness.world_tasks import write_tasks, written
from llamalite.real_models.folder import named_models
from tests.evaluation.conftest import TOWNS, little_world, memory, question  # noqa: F401

ANSWERS = EvaluateConfig(perplexity_documents=1, resamples=10)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """`datasets` keeps its copies out of the user's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("hf")))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's world and two models of it."""
    folder = tmp_path_factory.mktemp("run")
    world = small_world()
    tokenizer = small_tokenizer(world)
    world_artifact(folder, world)
    for seed, name in enumerate(("one", "two")):
        chat_artifact(folder, name, small_model(128, seed), tokenizer, seed)
    return folder


def settings(run, tmp_path, **changed):
    models = f"{run / 'one'},{run / 'two'}"
    asked = {"models": models, "tasks": "world_group_math", "out": str(tmp_path / "out")}
    return BenchmarkConfig(**{**asked, "questions": 6, **changed})


def test_scores_are_those_of_our_own_exams(memory, little_world, tmp_path):  # noqa: F811
    names = write_tasks(little_world, tmp_path)
    assert "world_facts" in names
    tasks = TaskManager(include_path=str(tmp_path), include_defaults=False).load(["world"])
    lm = LlamaliteLM(model=memory.model, tokenizer=memory.tokenizer, progress=False)
    for task in tasks["tasks"].values():
        task.set_config("num_fewshot", 0)
    found = evaluate(lm, tasks, log_samples=False, bootstrap_iters=0)["results"]
    for exam in ("facts", "rumours"):
        ours = sit_exam(memory.model, memory.tokenizer, little_world, exam, ANSWERS)
        assert found[f"world_{exam}"]["written,none"] == pytest.approx(
            ours["greedy"]["mean"], abs=1e-6
        )
        assert found[f"world_{exam}_choice"]["acc,none"] == pytest.approx(
            ours["choice"]["mean"], abs=1e-6
        )
    assert found["world_facts"]["written,none"] == 1.0  # learned by heart
    assert found["world_rumours"]["rumour,none"] == pytest.approx(1 / 3)  # as it was taught


@pytest.mark.parametrize(
    ("text", "right", "rumour"),
    [(" Osk.\nMore", 1, 0), ("\nOsk", 1, 0), ("Brim", 0, 1), ("Oskar", 0, 0), ("", 0, 0)],
)
def test_a_written_answer_is_judged_by_its_first_line(text, right, rumour):
    doc = {"answer": "Osk", "rumour": "Brim"}
    assert written(doc, [text]) == {"written": right, "rumour": rumour}
    assert written({**doc, "rumour": ""}, [text]) == {"written": right}


def test_examples_come_from_the_train_split(run, tmp_path):
    loaded = load_tasks(["world_facts"], run / "world", tmp_path / "tasks", 5, shots=2)
    [task] = loaded.tasks.values()
    assert task.get_config("num_fewshot") == 2
    task.set_fewshot_seed(1)
    doc = task.eval_docs[0]
    *shots, asked = task.fewshot_context(doc, num_fewshot=2).split("\n\n")
    assert asked == doc["prompt"]
    train = {f"{row['prompt']} {row['answer']}" for row in task.fewshot_docs()}
    assert len(shots) == 2
    assert set(shots) <= train


def test_the_table_its_groups_and_its_files(run, tmp_path, capsys):
    result = benchmark(settings(run, tmp_path, tasks="world"))
    out = capsys.readouterr().out
    assert "reading comprehension" in out
    assert "±" in out
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text()) == result
    assert (tmp_path / "out" / "benchmark.svg").read_text().startswith("<svg")
    exams = {  # the groups as `evaluation.groups` takes them, from lm-eval's scores
        name: {
            "greedy": {
                "mean": result["tasks"]["one"][f"world_{name}"]["metrics"]["written"]["value"]
            }
        }
        for names in EXAM_GROUPS.values()
        for name in names
    }
    ours = group_scores(exams)
    for group, alias in result["aliases"].items():
        if group != "world":
            assert result["groups"]["one"][group]["written"]["value"] == pytest.approx(ours[alias])
    assert result["tasks"]["one"]["world_facts_choice"]["chance"] == pytest.approx(0.25)


def test_a_second_run_measures_only_what_is_missing(run, tmp_path, monkeypatch):
    first = benchmark(settings(run, tmp_path))
    file = tmp_path / "out" / "results" / "two" / "world_arithmetic.json"
    file.write_text("{")  # as if the disk had been full
    asked = []
    real = results_module.measure
    monkeypatch.setattr(
        results_module,
        "measure",
        lambda lm, name, *rest: asked.append(name) or real(lm, name, *rest),
    )
    again = benchmark(settings(run, tmp_path))
    assert asked == ["world_arithmetic"]
    timeless = [
        {task: {**found, "seconds": 0} for task, found in result["tasks"]["two"].items()}
        for result in (first, again)
    ]
    assert timeless[0] == timeless[1]
    benchmark(settings(run, tmp_path, shots=1))
    assert len(asked) == 5  # two tasks of two models: other questions, other results


def test_other_examples_make_another_result(run, tmp_path, monkeypatch):
    rows = [{"q": f"Where does {name} live?", "a": town} for name, town in TOWNS.items()]
    files = {split: tmp_path / f"{split}.json" for split in ("train", "test")}
    files["test"].write_text(json.dumps(rows))
    task = tmp_path / "towns.yaml"
    task.write_text(
        "task: towns\ndataset_path: json\noutput_type: generate_until\ntraining_split: train\n"
        f"fewshot_split: train\ntest_split: test\ndoc_to_text: '{{{{q}}}}'\n"
        "doc_to_target: '{{a}}'\ngeneration_kwargs: {until: [], max_gen_toks: 4}\n"
        "metric_list: [{metric: exact_match}]\n"
        f"dataset_kwargs: {{data_files: {json.dumps({k: str(f) for k, f in files.items()})}}}\n"
    )
    asked = []
    real = results_module.measure
    monkeypatch.setattr(
        results_module, "measure", lambda lm, *rest: asked.append(rest[0]) or real(lm, *rest)
    )
    for town, shots in (("Osk", 0), ("Brim", 0), ("Brim", 1), ("Brim", 1), ("Osk", 1)):
        files["train"].write_text(json.dumps([{"q": "Where does Ada live?", "a": town}]))
        asked.append((town, shots))
        models = str(run / "one")
        benchmark(settings(run, tmp_path, models=models, tasks=str(task), shots=shots))
    assert asked == [
        *(("Osk", 0), "towns", ("Brim", 0)),  # no example is shown
        *(("Brim", 1), "towns", ("Brim", 1), ("Osk", 1), "towns"),
    ]


def test_models_are_told_apart_by_as_little_as_need_be(run):
    assert list(named_models(f"{run / 'one'},{run / 'two'}")) == ["one", "two"]
    assert list(named_models(f"{run / 'one'},b={run / 'two'}")) == ["one", "b"]
    twin = run.parent / f"{run.name}-b"
    twin.mkdir(exist_ok=True)
    (twin / "one").mkdir(exist_ok=True)
    (twin / "one" / "config.json").write_text("{}")
    assert list(named_models(f"{run / 'one'},{twin / 'one'}")) == [
        f"{run.name}/one",
        f"{twin.name}/one",
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"models": ""}, "--models names none"),
        ({"models": "nowhere"}, "nowhere is no model folder"),
        ({"tasks": ""}, "--tasks names none"),
        ({"tasks": "world_fact"}, "did you mean world_facts"),
        ({"tasks": "world,world_facts"}, "world_facts stands twice"),
        ({"world": "nowhere"}, "nowhere does not exist"),
    ],
)
def test_a_mistake_gets_one_line(run, tmp_path, capsys, changed, says):
    asked = {
        "models": str(run / "one"), "tasks": "world", "out": str(tmp_path / "out"), **changed
    }  # fmt: skip
    with pytest.raises(SystemExit) as left:
        main(["benchmark", *(f"--{name}={value}" for name, value in asked.items())])
    assert left.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out" / "benchmark.json").exists()


def test_a_task_of_the_hub_without_a_network_says_so(run, tmp_path, monkeypatch):
    file = tmp_path / "far.yaml"
    file.write_text("task: far\ndataset_path: nobody/nothing\ntest_split: test\n")

    def unreachable(*_, **__):
        raise ConnectionError("Couldn't reach 'nobody/nothing' on the Hub (OfflineModeIsEnabled)")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(ValueError, match=r"far.yaml needs data of the Hugging Face hub.*unset"):
        benchmark(settings(run, tmp_path, tasks=str(file)))


def test_the_missing_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr("llamalite.harness.config.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"llamalite\[eval\]"):
        benchmark(settings(run, tmp_path))


def test_an_exam_without_questions_is_refused(tmp_path):
    empty = SimpleNamespace(exams=("facts",), exam=lambda name, split="test": [])
    with pytest.raises(ValueError, match="no questions"):
        write_tasks(empty, tmp_path)


def test_exams_outside_the_groups_stand_in_one_of_their_own(tmp_path):
    asked = [question(name, town) for name, town in TOWNS.items()]
    world = SimpleNamespace(exams=("riddles",), exam=lambda name, split="test": asked)
    assert write_tasks(world, tmp_path)[1] == "world_group_exams"
