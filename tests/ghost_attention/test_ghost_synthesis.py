"""Ghost Attention's synthesis with any callable: where the instruction stands, what is learned."""

import doctest
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.ghost_attention import synthesis
from llamalite.ghost_attention.data import encode_last_reply
from llamalite.ghost_attention.synthesis import SimpleInstruction, synthesise
from llamalite.ghost_attention.writing import instructed_prompt
from llamalite.text.chat import encode_dialogue, split_turns

TOLD = SimpleInstruction("Always answer in Latin.", short="Latin.")
WORDS = st.text("abc ?", min_size=1, max_size=8).map(lambda text: f"q{text}")


class Numbering:
    """A chat model that counts its answers; it keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, dialogues):
        self.asked.append(dialogues)
        return [f"answer {len(self.asked)}" for _ in dialogues]


def users_turns(messages):
    """Each user's turn as the chat format writes it, the system message inside the first."""
    return [turn.prompt for turn in split_turns(messages)]


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([TOLD, TOLD.text]),
)
def test_it_stands_at_every_question_asked_and_at_the_first_of_what_is_learned(
    dialogues, as_system, share, told
):
    model = Numbering()
    made = synthesise(dialogues, [told], model, shortened_share=share, as_system=as_system)
    longest = max(map(len, dialogues))
    assert [len(call) for call in model.asked] == [
        sum(len(d) > turn for d in dialogues) for turn in range(longest)
    ]
    for turn, call in enumerate(model.asked):
        for messages in call:
            turns = users_turns(messages)
            assert len(turns) == turn + 1
            assert all(each.count(TOLD.text) == 1 for each in turns)
    said = TOLD.short if share and told is TOLD else TOLD.text
    for (messages, learned), questions in zip(made, dialogues, strict=True):
        turns = users_turns(messages)
        assert said in turns[0]
        assert not any("Latin" in m["content"] for m in messages[2 if as_system else 1 :])
        answers = [m["content"] for m in messages if m["role"] == "assistant"]
        assert answers == [f"answer {n + 1}" for n in range(len(questions))]
        assert [m for m, on in zip(messages, learned, strict=True) if on] == [messages[-1]]
        assert messages[-1]["role"] == "assistant"
        if not as_system:
            assert "system" not in {m["role"] for m in messages}


def test_half_of_many_are_shortened_and_none_without_a_short_form():
    questions = [["Who?"]] * 200
    made = synthesise(questions, [TOLD], Numbering())
    short = sum(each.messages[0]["content"] == "Latin." for each in made)
    assert 75 < short < 125
    assert made == synthesise(questions, [TOLD], Numbering())
    assert made != synthesise(questions, [TOLD], Numbering(), seed=1)
    plain = synthesise(questions, ["Be brief."], Numbering())
    assert {each.messages[0]["content"] for each in plain} == {"Be brief."}


def test_what_is_learned_is_what_the_stage_learns_token_by_token(tokenizer):
    [(messages, learned)] = synthesise([["Who is Ann?", "And Bo?"]], [TOLD], Numbering())
    ids, mask = encode_last_reply(tokenizer, messages)
    taught = tokenizer.decode([i for i, on in zip(ids, mask, strict=True) if on]).strip()
    assert taught == next(m["content"] for m, on in zip(messages, learned, strict=True) if on)
    assert ids == encode_dialogue(tokenizer, messages).ids


def test_instructions_take_turns_messages_serve_as_questions_and_old_answers_are_dropped():
    old = [
        {"role": "user", "content": "Who is Ann?"},
        {"role": "assistant", "content": "old"},
        {"role": "user", "content": "And Bo?"},
    ]
    made = synthesise([old, ["Hm?"], ["So?"]], ["Be brief.", None], Numbering())
    assert [m["content"] for m in made[0].messages] == [
        *("Be brief.", "Who is Ann?", "answer 1", "And Bo?", "answer 2")
    ]
    assert [m["content"] for m in made[1].messages] == ["Hm?", "answer 1"]
    assert made[2].messages[0] == {"role": "system", "content": "Be brief."}


def test_unusable_answers_are_drawn_anew_and_their_questions_left_out():
    marked = SimpleInstruction("Act as Old Marrow.", marks=("marrow",))
    given = iter([["It rains."], [" Rain, says Marrow. "], [None], ["  "], ["marrow!"], ["no"]])
    [(messages, _)] = synthesise(
        [["a?", "b?", "c?"]], [marked], lambda dialogues: next(given), attempts=2
    )
    said = [(m["role"], m["content"]) for m in messages[1:]]
    assert said == [
        *(("user", "a?"), ("assistant", "Rain, says Marrow.")),
        *(("user", "c?"), ("assistant", "marrow!")),
    ]
    assert synthesise([["a?"]], [marked], lambda dialogues: [None]) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shortened_share": 2}, "shortened_share is 2; it must lie between 0 and 1"),
        ({"attempts": 0}, "attempts is 0"),
        ({"instructions": "Be brief."}, "give a list of at least one"),
        ({"instructions": []}, "give a list of at least one"),
        ({"instructions": [{"text": "Be brief."}]}, "a dict; give a string or a SimpleInstruction"),
        ({"dialogues": ["Who?"]}, "dialogue 0 is a text; give a list"),
        ({"dialogues": [["a?"], []]}, "dialogue 1 has no user's turn"),
        ({"dialogues": [[{"role": "system", "content": "x"}]]}, "dialogue 0 has a message of role"),
        ({"reply": lambda dialogues: ["a", "b"]}, "2 texts came for 1 dialogues; give one each"),
        ({"reply": lambda dialogues: "a"}, "reply gave a str; it must give a list of texts"),
        ({"reply": lambda dialogues: [1]}, "reply gave a int; it must give a list of texts"),
    ],
)
def test_what_cannot_be_used_is_said(changes, complaint):
    given = {"dialogues": [["Who?"]], "instructions": ["Be brief."], "reply": Numbering()}
    with pytest.raises(ValueError, match=complaint):
        synthesise(**{**given, **changes})


def test_a_prompt_takes_a_plain_string():
    prompt = instructed_prompt("Be brief.", [("Who?", "Ann.")], "And?")
    assert [m["content"] for m in prompt] == ["Be brief.", "Who?", "Ann.", "Be brief. And?"]


def test_the_example_in_the_docstring_runs():
    found = doctest.testmod(synthesis)
    assert found.attempted > 3
    assert not found.failed


def test_it_needs_no_torch():
    program = (
        "import sys, llamalite.ghost_attention.synthesis; "
        "sys.exit(not not {'torch', 'sentencepiece'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
