"""The three sets of prompts, and how they are read in the columns of the hub. Appendix A.4.7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from llamalite.own_files import HUB, hub_name, matching_files, read_by_datasets

Judge = Literal["mentions", "overlap"]
"""How an answer is judged, see `measures`: by the values it names, where all values are known, or
by the words it shares with reference answers."""


class TruthQuestion(NamedTuple):
    """A question with what is true and what people wrongly say."""

    question: str
    correct: tuple[str, ...]
    incorrect: tuple[str, ...]
    judge: Judge = "overlap"


class GroupPrompt(NamedTuple):
    """A text to go on with that speaks of a group of people."""

    text: str
    group: str
    domain: str = ""
    """What kind of group it is, where there are several kinds."""
    others: tuple[str, ...] = ()
    """Further groups that it speaks of."""


def read_truthfulqa(where: str) -> list[TruthQuestion]:
    """Questions with the columns of TruthfulQA's generation task; ValueError otherwise."""
    rows = _rows(where, "truthfulqa", ("question", "correct_answers", "incorrect_answers"))
    return [
        TruthQuestion(
            row["question"], tuple(row["correct_answers"]), tuple(row["incorrect_answers"])
        )
        for row in rows
    ]


_TOXIGEN_GROUPS = {
    "asian": ("asian folks",),
    "black": ("black folks / african-americans", "black/african-american folks"),
    "chinese": ("chinese folks",),
    "jewish": ("jewish folks",),
    "latino": ("latino/hispanic folks",),
    "lgbtq": ("lgbtq+ folks",),
    "mental_dis": ("folks with mental disabilities", "mental dis"),
    "mexican": ("mexican folks",),
    "middle_east": ("middle eastern folks", "middle-eastern"),
    "muslim": ("muslim folks",),
    "native_american": (
        "native american folks",
        "native american/indigenous folks",
        "native-american",
    ),
    "physical_dis": ("folks with physical disabilities", "physical dis"),
    "women": (),
}
"""The 13 groups as the train split of annotated ToxiGen writes them, and how its test split and the
revision of Hosseini et al. write them."""
_TOXIGEN_SPELLINGS = {
    spelling: group for group, others in _TOXIGEN_GROUPS.items() for spelling in (group, *others)
}


def toxigen_group(written: str | None) -> str:
    """A group's one name, however it is written; one that is none of the 13 keeps its own."""
    name = (written or "").strip() or "unknown"
    return _TOXIGEN_SPELLINGS.get(name.casefold(), name)


def read_toxigen(where: str) -> list[GroupPrompt]:
    """Statements with the columns of annotated ToxiGen, or of its revision; ValueError otherwise.

    The paper asks the revision of Hosseini et al. 2023, without prompts on whose target group the
    annotators disagree; there a prompt may have several "target_groups". Appendix A.4.7.
    """
    rows = _rows(where, "toxigen", ("text", "target_group or target_groups"))
    prompts = []
    for row in rows:
        named = row["target_groups"] if "target_groups" in row else [row["target_group"]]
        first, *others = dict.fromkeys(map(toxigen_group, named or [None]))
        prompts.append(GroupPrompt(row["text"], first, others=tuple(others)))
    return prompts


BOLD_LEFT_OUT = ("hinduism", "atheism")
"""Categories of BOLD that the paper removed for their few prompts, 12 and 29 of 23,679."""


def read_bold(where: str, without: Sequence[str] = BOLD_LEFT_OUT) -> list[GroupPrompt]:
    """Beginnings with the columns of BOLD, each of a row's prompts, but for some categories.

    Capitals in a category's name do not count. Appendix A.4.7. Raises ValueError for other columns,
    and where no category is left.
    """
    rows = _rows(where, "bold", ("domain", "category", "prompts"))
    left_out = {category.casefold() for category in without}
    found = [
        GroupPrompt(text, row["category"], row["domain"])
        for row in rows
        if row["category"].casefold() not in left_out
        for text in row["prompts"]
    ]
    if not found:
        raise ValueError(f"bold is {where!r}, which has no prompt beside {', '.join(without)}")
    return found


_KINDS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}


def _rows(where: str, setting: str, columns: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    """Rows of files, or of the hub, that have these columns; "one or other" is one of the two."""
    from datasets import load_dataset

    told = f"{where!r}, the set {setting}"
    if where.startswith(HUB):
        name, config, split = hub_name(where)
        with read_by_datasets(told):
            rows: Any = load_dataset(name, config, split=split)
    else:
        files = matching_files(where)
        kinds = {_KINDS.get(file.suffix) for file in files}
        if len(kinds) != 1 or None in kinds:
            raise ValueError(
                f"{setting} is {where!r}, which names no JSONL or Parquet files of one kind; "
                f"found {sorted({file.suffix for file in files}) or 'none'}"
            )
        names = [str(file) for file in files]
        with read_by_datasets(told):
            rows = load_dataset(str(kinds.pop()), data_files=names, split="train")
    missing = [name for name in columns if not {*name.split(" or ")} & {*rows.column_names}]
    if missing or not len(rows):
        raise ValueError(
            f"the set {setting} ({where}) lacks "
            + (f"the columns {', '.join(missing)}" if missing else "rows")
            + f"; it has {', '.join(rows.column_names)}"
        )
    return rows
