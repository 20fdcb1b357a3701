"""A finished chat model as one whose replies are compared. Llama 2, section 3.2.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llamalite.artifacts import Artifact
from llamalite.model.checkpoint import load_model
from llamalite.model.compiled import sampling_decoder
from llamalite.model.config import SamplingConfig
from llamalite.model.generate import generate
from llamalite.preferences.collection import Variant
from llamalite.preferences.config import PreferencesConfig
from llamalite.protocols import Dialogue
from llamalite.text.chat import encode_prompt
from llamalite.text.tokenizer import Tokenizer


def model_variant(
    artifact: Artifact, version: str, config: PreferencesConfig, device: Any = "cpu"
) -> Variant:
    """The model of a stage's folder (config.json, model.safetensors, tokenizer.model).

    What its `generate` draws depends on the seed, a prompt and its place in the call only.
    """
    tokenizer = Tokenizer.load(artifact.file("tokenizer.model"))
    model = load_model(artifact.path, device).eval()
    tokens = 2 * (config.helpfulness + config.safety) * config.max_new_tokens
    decoder = sampling_decoder(model, config.compile, tokens)

    def reply(prompts: Sequence[Dialogue], temperature: float, seed: int) -> list[tuple[str, bool]]:
        drawn = generate(
            decoder,
            [encode_prompt(tokenizer, prompt) for prompt in prompts],
            SamplingConfig(config.max_new_tokens, temperature=temperature, top_p=config.top_p),
            eos_id=tokenizer.eos_id,
            seed=seed,
        )
        return [(tokenizer.decode(one.ids).strip(), one.finished) for [one] in drawn]

    return Variant(version, artifact.fingerprint, reply)
