"""SmolLM2, where it was fetched: scores of real weights equal those of lm-eval's own backend."""

from itertools import pairwise

import pytest
import torch

pytest.importorskip("lm_eval")

from lm_eval.models.huggingface import HFLM
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llamalite.harness.lm import LlamaliteLM
from llamalite.model.hf import hf_config, hf_name
from llamalite.real_models.fetch import SOURCE, models_folder
from tests.harness.test_lm_parity import requests

FOLDER = models_folder() / "smollm2"
TEXT = "The capital of France is Paris. Water boils at a hundred degrees. Cats chase mice at night."

pytestmark = pytest.mark.skipif(not (FOLDER / SOURCE).is_file(), reason="SmolLM2 is not fetched")


@pytest.fixture(scope="module")
def both():
    ours = LlamaliteLM(str(FOLDER), device="cpu", batch_size=4, progress=False)
    with torch.device("meta"):
        weights = LlamaForCausalLM(LlamaConfig(**hf_config(ours.model.config)))
    state = {hf_name(name): tensor for name, tensor in ours.model.state_dict().items()}
    weights.to_empty(device="cpu")
    weights.load_state_dict(state, strict=False, assign=True)
    weights.tie_weights()
    config = weights.config  # the rotary table is no weight, so meta left it empty
    weights.model.rotary_emb = type(weights.model.rotary_emb)(config)
    weights.generation_config.eos_token_id = ours.words.eos_id
    text = PreTrainedTokenizerFast(
        tokenizer_file=str(FOLDER / "tokenizer.json"),
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
    )
    return ours, HFLM(pretrained=weights.eval(), tokenizer=text, batch_size=4, device="cpu")


def test_scores_of_real_weights(both):
    ours, theirs = both
    words = TEXT.split(" ")
    asked = [
        (" ".join(words[:cut]), " " + " ".join(words[cut:end]))
        for cut, end in pairwise((3, 5, 9, 14))
    ]
    asked += [("", "The"), (words[0], " cat")]
    found = ours.loglikelihood(requests("loglikelihood", asked))
    wanted = theirs.loglikelihood(requests("loglikelihood", asked))
    assert [nats for nats, _ in found] == pytest.approx([nats for nats, _ in wanted], abs=1e-3)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]
    rolling = requests("loglikelihood_rolling", [(TEXT,)])
    assert ours.loglikelihood_rolling(rolling) == pytest.approx(
        theirs.loglikelihood_rolling(rolling), abs=1e-3
    )


def test_what_real_weights_write(both):
    ours, theirs = both
    settings = {"until": ["."], "max_gen_toks": 4}
    asked = requests("generate_until", [("The capital of France is", settings), ("Cats", settings)])
    assert ours.generate_until(asked) == theirs.generate_until(asked)
