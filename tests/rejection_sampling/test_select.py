"""Which reply of a bag is kept: by hand, with ties, empty and cut replies."""

import pytest

from llamalite.rejection_sampling.candidates import Candidate, read_candidates, write_candidates
from llamalite.rejection_sampling.select import (
    best_of_round,
    best_of_rounds,
    matched_random,
    usable,
)


def reply(prompt, text, score=None, finished=True, version="V1", **more):
    return Candidate(
        prompt_id=prompt,
        kind="facts",
        is_safety=False,
        messages=({"role": "user", "content": "Who?"},),
        text=text,
        finished=finished,
        version=version,
        model="f00d",
        temperature=1.0,
        seed=3,
        index=0,
        score=score,
        **more,
    )


def texts(candidates):
    return [candidate.text for candidate in candidates]


def test_the_best_of_each_prompt_in_the_prompts_order():
    bag = [
        *(reply("b", "low", -1.0), reply("b", "high", 2.0)),
        *(reply("a", "only", -9.0), reply("b", "mid", 1.0)),
    ]
    assert texts(best_of_round(bag).chosen) == ["high", "only"]


def test_of_equals_the_first_is_taken():
    bag = [reply("a", "low", 0.5), reply("a", "first", 1.0), reply("a", "second", 1.0)]
    assert texts(best_of_round(bag).chosen) == ["first"]
    assert texts(best_of_round(bag[::-1]).chosen) == ["second"]
    assert texts(best_of_round([reply("a", "x", 0.0), reply("a", "y", -0.0)]).chosen) == ["x"]


def test_empty_cut_and_tagged_replies_are_never_taken():
    bag = [
        *(reply("a", "", 9.0), reply("a", " \n", 9.0), reply("a", "cut", 9.0, finished=False)),
        *(reply("a", "[INST] me", 9.0), reply("a", "good", -1.0)),
        *(reply("b", "", 1.0), reply("b", "cut", 1.0, finished=False)),
    ]
    assert [usable(candidate) for candidate in bag] == [False] * 4 + [True] + [False] * 2
    selection = best_of_round(bag)
    assert texts(selection.chosen) == ["good"]
    assert selection.left_out == 1
    assert best_of_round([]) == ([], 0)


def test_all_rounds_keep_what_was_better_before():
    """The forgetting of V3: rhymes were better in an earlier bag."""
    v1 = [reply("rhyme", "old rhyme", 3.0, version="V1"), reply("gone", "old", 0.0, version="V1")]
    v2 = [reply("rhyme", "new rhyme", 1.0, version="V2"), reply("fact", "new", 2.0, version="V2")]
    assert texts(best_of_rounds([v2]).chosen) == ["new rhyme", "new"]
    assert texts(best_of_rounds([v2, v1]).chosen) == ["old rhyme", "new", "old"]
    # of equals the newest bag's
    same = [reply("rhyme", "as good", 3.0, version="V2")]
    assert texts(best_of_rounds([same, v1]).chosen) == ["as good", "old"]


def test_a_candidate_without_score_is_refused():
    with pytest.raises(ValueError, match="prompt a has no score"):
        best_of_round([reply("a", "x")])


def test_the_control_is_drawn_from_the_same_prompts_evenly():
    bag = [reply(f"p{i}", f"{i}-{j}", float(j)) for i in range(600) for j in range(4)]
    bag += [reply(f"p{i}", "", 0.0) for i in range(600)]
    chosen = best_of_round(bag).chosen[:500]
    control = matched_random(bag, chosen, seed=0)
    assert [c.prompt_id for c in control] == [c.prompt_id for c in chosen]
    counts = [sum(c.score == j for c in control) for j in range(4)]
    # 125 each; five deviations of sqrt(500 x 1/4 x 3/4)
    assert sum(counts) == 500
    assert all(abs(count - 125) < 49 for count in counts)
    assert matched_random(bag, chosen, seed=0) == control
    assert matched_random(bag, chosen, seed=1) != control
    # what a prompt draws does not depend on the others
    assert matched_random(bag, chosen[::-1], seed=0) == control[::-1]
    with pytest.raises(ValueError, match="prompt p3 has no usable candidate"):
        matched_random(bag[:5], [reply("p3", "x", 1.0)], seed=0)


def test_records_come_back_from_parquet_as_they_were(tmp_path):
    some = [
        reply("a", "Vegun lives in 'Ladeville' \U0001f30a", 1.5, scores={"helpfulness": 1.5}),
        reply("b", "", None, finished=False),
    ]
    for path in (tmp_path / "one.parquet", tmp_path / "two.parquet"):
        write_candidates(path, some)
    assert read_candidates(tmp_path / "one.parquet") == some
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    write_candidates(tmp_path / "none.parquet", [])
    assert read_candidates(tmp_path / "none.parquet") == []
    assert some[0].dialogue == [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": some[0].text},
    ]


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("hello")
    with pytest.raises(ValueError, match=r"x\.parquet holds no candidates"):
        read_candidates(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="does not exist"):
        read_candidates(tmp_path / "nowhere.parquet")
