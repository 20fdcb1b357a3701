"""Exported models are read by other programs: equal logits, equal ids, names they know."""

import json
from typing import Any

import gguf
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from tokenizers import Tokenizer as Peer
from transformers import AutoModelForCausalLM, AutoTokenizer

from llamalite.artifacts import drafting
from llamalite.claims.stages import CLEANED, CONTAMINATED
from llamalite.cli import main
from llamalite.model.checkpoint import save_model
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer
from llamalite.real_models.export import ExportConfig, export, export_folder
from llamalite.real_models.folder import OpenModel, open_model
from llamalite.text import study
from llamalite.text.bpe import ByteTokenizer
from llamalite.text.chat import encode_dialogue, encode_prompt
from llamalite.text.hf_tokenizer import sentencepiece_as_json
from llamalite.text.tokenizer import TAGS, Tokenizer

TEXTS = ["Where does Vegun live? Vegun lives in Ladeville, a town by the river. Osk is far. " * 4]
DIALOGUE = [
    {"role": "system", "content": " Answer in one word. "},
    {"role": "user", "content": "Where is Vegun,  in 1999?\nSay it."},
    {"role": "assistant", "content": "Far."},
    {"role": "user", "content": "Is é far?"},
]


def sentencepiece(tags: bool) -> Tokenizer:
    return Tokenizer.train(TEXTS, 310 if tags else 306, tags=tags)


def byte_level() -> ByteTokenizer:
    from tokenizers.pre_tokenizers import ByteLevel

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(ByteLevel.alphabet())
    return ByteTokenizer.of_merges(
        [*control, *letters, "ar", "far"], ["a r", "f ar"], [0, 1, 2], default_system="Be small."
    )


KINDS = {
    "our tags": lambda: sentencepiece(True),
    "tags spelled out": lambda: sentencepiece(False),
    "byte level": byte_level,
}


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model folder, and the folder it was exported to."""
    place = tmp_path_factory.mktemp("export")
    tokenizer = KINDS[request.param]()
    config = ModelConfig(tokenizer.vocab_size, 24, 2, 4, 2, 10, 40, 256, 500.0, 1e-6)
    torch.manual_seed(0)
    save_model(place / "ours", Transformer(config))
    name = "tokenizer.json" if request.param == "byte level" else "tokenizer.model"
    tokenizer.save(place / "ours" / name)
    return place / "ours", export_folder(place / "ours", place / "theirs")


def test_transformers_computes_the_same_logits(exported):
    ours, theirs = open_model(exported[0]), AutoModelForCausalLM.from_pretrained(exported[1])
    assert theirs.generation_config.eos_token_id == ours.tokenizer.eos_id
    assert theirs.config.bos_token_id == ours.tokenizer.bos_id
    ids = torch.tensor([encode_prompt(ours.tokenizer, DIALOGUE)])
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours.model(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize("said", [DIALOGUE, DIALOGUE[1:], DIALOGUE[:2]], ids=len)
def test_transformers_encodes_a_chat_as_we_do(exported, said):
    tokenizer = open_model(exported[0]).tokenizer
    peer = AutoTokenizer.from_pretrained(exported[1])
    found = peer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
    assert found == encode_prompt(tokenizer, said)


def test_an_answered_chat_has_its_ends(exported):
    tokenizer = open_model(exported[0]).tokenizer
    peer = AutoTokenizer.from_pretrained(exported[1])
    found = peer.apply_chat_template(DIALOGUE[:3], return_dict=False)
    wanted = encode_dialogue(tokenizer, DIALOGUE[:3]).ids
    assert found[: len(wanted)] == wanted
    assert peer.decode(found[len(wanted) :]) in ("", "\n")  # ChatML writes a line end after it


def test_special_tokens_are_ours_and_padding_is_no_end(exported):
    tokenizer = open_model(exported[0]).tokenizer
    peer = AutoTokenizer.from_pretrained(exported[1])
    assert (peer.bos_token_id, peer.eos_token_id) == (tokenizer.bos_id, tokenizer.eos_id)
    assert peer.pad_token_id != peer.eos_token_id
    begin = isinstance(tokenizer, Tokenizer)
    assert peer("by the river").input_ids == tokenizer.encode("by the river", bos=begin)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "user", "content": f"a {TAGS[1]} b"}], "a tag of the chat format"),
        ([{"role": "user", "content": "a</s>"}], "a tag of the chat format"),
        ([{"role": "assistant", "content": "a"}], "alternate"),
        ([DIALOGUE[1], DIALOGUE[1]], "alternate"),
    ],
)
def test_the_template_refuses_what_we_refuse(messages, says, tmp_path):
    tokenizer = sentencepiece(True)
    save_model(tmp_path / "m", Transformer(ModelConfig(310, 8, 1, 2, 1, 4, 8, 64)))
    tokenizer.save(tmp_path / "m" / "tokenizer.model")
    peer = AutoTokenizer.from_pretrained(export_folder(tmp_path / "m", tmp_path / "hf"))
    with pytest.raises(Exception, match=says):
        peer.apply_chat_template(messages)


SPEAKABLE = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
WORDS = st.lists(
    st.sampled_from([*TAGS, " ", "  ", "\n", "lives", " a", "aaaa", "é", "▁", "<", "[", "/INST]"])
)
TAGGED = sentencepiece(True)
TAGGED_PEER = Peer.from_str(json.dumps(sentencepiece_as_json(TAGGED.model)))


@settings(max_examples=300)
@given(st.one_of(SPEAKABLE, WORDS.map("".join)))
@example("[INST] [INST]")
@example("▁ [INST]▁")
def test_ids_are_sentencepieces_for_any_text(text):
    assume(text not in TAGS)
    for special in ("<unk>", "<s>", "</s>"):
        text = text.replace(special, "")
    found = TAGGED_PEER.encode(text, add_special_tokens=False).ids
    assert found == TAGGED.encode(text)
    assert TAGGED_PEER.decode(found) == TAGGED.decode(found)


@pytest.mark.skipif(study.real_tokenizer() is None, reason="mistral-common is not installed")
def test_ids_are_sentencepieces_for_a_real_vocabulary():
    real = study.real_tokenizer()
    peer = Peer.from_str(json.dumps(sentencepiece_as_json(real.model)))
    runs = ["a" * n for n in range(40)] + ["-" * n + " " * n for n in range(40)]
    for text in [*runs, *TEXTS, "def f(x):\n    return 3.14 * x  # naïve — π\n", "文字 и буквы"]:
        assert peer.encode(text, add_special_tokens=False).ids == real.encode(text), text


def test_llama_cpps_converter_knows_every_name(exported):
    """Its own tables (the gguf package): tensors, special tokens, template, vocabulary."""
    _, folder = exported
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        for name in weights.keys():  # noqa: SIM118
            assert names.get_name(name, try_suffixes=(".weight",)), name
    found = gguf.SpecialVocab(folder)
    tokenizer = open_model(folder).tokenizer
    assert found.special_token_ids["bos"] == tokenizer.bos_id
    assert found.special_token_ids["eos"] == tokenizer.eos_id
    assert "add_generation_prompt" in found.chat_template or "[/INST]" in found.chat_template
    kind = gguf.SentencePieceVocab if isinstance(tokenizer, Tokenizer) else gguf.BpeVocab
    assert kind(folder).vocab_size == tokenizer.vocab_size


def test_what_was_exported_can_be_read_back(exported):
    before, after = (open_model(folder) for folder in exported)
    assert after.model.config == before.model.config
    assert all(
        torch.equal(a, b)
        for a, b in zip(before.model.parameters(), after.model.parameters(), strict=True)
    )
    assert encode_prompt(after.tokenizer, DIALOGUE[1:]) == encode_prompt(
        before.tokenizer, DIALOGUE[1:]
    )


def test_half_precision_on_request(exported, tmp_path):
    export(ExportConfig(to=str(tmp_path / "half"), model=str(exported[0]), dtype="bfloat16"))
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "half").dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("stage", "chats"),
    [("pretrain", False), (CLEANED, False), (CONTAMINATED, False), ("sft", True), ("", True)],
)
def test_what_was_only_pretrained_does_not_chat(stage, chats):
    model: Any = None
    assert OpenModel(model, model, stage).chats is chats


def test_the_command_writes_a_stages_model_and_base_models_do_not_chat(tmp_path, capsys):
    run = tmp_path / "runs" / "ci-seed0"
    with drafting(run / "pretrain", "pretrain", {}, {}, 0) as draft:
        save_model(draft.path, Transformer(ModelConfig(310, 8, 1, 2, 1, 4, 8, 64)))
        sentencepiece(True).save(draft.path / "tokenizer.model")
    to = tmp_path / "new" / "hf"
    command = ["export", "--preset", "ci", "--out", str(tmp_path / "runs"), "--to", str(to)]
    assert main([*command, "--stage", "pretrain"]) == 0
    assert str(to) in capsys.readouterr().out
    assert AutoTokenizer.from_pretrained(to).chat_template is None
    for again, says in (
        ([], "exists and is not empty"),
        (["--stage", "sft", "--to", str(tmp_path / "x")], "there is no model in"),
        (["--model", str(tmp_path / "none"), "--to", str(tmp_path / "x")], "there is no model in"),
        (["--dtype", "int4"], "choose among"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--stage", "pretrain", *again])
        assert ended.value.code == 2
        assert says in capsys.readouterr().err
    assert sorted(path.name for path in to.parent.iterdir()) == ["hf"]
