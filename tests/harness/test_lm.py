"""What the adapter does beyond lm-eval's own backend: chat formats, and refusals in one line."""

import pytest
from lm_eval.api.registry import get_model

from llamalite.harness import lm as lm_module
from llamalite.harness.__main__ import main
from llamalite.harness.lm import LlamaliteLM
from llamalite.model.generate import Completion
from llamalite.text.chat import encode_dialogue, encode_prompt
from tests.harness.conftest import CONTEXT
from tests.harness.test_lm_parity import requests

DIALOGUE = [
    {"role": "system", "content": "Answer as a gardener."},
    {"role": "user", "content": "Where does Vegun live?"},
    {"role": "assistant", "content": "Vegun lives in Osk."},
    {"role": "user", "content": "And Marit?"},
]


def test_lm_eval_knows_the_model_by_its_name(pair):
    made = get_model("llamalite").create_from_arg_string(f"path={pair.folder}", {"batch_size": 2})
    assert isinstance(made, LlamaliteLM)
    assert made.batch_size == 2


def test_a_folder_in_hugging_faces_format_answers_alike(pair):
    other = LlamaliteLM(str(pair.folder / "hf"), progress=False)
    asked = requests("loglikelihood", [("Vegun lives in", " Osk"), ("", "Brim")])
    ours, theirs = pair.ours.loglikelihood(asked), other.loglikelihood(asked)
    assert [nats for nats, _ in ours] == pytest.approx([nats for nats, _ in theirs], abs=1e-5)


def test_a_chat_is_the_tokens_the_model_was_tuned_on(pair):
    words = pair.ours.words
    text = pair.ours.apply_chat_template(DIALOGUE)
    assert pair.ours.tok_encode(text) == encode_prompt(words, DIALOGUE)
    begun = [*DIALOGUE, {"role": "assistant", "content": "Marit lives"}]
    ids = pair.ours.tok_encode(pair.ours.apply_chat_template(begun, add_generation_prompt=False))
    whole = encode_dialogue(words, begun).ids
    assert ids == whole[: len(ids)]
    assert words.decode(ids[-6:]).endswith("lives")


def test_a_speaker_out_of_turn_is_refused(pair):
    with pytest.raises(ValueError, match="role"):
        pair.ours.apply_chat_template([DIALOGUE[1], DIALOGUE[1]])


@pytest.mark.parametrize(
    ("kind", "arguments", "says"),
    [
        ("loglikelihood", ("Vegun lives", ""), "empty continuation"),
        ("loglikelihood", ("Vegun", " Osk" * CONTEXT * 4), f"does not fit a context of {CONTEXT}"),
        ("generate_until", ("a", {"until": [], "max_gen_toks": CONTEXT}), "leaves no room"),
        ("generate_until", ("a", {"until": [], "num_beams": 4}), "num_beams"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(pair, kind, arguments, says):
    with pytest.raises(ValueError, match=says) as refused:
        getattr(pair.ours, kind)(requests(kind, [arguments]))
    assert "\n" not in str(refused.value)


def test_a_task_that_names_no_length_gets_half_the_context(pair):
    [text] = pair.ours.generate_until(requests("generate_until", [("Vegun", {"until": []})]))
    assert 0 < len(pair.ours.words.encode(text)) <= 2 * CONTEXT


def test_replies_are_read_as_they_grow_only_where_a_string_stops_them(pair, monkeypatch):
    words, asked = pair.ours.words, []
    [end] = words.pieces([words.eos_id])
    spelled = words.encode(f"Osk{end} and Brim")

    def generated(model, prompts, sampling, *, enough, **_):
        asked.append(enough)
        return [[Completion(spelled, [], False)] for _ in prompts]

    monkeypatch.setattr(lm_module, "generate", generated)
    for until in ([], ["\n"]):
        [text] = pair.ours.generate_until(requests("generate_until", [("a", {"until": until})]))
        assert text.strip() == "Osk"  # the end's name, spelled out in ordinary tokens
    assert asked[0] is None
    assert not asked[1](spelled)
    assert asked[1](words.encode("Osk\nBrim"))


def test_sampling_is_the_seeds(pair):
    settings = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 1.5}
    asked = requests("generate_until", [("Vegun lives", settings), ("Marit", settings)])
    first = pair.ours.generate_until(asked)
    assert first == pair.ours.generate_until(asked)
    other = LlamaliteLM(str(pair.folder), seed=1, progress=False)
    assert first != other.generate_until(asked)


def test_a_context_beyond_the_models_is_refused(pair):
    with pytest.raises(ValueError, match=f"allows 2 to {CONTEXT}"):
        LlamaliteLM(str(pair.folder), max_length=CONTEXT + 1)
    with pytest.raises(ValueError, match="path=FOLDER"):
        LlamaliteLM()


def test_lm_evals_own_command_line_knows_the_model(monkeypatch, capsys):
    asked = []

    def cli_evaluate():  # reading lm-eval's 14,000 task files takes longer than all these tests
        asked.append(get_model("llamalite"))
        raise ValueError("no such folder")

    monkeypatch.setattr("lm_eval.__main__.cli_evaluate", cli_evaluate)
    with pytest.raises(SystemExit) as left:
        main()
    assert asked == [LlamaliteLM]
    assert left.value.code == 2
    assert capsys.readouterr().err == "llamalite: error: no such folder\n"
