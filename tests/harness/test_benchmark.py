"""The command: two checkpoints on the micro-world's tasks, resumed, and its errors."""

import json
from random import Random
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
from llamalite.harness.samples import question_by_question, verbalised
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


def local_task(folder, **changed):
    """Twenty questions, each of other words, as a task file of lm-eval that needs no network."""
    towns = sorted(set(TOWNS.values()))
    rows = [
        {
            "q": " ".join(
                "".join(Random(f"{n} {k}").choices("aeioulmnrst", k=5)) for k in range(9)
            ),
            "a": towns[n % len(towns)],
            "towns": towns,
        }
        for n in range(20)
    ]
    (folder / "towns.json").write_text(json.dumps(rows))
    settings = {
        "task": "towns",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "towns.json")}},
        "test_split": "test",
        "description": "What is known of towns: ",
        "doc_to_text": "{{q}}",
        "output_type": "generate_until",
        "doc_to_target": "{{a}}",
        "generation_kwargs": {"until": [], "max_gen_toks": 4},
        "metric_list": [{"metric": "exact_match"}],
    } | changed
    file = folder / "towns.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    return file, rows


def test_questions_one_by_one_join_onto_the_contamination_report(run, tmp_path, capsys):
    """A benchmark's file of samples is a benchmark to `llamalite contamination`; a corpus that has
    half of the questions is found to have half of them."""
    chosen = {"output_type": "multiple_choice", "doc_to_choice": "towns"}
    chosen |= {"doc_to_target": "{{towns.index(a)}}", "metric_list": [{"metric": "acc"}]}
    file, rows = local_task(tmp_path, **chosen)
    asked = {"models": str(run / "one"), "tasks": str(file), "out": str(tmp_path / "out")}
    assert main(["benchmark", "--samples=true", *(f"--{k}={v}" for k, v in asked.items())]) == 0
    samples = tmp_path / "out" / "samples" / "one" / "towns.jsonl"
    assert str(samples.parent.parent) in capsys.readouterr().out
    written = [json.loads(line) for line in samples.open()]
    assert [each["text"] for each in written] == [f"{row['q']} {row['a']}" for row in rows]
    [result] = json.loads((tmp_path / "out" / "benchmark.json").read_text())["tasks"][
        "one"
    ].values()
    assert {each["score"] for each in written} == {0.0, 1.0}  # a random model guesses some
    mean = sum(each["score"] for each in written) / len(written)
    assert mean == pytest.approx(result["metrics"]["acc"]["value"])

    corpus = tmp_path / "corpus.jsonl"
    told = [each["text"] for each in written[::2]] + ["Nothing of it stands in this document."]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in told))
    call = {"benchmark": samples, "corpus": corpus, "tokenizer": run / "one", "out": tmp_path / "c"}
    assert main(["contamination", *(f"--{name}={value}" for name, value in call.items())]) == 0
    report = json.loads((tmp_path / "c" / "contamination.json").read_text())
    assert (report["samples"], report["rejected"]) == (20, 0)
    clean, _, _, dirty = report["subsets"]["10"]
    assert (clean["samples"], dirty["samples"]) == (10, 10)
    assert dirty["score"] == pytest.approx(sum(each["score"] for each in written[::2]) / 10)


def test_samples_that_are_missing_or_of_another_run_are_written_again(run, tmp_path, monkeypatch):
    file, rows = local_task(tmp_path)
    asked = []
    real = results_module.measure
    monkeypatch.setattr(results_module, "measure", lambda *given: asked.append(1) or real(*given))
    samples = tmp_path / "out" / "samples" / "one" / "towns.jsonl"
    models = str(run / "one")

    def go(**changed):
        asked.clear()
        benchmark(settings(run, tmp_path, models=models, tasks=str(file), **changed))
        return len(asked)

    assert (go(), samples.exists()) == (1, False)
    assert (go(samples=True), samples.exists()) == (1, True)
    assert go(samples=True) == go() == 0
    samples.write_text("{}")
    assert go() == 0
    assert go(samples=True) == 1
    assert (go(samples=True, limit=2), len(samples.read_text().splitlines())) == (1, 2)
    assert go() == 1
    assert (go(samples=True), len(samples.read_text().splitlines())) == (1, len(rows))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "In which town of the valley does Ada live? Osk"),
        (
            {
                "output_type": "multiple_choice",
                "doc_to_choice": ["Brim", "Osk"],
                "doc_to_target": "1",
                "target_delimiter": ": ",
            },
            "In which town of the valley does Ada live?: Osk",
        ),
        (  # as WinoGrande: a beginning for each choice, and one end
            {
                "output_type": "multiple_choice",
                "doc_to_text": "0",
                "doc_to_choice": ["Osk lies where", "Brim lies where"],
                "doc_to_target": "the river bends",
            },
            "Osk lies where the river bends",
        ),
        (
            {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{q}}"},
            "In which town of the valley does Ada live?",
        ),
    ],
    ids=["written", "chosen", "chosen beginning", "rolling"],
)
def test_a_question_is_told_with_its_right_answer_and_without_examples(tmp_path, changed, text):
    file, _ = local_task(tmp_path, **changed)
    [task] = load_tasks([str(file)], tmp_path, tmp_path / "tasks", 0).tasks.values()
    doc = {"q": "In which town of the valley does Ada live?", "a": "Osk"}
    assert verbalised(task, doc) == text


def test_a_score_of_a_whole_text_is_none_of_a_question(tmp_path):
    file, _ = local_task(tmp_path)
    [task] = load_tasks([str(file)], tmp_path, tmp_path / "tasks", 0).tasks.values()
    row = {"filter": "none", "doc": {"q": "Who?", "a": "Osk"}, "acc": 1, "word_perplexity": (-9, 3)}
    assert [each.score for each in question_by_question(task, [row], "acc")] == [1.0]
    assert question_by_question(task, [row], "acc,strict") == []
    with pytest.raises(ValueError, match="word_perplexity of towns is no number for each question"):
        question_by_question(task, [row], "word_perplexity")


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
