from types import SimpleNamespace

import pytest

from llamalite.red_teaming.attackers import ThompsonAttacker, ask_risk, cells_of
from llamalite.red_teaming.campaign import Attempt, attack, carry_over, gamma
from llamalite.world import World, WorldConfig


def made(name, risk="r", vector="v"):
    return SimpleNamespace(id=name, risk=risk, vector=vector)


def attempt(who, name, risk, seconds=1800.0):
    return Attempt(who, 0, made(name), "", risk, seconds, "m")


def test_gamma_is_violations_per_person_and_hour():
    # a: 2 in one hour; b: 1 in two hours; mean (2 + .5) / 2, worked by hand
    rows = [attempt("a", "1", 1), attempt("a", "2", 2)]
    rows += [attempt("b", str(i), 2 if i == 0 else 3) for i in range(4)]
    assert gamma(rows).mean == pytest.approx(1.25)


def test_carry_over_counts_each_violating_prompt_once():
    rows = [attempt("a", n, r) for n, r in (("1", 1), ("1", 2), ("2", 2), ("4", 1), ("3", 3))]
    found = carry_over(rows, lambda p: "", lambda p, _: 5 if p.id == "1" else 1)
    assert found is not None
    assert found.mean == pytest.approx(1 / 3)  # 1 of 1, 2, 4; counting attempts: 1 / 2
    assert carry_over(rows[4:], lambda p: "", lambda *_: 1) is None


def test_the_attacker_finds_the_weak_cell_and_repeats_with_its_seed():
    cells = {(r, v): (made(r + v, r, v),) for r in "abc" for v in "1234567"}

    def ids(seed):
        who = ThompsonAttacker("x", cells, seed)
        judge = lambda p, _: 1 if p.id == "b5" else 5  # noqa: E731
        rows = attack([who], lambda p: "", judge, attempts=300, number=0, model="m")
        return [row.prompt.id for row in rows]

    tried = ids(0)
    assert tried == ids(0) != ids(1)
    assert tried[-100:].count("b5") > 80  # chance would give 5


def test_the_world_fills_all_cells_from_the_split_asked_for():
    cells = cells_of(World(WorldConfig()), "test", 0, 42)
    assert len(cells) == 21
    assert {p.split for mine in cells.values() for p in mine} == {"test"}


def test_a_person_is_asked_until_the_answer_is_a_risk():
    answers, shown = iter(["6", "", "2"]), []
    assert ask_risk("hello", lambda _: next(answers), shown.append) == 2
    assert len(shown) == 3
