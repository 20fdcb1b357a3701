"""Rows, scores that depend on nothing but their reply, and models as files."""

import json
import random

import pytest
import torch
from pairs import QUESTION, Compared

from llamalite.model.checkpoint import load_model
from llamalite.ppo.module import ValueModel
from llamalite.reward.model import RewardModel, load_reward_model, save_reward_model
from llamalite.reward.rows import Encoder, pack_rows
from llamalite.reward.scorer import RewardScorer
from llamalite.scoring import alone, score_replies
from llamalite.text.chat import encode_dialogue
from llamalite.text.tokenizer import Tokenizer

SYSTEM = {"role": "system", "content": "Be kind."}


def said(text):
    return {"role": "assistant", "content": text}


@pytest.fixture
def model(chat):
    return RewardModel.from_chat(chat, seed=1)


@pytest.fixture
def scorer(model, tokenizer):
    return RewardScorer(model, tokenizer)


# --- rows -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "messages",
    [
        QUESTION,
        (SYSTEM, *QUESTION),
        (*QUESTION, said("In Runtown."), {"role": "user", "content": "And Kapo?"}),
    ],
)
def test_a_row_is_the_dialogue_that_was_learned(tokenizer, messages):
    ids = Encoder(tokenizer, 128).encode(messages, " Kapo lives in Tidewick. ")
    assert ids == encode_dialogue(tokenizer, [*messages, said("Kapo lives in Tidewick.")]).ids
    assert ids[-1] == tokenizer.eos_id


def test_an_unfinished_reply_ends_as_it_stands(tokenizer):
    whole = Encoder(tokenizer, 128).encode(QUESTION, "Moru lives")
    cut = Encoder(tokenizer, 128).encode(QUESTION, "Moru lives", finished=False)
    assert tokenizer.eos_id not in cut
    assert whole[: len(cut)] == cut


def test_a_long_prompt_loses_its_beginning_and_keeps_the_reply(tokenizer):
    whole = Encoder(tokenizer, 128).encode(QUESTION, "In Runtown.")
    reply = whole[len(Encoder(tokenizer, 128).prompt(QUESTION).ids) :]
    for length in range(len(reply) + 1, len(whole)):
        ids = Encoder(tokenizer, length).encode(QUESTION, "In Runtown.")
        assert ids == [tokenizer.bos_id, *whole[len(whole) - length + 1 :]]
    # too long by itself, it loses its own end
    ids = Encoder(tokenizer, 4).encode(QUESTION, "In Runtown.")
    assert ids == [tokenizer.bos_id, *reply[:3]]
    with pytest.raises(ValueError, match="length of 1 holds no reply"):
        Encoder(tokenizer, 1)


def test_a_reply_may_hold_tags_but_a_prompt_may_not(tokenizer, scorer):
    text = "Sure. [/INST] I am safe. [INST]"
    assert scorer([QUESTION], [text]).isfinite().all()
    with pytest.raises(ValueError, match=r"contains '\[INST\]'"):
        scorer([[{"role": "user", "content": text}]], ["Sure."])


def test_rows_packed_by_hand():
    rows = pack_rows([[1, 5, 2], [1, 9]], 6)
    assert rows.tokens.tolist() == [[1, 5, 2, 1, 9]]
    assert rows.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert rows.document_ids.tolist() == [[0, 0, 0, 1, 1]]
    assert rows.last_B.tolist() == [2, 4]
    rows = pack_rows([[7], [1, 5, 2], [1, 9]], 4)  # the longest first, the single one beside it
    assert rows.tokens.tolist() == [[1, 5, 2, 7], [1, 9, 0, 0]]
    assert rows.positions.tolist() == [[0, 1, 2, 0], [0, 1, 0, 1]]
    assert rows.document_ids.tolist() == [[0, 0, 0, 1], [0, 0, 1, 1]]
    assert rows.last_B.tolist() == [3, 2, 5]
    for wrong in ([], [[]], [[1, 2, 3]]):
        with pytest.raises(ValueError, match="do not fit rows of 2"):
            pack_rows(wrong, 2)


# --- scores ---------------------------------------------------------------------------------------
def test_a_score_is_the_heads_view_of_the_last_token(model, chat, tokenizer, scorer):
    reply = "Moru lives in Runtown."
    ids = Encoder(tokenizer, 128).encode(QUESTION, reply)
    hidden = chat.hidden(torch.tensor([ids]))[0, -1]
    by_hand = hidden @ model.head.weight[0] + model.head.bias[0]
    assert scorer([QUESTION], [reply]).item() == pytest.approx(by_hand.item(), abs=1e-5)
    asked = Compared(id="q")
    assert score_replies(alone(scorer), [asked], [reply]) == {
        "score": [scorer([QUESTION], [reply]).item()]
    }


def test_a_reply_that_was_cut_is_scored_as_one_and_other_scorers_are_not_told(scorer, tokenizer):
    reply = "Moru lives in Runtown."
    asked = [Compared(id="q"), Compared(id="q")]
    found = score_replies(alone(scorer), asked, [reply, reply], [True, False])["score"]
    ids = Encoder(tokenizer, 128).encode(QUESTION, reply)
    assert (tokenizer.decode(ids[-2:-1]).strip(), ids[-1]) == ("", tokenizer.eos_id)
    cut = scorer.score_ids([ids[:-2]])  # without the space and the token that end a reply
    assert found == pytest.approx([scorer([QUESTION], [reply]).item(), cut.item()], abs=2e-6)
    assert abs(found[0] - found[1]) > 1e-3

    def length(dialogues, replies):
        return torch.tensor([float(len(each)) for each in replies])

    assert score_replies(alone(length), asked, ["ab", "c"], [True, False]) == {"score": [2.0, 1.0]}


def test_scores_do_not_depend_on_the_batch(scorer, tokenizer):
    dice = random.Random(0)
    words = ["Moru", "lives", "in", "Runtown", "well", "not", "?"]
    replies = [" ".join(dice.choices(words, k=dice.randint(1, 12))) for _ in range(40)]
    asked = [QUESTION if i % 2 else (SYSTEM, *QUESTION) for i in range(40)]
    together = scorer(asked, replies)
    alone = torch.cat([scorer([m], [r]) for m, r in zip(asked, replies, strict=True)])
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=0)
    assert together.std() > 0.01  # else it would say nothing
    order = dice.sample(range(40), 40)
    shuffled = scorer([asked[i] for i in order], [replies[i] for i in order])
    torch.testing.assert_close(shuffled, together[order], atol=2e-6, rtol=0)


def test_scores_do_not_depend_on_padding_nor_on_what_stands_under_it(model):
    sequences = [[1, 7, 9, 2], [1, 8, 2]]
    tight, wide = pack_rows(sequences, 4), pack_rows(sequences * 3, 10)
    wide = wide._replace(last_B=wide.last_B[:2])
    with torch.no_grad():
        torch.testing.assert_close(model(*tight), model(*wide), atol=2e-6, rtol=0)
    scores = []
    for filler in (0, 5):
        model.zero_grad()
        # the last document of the last row is filler
        under = tight.document_ids == tight.document_ids.max(1, keepdim=True).values
        under[0] = False
        tokens = torch.where(under, filler, tight.tokens)
        value = model(tokens, *tight[1:])
        value.sum().backward()
        scores.append((value.tolist(), model.body.layers[0].attention.wq.weight.grad.clone()))
    assert (tight.tokens[1, 3], under[1].tolist()) == (0, [False, False, False, True])
    assert scores[0][0] == scores[1][0]
    assert torch.equal(scores[0][1], scores[1][1])


def test_scoring_nothing_and_uneven_lists(scorer):
    assert scorer([], []).shape == (0,)
    with pytest.raises(ValueError, match="1 dialogues come with 2 replies"):
        scorer([QUESTION], ["a", "b"])
    assert scorer([QUESTION], [""]).isfinite().all()


def test_many_long_replies_are_scored_in_parts(scorer, monkeypatch):
    replies = [f"Moru {'lives ' * (i % 5)}" for i in range(30)]
    whole = scorer([QUESTION] * 30, replies)
    monkeypatch.setattr("llamalite.reward.scorer.TOKENS_AT_ONCE", 100)
    torch.testing.assert_close(scorer([QUESTION] * 30, replies), whole, atol=2e-6, rtol=0)


# --- a new head -----------------------------------------------------------------------------------
def test_the_head_is_drawn_by_the_seed_and_the_body_is_the_chat_models(chat):
    first, same, other = (RewardModel.from_chat(chat, seed) for seed in (0, 0, 1))
    assert torch.equal(first.head.weight, same.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    body = first.body.state_dict()
    assert all(torch.equal(w, chat.state_dict()[name]) for name, w in body.items())
    assert "output.weight" not in body
    assert first.head.bias.item() == 0


def test_a_value_model_takes_the_weights_over(model, chat):
    value = ValueModel(chat.config)
    value.load_state_dict(model.state_dict())
    ids = torch.tensor([[1, 7, 9, 2]])
    with torch.no_grad():
        before_last = value(ids, torch.tensor([4]), 1)[0, 0]
        score = model(*pack_rows(ids.tolist(), 4))
    assert before_last.item() == pytest.approx(score.item(), abs=1e-6)


# --- files ----------------------------------------------------------------------------------------
@pytest.fixture
def saved(model, tokenizer, tmp_path):
    save_reward_model(tmp_path / "rm", model, tokenizer, "safety")
    return tmp_path / "rm"


def test_what_was_saved_scores_the_same(saved, scorer, tokenizer):
    loaded = load_reward_model(saved, tokenizer)
    assert loaded.name == "safety"
    again = RewardScorer.load(saved)
    assert torch.equal(again([QUESTION], ["Go away."]), scorer([QUESTION], ["Go away."]))


def test_equal_weights_give_equal_bytes(saved, model, tokenizer, tmp_path):
    save_reward_model(tmp_path / "again", model, tokenizer, "safety")
    for file in saved.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_a_reward_model_for_another_tokenizer_is_refused(saved, model):
    foreign = Tokenizer.train(["One quite different text about bread and butter."] * 9, 330)
    with pytest.raises(ValueError, match=r"was trained with tokenizer .* to be scored has"):
        load_reward_model(saved, foreign)
    with pytest.raises(ValueError, match="to be scored has"):
        RewardScorer.load(saved, foreign)
    foreign.save(saved / "tokenizer.model")
    with pytest.raises(ValueError, match="do not belong together"):
        load_reward_model(saved)
    small = Tokenizer.train(["Bread and butter."] * 9, 290)
    with pytest.raises(ValueError, match="290 pieces and the reward model 330"):
        RewardScorer(model, small)


def test_damaged_and_foreign_files_are_refused_in_one_line(saved, sft):
    def refused(match):
        with pytest.raises(ValueError, match=match) as raised:
            load_reward_model(saved)
        assert "\n" not in str(raised.value)

    with pytest.raises(ValueError, match="its format is 'llamalite'; give a reward model"):
        load_reward_model(sft.path)
    with pytest.raises(ValueError, match="not a llamalite configuration"):
        load_model(saved)
    weights = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(weights[:-7])
    refused("damaged")
    (saved / "model.safetensors").write_bytes(b"\x80\x04pickle")
    refused("a pickle")
    (saved / "model.safetensors").write_bytes(weights)
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {"dim": 64}))
    refused("belong to another configuration")
    (saved / "config.json").write_text(json.dumps(config | {"name": None}))
    refused("missing or unknown: name")
    (saved / "config.json").unlink()
    refused("give a model's folder")


def test_weights_that_are_not_finite_are_refused(model, tokenizer, tmp_path):
    with torch.no_grad():
        model.body.norm.weight[3] = float("nan")
    save_reward_model(tmp_path, model, tokenizer, "safety")
    with pytest.raises(ValueError, match=r"body\.norm\.weight is not finite"):
        load_reward_model(tmp_path)
