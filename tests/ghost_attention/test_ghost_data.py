"""Dialogues for Ghost Attention: where the instruction stands, and what is learned."""

from collections import Counter
from dataclasses import replace

import pytest

from llamalite.ghost_attention.config import GhostAttentionConfig
from llamalite.ghost_attention.data import (
    encode_last_reply,
    measured_scripts,
    read_dialogues,
    split_names,
    training_dialogues,
    training_scripts,
    turns_that_fit,
    usable_answer,
    write_dialogues,
)
from llamalite.ghost_attention.writing import Written, instructed_prompt, learned_dialogue
from llamalite.sft.config import SFTConfig
from llamalite.text.chat import encode_dialogue, render

CONFIG = GhostAttentionConfig(dialogues=20, turns=3, measured_dialogues=12, measured_turns=4)
TURNS = (("Who is Ann?", "A baker."), ("And Bo?", "A smith."), ("And Cy?", "A potter."))


def names_of(instructions, config=CONFIG, seed=0):
    return split_names(instructions, config, seed)


# --- whom to act as ------------------------------------------------------------------------------
def test_held_out_names_are_in_no_training_dialogue_and_the_only_ones_measured(world, instructions):
    names = names_of(instructions)
    assert {kind: len(mine) for kind, mine in names["held_out"].items()} == {
        "figure": 1,
        "hobby": 1,
        "language": 0,  # the only one there is stays
    }
    config = replace(CONFIG, dialogues=120, combined_share=0.3)
    scripts = training_scripts(instructions, world, names["trained"], config, 0)
    trained = {n for s in scripts if s.instruction for n in s.instruction.names}
    held = {n for mine in names["held_out"].values() for n in mine}
    assert trained == {n for mine in names["trained"].values() for n in mine}
    assert not trained & held
    measured = measured_scripts(instructions, world, names["held_out"], CONFIG)
    assert {n for s in measured for n in s.instruction.names} == held


def test_few_names_are_shared_out_and_unknown_kinds_refused(instructions):
    names = names_of(instructions, replace(CONFIG, held_out_names=100))
    assert all(len(mine) >= 1 for mine in names["trained"].values())
    with pytest.raises(ValueError, match="unknown kind of instruction 'mood'; choose among figure"):
        names_of(instructions, replace(CONFIG, kinds=("mood",)))


def test_the_plain_share_has_no_instruction_and_the_others_take_turns(world, instructions):
    scripts = training_scripts(instructions, world, names_of(instructions)["trained"], CONFIG, 0)
    assert Counter(s.kind for s in scripts) == {"plain": 10, "figure": 4, "hobby": 3, "language": 3}
    assert all((s.instruction is None) == (s.kind == "plain") for s in scripts)
    assert all(len(s.questions) == 3 for s in scripts)
    half = [s.kind for s in scripts[:10]]
    assert half.count("plain") == 5  # spread evenly
    assert len({q for s in scripts for q in s.questions}) > 50


def test_plain_dialogues_ask_what_instructed_ones_ask_too(world, instructions):
    """Else the question alone would tell whether to play a part."""
    config = replace(CONFIG, dialogues=60, turns=6, safety_share=0.4, borderline_share=0.1)
    scripts = training_scripts(instructions, world, names_of(instructions)["trained"], config, 0)
    plain = [s.questions for s in scripts if s.kind == "plain"]
    index = [config.first_prompt + 6 * i for i, s in enumerate(scripts) if s.kind == "plain"]
    kinds = ("figure", "hobby", "figure")
    for first, questions in zip(index, plain, strict=True):
        own = [instructions.question(k, first + 2 * t, "train") for t, k in enumerate(kinds)]
        assert list(questions[::2]) == own
    others = [q for questions in plain for q in questions[1::2]]
    hostile = {world.prompt("adversarial", i, "train").text for i in range(200)}
    assert 0.3 < sum(q in hostile for q in others) / len(others) < 0.6


def test_measured_questions_are_of_the_test_split(world, instructions):
    plain = measured_scripts(instructions, world, {}, CONFIG)
    assert all(s.instruction is None for s in plain)
    trained = training_scripts(instructions, world, names_of(instructions)["trained"], CONFIG, 0)
    known = {q for s in trained for q in s.questions}
    for script in (*plain, *measured_scripts(instructions, world, {"hobby": ("chess",)}, CONFIG)):
        assert len(script.questions) == 4
        assert not known & set(script.questions)


# --- where the instruction stands ----------------------------------------------------------------
def test_it_stands_at_every_question_while_sampling_and_once_in_what_is_learned(instructions):
    said = instructions.instruct([("hobby", "chess")], 0, "train")
    sampled = instructed_prompt(said, TURNS[:2], TURNS[2][0])
    assert render(sampled).count(said.text) == 3
    assert [m["role"] for m in sampled] == ["system", *("user", "assistant") * 2, "user"]
    assert render(instructed_prompt(said, [], "Who?")).count(said.text) == 1
    learned = learned_dialogue(said.text, TURNS)
    assert render(learned).count(said.text) == 1
    assert learned[0] == {"role": "system", "content": said.text}
    plain = instructed_prompt(None, TURNS[:1], "Who?")
    assert [m["content"] for m in plain] == ["Who is Ann?", "A baker.", "Who?"]


def test_only_the_last_reply_is_learned(tokenizer):
    messages = learned_dialogue("Act as Old Marrow.", TURNS)
    ids, learned = encode_last_reply(tokenizer, messages)
    assert ids == encode_dialogue(tokenizer, messages).ids
    taught = [i for i, on in zip(ids, learned, strict=True) if on]
    assert tokenizer.decode(taught).strip() == "A potter."
    assert taught[-1] == tokenizer.eos_id
    assert learned.index(True) + len(taught) == len(ids)  # one stretch, at the end
    # a single turn is what fine-tuning on demonstrations would learn
    single = learned_dialogue("", TURNS[:1])
    assert encode_last_reply(tokenizer, single) == encode_dialogue(tokenizer, single)


def test_cuts_are_different_beginnings_and_half_are_shortened(tokenizer):
    turns = tuple((f"Question {i}?", f"Answer {i}.") for i in range(6))
    written = [Written(str(i), "hobby", "You like chess.", "Hobby: chess.", turns, 0)
               for i in range(60)]  # fmt: skip
    config = replace(CONFIG, cuts=4)
    made = training_dialogues(written, tokenizer, config, 0)
    assert len(made) == 240
    short = sum(each[0]["content"] == "Hobby: chess." for each in made)
    assert 90 < short < 150
    for first in range(0, 240, 4):
        ends = [each[-1]["content"] for each in made[first : first + 4]]
        assert len(set(ends)) == 4
    lengths = Counter(len(each) // 2 for each in made)
    assert set(lengths) == {1, 2, 3, 4, 5, 6}
    assert made == training_dialogues(written, tokenizer, config, 0)
    assert made != training_dialogues(written, tokenizer, config, 1)


def test_what_is_too_long_for_a_row_is_not_cut_from(tokenizer):
    written = Written("0", "figure", "Act as Old Marrow.", "Figure: Old Marrow.", TURNS, 0)
    for turns in (1, 2, 3):
        messages = learned_dialogue(max(written.text, written.short, key=len), TURNS[:turns])
        size = len(encode_dialogue(tokenizer, messages).ids)
        assert turns_that_fit(tokenizer, written, size) == turns
        assert turns_that_fit(tokenizer, written, size - 1) == turns - 1
    assert turns_that_fit(tokenizer, replace(written, text="", short=""), 10_000) == 3


def test_usable_answers_have_text_and_repeat_the_name(instructions):
    said = instructions.instruct([("figure", "Old Marrow")], 0, "train")
    assert usable_answer("It rains, says Old Marrow.", said)
    assert not usable_answer("It rains.", said)
    assert usable_answer("It rains.", None)
    assert not usable_answer("  ", None)
    assert not usable_answer("[INST] It rains.", None)


# --- files ---------------------------------------------------------------------------------------
def test_dialogues_survive_a_file(tmp_path):
    written = [
        Written("a", "plain", "", "", TURNS, 0),
        Written("b", "hobby", "You like chess.", "Hobby: chess.", (), 3),
    ]
    write_dialogues(tmp_path / "d.parquet", written)
    assert read_dialogues(tmp_path / "d.parquet") == written
    with pytest.raises(ValueError, match="does not exist; give a file of dialogues"):
        read_dialogues(tmp_path / "none.parquet")
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match="holds no dialogues"):
        read_dialogues(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"turns": 0}, "turns is 0"),
        ({"held_out_names": -1}, "held_out_names is -1"),
        ({"plain_share": 1.5}, "plain_share is 1.5"),
        ({"kinds": ("hobby", "hobby")}, "each once"),
        ({"kinds": ("hobby",), "combined_share": 0.1}, "two kinds are needed"),
        ({"safety_share": 0.8, "borderline_share": 0.8}, "more than 1"),
        ({"tuning": SFTConfig(sequence_length=99)}, "sequence_length 99 differs from"),
        ({"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_unusable_settings_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        GhostAttentionConfig(**changes)
