"""How far work has come, as it is told and as it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from small import small_model

from llamalite import progress_bar
from llamalite.model.config import SamplingConfig
from llamalite.model.generate import generate
from llamalite.progress import Part, heard_by, pieces, share_done, tell, within
from llamalite.progress_bar import ProgressShown


@pytest.fixture
def told():
    heard = []
    with heard_by(heard.append):
        yield heard


def test_what_is_inside_a_piece_of_work_is_told_as_part_of_it(told):
    for _ in pieces("ab", "page"):
        tell("words", 5, 10)
        tell("words", 10, 10)
    first, second = Part("page 1 of 2", 0, 2), Part("page 2 of 2", 1, 2)
    half, whole = Part("5 of 10 words", 5, 10), Part("10 of 10 words", 10, 10)
    assert [parts for parts in told if len(parts) == 2] == [
        (first, half),
        (first, whole),
        (second, half),
        (second, whole),
    ]
    assert told[0] == (first,)
    assert told[-1] == ()


@pytest.mark.parametrize(
    ("parts", "share"),
    [
        ((), None),
        ((Part("", 3, 4),), 0.75),
        # one of four pages, and half of the second: 1.5 of 4
        ((Part("", 1, 4), Part("", 5, 10)), 0.375),
        # of the second's second half a quarter: 1 + (1 + 1/4)/2 = 1.625 of 4
        ((Part("", 1, 4), Part("", 1, 2), Part("", 1, 4)), 0.40625),
        ((Part("", 0, 0),), 0.0),
        ((Part("", 4, 4), Part("", 1, 2)), 1.0),
        ((Part("", 7, None),), None),
        ((Part("", 7, None), Part("", 1, 2)), None),
        ((Part("", 1, 2), Part("", 7, None)), 0.5),
    ],
)
def test_share_done_of_nested_work(parts, share):
    assert share_done(parts) == share


def test_of_a_stream_only_what_is_read_is_told(told):
    for _ in pieces(iter("abc"), "document"):
        pass
    assert told == [
        *((Part(f"document {number + 1}", number, None),) for number in range(3)),
        (),
    ]


def test_work_that_fails_is_told_to_have_ended(told):
    with pytest.raises(ZeroDivisionError), within("step", 3) as at:
        at(1, "loss 2.5")
        raise ZeroDivisionError
    assert told[-2:] == [(Part("step 2 of 3, loss 2.5", 1, 3),), ()]


def test_nobody_hears_of_work_where_nobody_listens(told):
    with heard_by(None):
        assert list(pieces([1, 2], "page")) == [1, 2]
        tell("words", 1, 2)
        with within("step", 3) as at:
            at(1)
    assert told == []


def test_replies_are_told_as_they_end(told):
    generate(small_model(64), [[1, 5], [1, 6, 7]], SamplingConfig(4), eos_id=-1, n=3, batch_size=3)
    assert told[-2:] == [(Part("3 of 6 replies", 3, 6),), ()]


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(progress_bar.time, "monotonic", lambda: self.now)


def test_a_log_file_gets_a_line_a_minute(monkeypatch):
    clock = Clock(monkeypatch)
    shown = ProgressShown(Console(file=io.StringIO(), width=40))
    for done in range(13):  # half a minute each
        shown.show("pretrain", (Part(f"step {done}", done, 40),))
        clock.now += 30
    lines = shown.console.file.getvalue().splitlines()
    assert lines == [
        "pretrain: step 2, 5% after 1 min 00 s, about 19 min 00 s left",
        "pretrain: step 4, 10% after 2 min 00 s, about 18 min 00 s left",
        "pretrain: step 6, 15% after 3 min 00 s, about 17 min 00 s left",
        "pretrain: step 8, 20% after 4 min 00 s, about 16 min 00 s left",
        "pretrain: step 10, 25% after 5 min 00 s, about 15 min 00 s left",
        "pretrain: step 12, 30% after 6 min 00 s, about 14 min 00 s left",
    ]


def test_what_is_left_is_told_by_what_this_call_did(monkeypatch):
    clock = Clock(monkeypatch)
    shown = ProgressShown(Console(file=io.StringIO()))
    shown.show("pretrain", (Part("step 30", 30, 40),))  # gone on from a saved state
    clock.now += 60
    shown.show("pretrain", (Part("step 32", 32, 40),))
    assert shown.console.file.getvalue() == (
        "pretrain: step 32, 80% after 1 min 00 s, about 4 min 00 s left\n"
    )


def test_a_line_about_a_stream_says_what_is_read(monkeypatch):
    clock = Clock(monkeypatch)
    shown = ProgressShown(Console(file=io.StringIO()))
    for done in (0, 12_033):
        shown.show("clean", (Part(f"document {done + 1:,}", done, None),))
        clock.now += 90
    assert shown.console.file.getvalue() == "clean: document 12,034, after 1 min 30 s\n"


def test_short_pieces_of_work_get_their_line_a_minute_too(monkeypatch):
    clock = Clock(monkeypatch)
    shown = ProgressShown(Console(file=io.StringIO()))
    for number in range(4):
        for done in (0, 1):  # 20 and 40 seconds of work, the last of which tells nothing
            shown.show("evaluate", (Part(f"set {number}", done, 2),))
            clock.now += 20
        shown.show("evaluate", ())
    assert shown.console.file.getvalue().splitlines() == [
        "evaluate: set 1, 50% after 20.0 s, about 20.0 s left",
        "evaluate: set 3, 0% after 0.0 s",
    ]


def test_a_notebook_gets_no_bar(monkeypatch):
    clock = Clock(monkeypatch)
    said = []
    console = Console(force_jupyter=True)
    monkeypatch.setattr(console, "print", lambda text, **_: said.append(text))
    shown = ProgressShown(console)
    for done in (0, 1):
        shown.show("benchmark", (Part(f"{done} of 2 replies", done, 2),))
        clock.now += 60
    assert shown.bar is None
    assert said == ["benchmark: 1 of 2 replies, 50% after 1 min 00 s, about 1 min 00 s left"]


def test_a_terminal_gets_a_bar_that_goes_when_the_work_ends():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    shown = ProgressShown(console)
    shown.show("versions", (Part("model 2 of 4", 1, 4), Part("5 of 10 replies", 5, 10)))
    assert shown.bar is not None
    shown.bar.refresh()
    assert "model 2 of 4, 5 of 10 replies" in console.file.getvalue()
    assert " 38%" in console.file.getvalue()  # 1.5 of 4
    shown.show("versions", ())
    assert shown.bar is None
    shown.show("clean", (Part("document 7", 6, None),))
    assert shown.bar is not None
    shown.show("clean", ())
    shown.show("versions", (Part("model 1 of 4", 0, 4),))
    shown.show("versions", ())
