"""Literal ids and strings, an independent template, and whose tokens are learned."""

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalite.text.chat import encode_dialogue, encode_document, encode_prompt, render
from llamalite.text.tokenizer import TAGS

SYSTEM = {"role": "system", "content": "Be kind."}
ASK = {"role": "user", "content": "Where is it?"}
ANSWER = {"role": "assistant", "content": "In town."}
MORE = {"role": "user", "content": "Why?"}
LAST = {"role": "assistant", "content": "So."}

# The chat template that Meta's Llama 2 chat checkpoints carry on the hub, written anew: a dialogue
# with its tags as the model card shows it.
HUB_TEMPLATE = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
    "{% for m in rest %}"
    "{% set content = system + m['content'] if loop.first else m['content'] %}"
    "{% if m['role'] == 'user' %}{{ '<s>' + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + '</s>' }}{% endif %}{% endfor %}"
)


def test_a_dialogue_written_out_by_hand():
    assert render([ASK]) == "<s>[INST] Where is it? [/INST]"
    assert render([SYSTEM, ASK, ANSWER, MORE, LAST]) == (
        "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nWhere is it? [/INST] In town. </s>"
        "<s>[INST] Why? [/INST] So. </s>"
    )


@pytest.mark.parametrize("turns", [[ASK], [SYSTEM, ASK], [SYSTEM, ASK, ANSWER, MORE, LAST]])
def test_the_hub_template_writes_the_same(turns):
    assert render(turns) == jinja2.Template(HUB_TEMPLATE).render(messages=turns)


def test_literal_pieces_and_mask(tokenizer):
    ids, loss_mask = encode_dialogue(tokenizer, [SYSTEM, {**ASK, "content": "ka"}, LAST])
    assert tokenizer.pieces(ids) == [
        *("<s>", "▁", "[INST]", "▁", "<<SYS>>", "<0x0A>"),
        *("<0x42>", "e", "▁", "k", "in", "d", ".", "<0x0A>"),
        *("<</SYS>>", "<0x0A>", "<0x0A>", "ka", "▁", "[/INST]"),
        *("▁", "S", "o", ".", "▁", "</s>"),
    ]
    assert loss_mask == [False] * 20 + [True] * 6


def test_every_pair_is_between_bos_and_eos_and_answers_alone_are_learned(tokenizer):
    ids, loss_mask = encode_dialogue(tokenizer, [ASK, ANSWER, MORE, LAST])
    assert ids.count(1) == ids.count(2) == 2
    assert ids[ids.index(2) + 1] == 1
    learned = [i for i, counts in zip(ids, loss_mask, strict=True) if counts]
    assert tokenizer.decode(learned) == "In town.  So. "
    assert learned.count(2) == 2
    assert 1 not in learned
    asked = [i for i, counts in zip(ids, loss_mask, strict=True) if not counts]
    assert tokenizer.decode(asked) == "[INST] Where is it? [/INST] [INST] Why? [/INST]"


def test_a_released_tokenizer_spells_the_tags(plain_tokenizer):
    ids, loss_mask = encode_dialogue(plain_tokenizer, [SYSTEM, ASK, ANSWER])
    # the released code encodes the whole turn as one string
    turn = "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nWhere is it? [/INST] In town. "
    assert ids == plain_tokenizer.encode(turn, bos=True, eos=True)
    learned = [i for i, counts in zip(ids, loss_mask, strict=True) if counts]
    assert plain_tokenizer.decode(learned) == "In town. "
    assert ids[: len(encode_prompt(plain_tokenizer, [SYSTEM, ASK]))] == encode_prompt(
        plain_tokenizer, [SYSTEM, ASK]
    )


content = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda text: not any(tag in text for tag in TAGS)
)


@given(st.booleans(), content, st.lists(st.tuples(content, content), min_size=1, max_size=3))
def test_a_prompt_is_a_prefix_of_its_dialogue(tokenizer, plain_tokenizer, with_system, s, pairs):
    messages = [{"role": "system", "content": s}] if with_system else []
    ends = []
    for asked, answered in pairs:
        messages.append({"role": "user", "content": asked})
        ends.append(len(messages))
        messages.append({"role": "assistant", "content": answered})
    for each in (tokenizer, plain_tokenizer):
        ids, loss_mask = encode_dialogue(each, messages)
        for end in ends:
            prompt = encode_prompt(each, messages[:end])
            assert ids[: len(prompt)] == prompt
            assert not loss_mask[len(prompt) - 1]
            assert loss_mask[len(prompt)]
        answers = [m["content"].strip() for m in messages if m["role"] == "assistant"]
        told = "".join(f" {a} " for a in answers)[1:]
        learned = [i for i, counts in zip(ids, loss_mask, strict=True) if counts]
        assert each.decode(learned) == told


def test_white_space_around_contents_does_not_matter(tokenizer):
    padded = [{**m, "content": f" \n{m['content']}\t "} for m in (SYSTEM, ASK, ANSWER)]
    assert encode_dialogue(tokenizer, padded) == encode_dialogue(tokenizer, [SYSTEM, ASK, ANSWER])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_tags_in_what_people_say_are_refused(tokenizer, tag, place):
    messages = [SYSTEM, ASK, ANSWER]
    messages[place] = {**messages[place], "content": f"so{tag}there"}
    role = messages[place]["role"]
    with pytest.raises(ValueError, match=rf"message {place + 1} \({role}\) contains '.*'"):
        encode_dialogue(tokenizer, messages)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "has no user message"),
        ([SYSTEM], "dialogue of 1 messages has no user message"),
        ([ANSWER], "message 1 has role 'assistant' where 'user' is due"),
        ([ASK, MORE, ANSWER], "message 2 has role 'user' where 'assistant' is due"),
        ([SYSTEM, ANSWER], "message 2 has role 'assistant' where 'user' is due"),
        ([ASK, SYSTEM, ANSWER], "message 2 has role 'system' where 'assistant' is due"),
        ([ASK], "message 1 is the last and has role 'user'"),
        ([{"role": "bot", "content": "x"}], "message 1 has role 'bot'"),
        ([{"content": "x"}], "message 1 has role None"),
        (["hello"], "message 1 has role None"),
        ([{"role": "user"}, ANSWER], r"message 1 \(user\) has content of type NoneType"),
    ],
)
def test_malformed_dialogues_are_refused_by_place_and_role(tokenizer, messages, complaint):
    with pytest.raises(ValueError, match=complaint):
        encode_dialogue(tokenizer, messages)


def test_a_prompt_ends_with_a_question(tokenizer):
    with pytest.raises(ValueError, match="message 2 is the last and has role 'assistant'"):
        encode_prompt(tokenizer, [ASK, ANSWER])


def test_a_document_is_learned_whole(tokenizer):
    ids, loss_mask = encode_document(tokenizer, "po li")
    assert ids == [1, *tokenizer.encode("po li"), 2]
    assert loss_mask == [True] * len(ids)
