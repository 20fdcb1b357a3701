"""The micro-world's exams as task files of lm-eval: YAML, and a JSONL file of questions each.

Every exam becomes two tasks: `world_facts` is answered in writing, `world_facts_choice` by the
log-likelihood of its choices. Groups follow `llamalite.evaluation.groups`; `world` is all of them.
The questions are those of `llamalite.evaluation.exams`, and so is the judge of written answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from llamalite.disk import write_bytes
from llamalite.evaluation.exams import begins_with, choose_evenly
from llamalite.evaluation.groups import EXAM_GROUPS
from llamalite.protocols import ExamSet, Question

EVERYTHING = "world"
"""The group of all tasks."""
VERSION = 1
"""Raised when equal questions would be asked or judged otherwise."""


class _Function(str):
    """A function that lm-eval imports by its path."""


class _Dumper(yaml.SafeDumper):
    """YAML with lm-eval's tag for functions."""


_Dumper.add_representer(
    _Function, lambda dumper, name: dumper.represent_scalar("!function", str(name))
)


def group_name(group: str) -> str:
    """What lm-eval calls a group of exams: "world_group_math"."""
    return f"{EVERYTHING}_group_{group.split()[-1]}"


def task_names(exam: str) -> tuple[str, str]:
    """The two tasks of an exam: answered in writing, and by choice."""
    return f"{EVERYTHING}_{exam}", f"{EVERYTHING}_{exam}_choice"


def written(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Whether the first line begins with the answer; where a rumour goes round, with that."""
    line = results[0].strip().split("\n")[0]
    right = begins_with(line, doc["answer"])
    scores = {"written": float(right)}
    if doc["rumour"]:
        scores["rumour"] = float(begins_with(line, doc["rumour"]) and not right)
    return scores


def write_tasks(exams: ExamSet, folder: str | Path, questions: int = 200) -> list[str]:
    """Write the task files of all exams into a folder; returns the names of tasks and groups.

    At most `questions` of each exam (0: all) are asked, those that the evaluate stage asks. A file
    that would not change is left as it is. The files hold this folder's path, so write them anew
    elsewhere. Raises ValueError for an exam without questions.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    grouped = {name for names in EXAM_GROUPS.values() for name in names}
    for exam in exams.exams:
        asked = choose_evenly(exams.exam(exam, "test"), questions)
        if not asked:
            raise ValueError(f"exam {exam!r} has no questions; give it some, or a larger world")
        data = {}
        for split, part in (("test", asked), ("train", exams.exam(exam, "train"))):
            file = folder / f"{exam}_{split}.jsonl"
            _write(file, "".join(f"{json.dumps(_row(q))}\n" for q in part or asked[:0]))
            if part:
                data[split] = str(file)
        for config in _configs(exam, asked, data):
            _write(folder / f"{config['task']}.yaml", _yaml(config))
    groups = {group: [n for n in names if n in exams.exams] for group, names in EXAM_GROUPS.items()}
    groups["other exams"] = [name for name in exams.exams if name not in grouped]
    groups = {group: names for group, names in groups.items() if names}
    for group, names in groups.items():
        _write(folder / f"{group_name(group)}.yaml", _yaml(_group(group, names)))
    top = {"group": EVERYTHING, "task": [group_name(group) for group in groups]}
    _write(folder / f"{EVERYTHING}.yaml", _yaml(top))
    tasks = [task for exam in exams.exams for task in task_names(exam)]
    return [EVERYTHING, *map(group_name, groups), *tasks]


def _configs(exam: str, asked: Sequence[Question], data: dict[str, str]) -> list[dict[str, Any]]:
    """The two tasks of an exam."""
    by_writing, by_choice = task_names(exam)
    # no vocabulary spells a text in more tokens than it has bytes; a few more show where it ends
    longest = max(len(question.answer.encode("utf-8")) for question in asked) + 4
    means = {"aggregation": "mean", "higher_is_better": True}
    rumours = [{"metric": "rumour", "aggregation": "mean", "higher_is_better": False}]
    shared: dict[str, Any] = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": data},
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "target_delimiter": " ",
        "fewshot_delimiter": "\n\n",
        "metadata": {"version": VERSION},
    }
    if "train" in data:
        shared |= {"training_split": "train", "fewshot_split": "train"}
    return [
        {
            "task": by_writing,
            **shared,
            "output_type": "generate_until",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": longest},
            "process_results": _Function(f"{__name__}.written"),
            "metric_list": [{"metric": "written", **means}]
            + (rumours if all(question.rumour for question in asked) else []),
        },
        {
            "task": by_choice,
            **shared,
            "output_type": "multiple_choice",
            "doc_to_choice": "choices",
            "doc_to_target": "{{choices.index(answer)}}",
            "metric_list": [{"metric": metric, **means} for metric in ("acc", "acc_norm")],
        },
    ]


def _group(group: str, exams: Sequence[str]) -> dict[str, Any]:
    """A group, scored in writing and by choice as the plain mean over its exams."""
    return {
        "group": group_name(group),
        "group_alias": group,
        "task": [task for exam in exams for task in task_names(exam)],
        "aggregate_metric_list": [
            {"metric": metric, "aggregation": "mean", "weight_by_size": False}
            for metric in ("written", "acc", "acc_norm")
        ],
        "metadata": {"version": VERSION},
    }


def _row(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "prompt": question.prompt,
        "answer": question.answer,
        "choices": list(question.choices),
        "rumour": question.rumour or "",
    }


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _write(file: Path, text: str) -> None:
    """Write a file unless it stands there already: `datasets` reads a touched file anew."""
    content = text.encode()
    if not file.is_file() or file.read_bytes() != content:
        write_bytes(file, content)
