"""Models that differ in one choice and nothing else. Llama 2, appendix A.2.1; needs no torch."""

from __future__ import annotations

from dataclasses import replace

from llamalite.model.config import ModelConfig
from llamalite.pretraining.config import PretrainConfig

UP_SAMPLING = 3
"""How many times the weight of v1 the factual source has in v2. Not in the paper, which says only
that "the most factual sources" were up-sampled (section 2.1)."""
FACTUAL = "encyclopedia"
"""The micro-world's factual source."""
MORE_TOKENS = 1.4
"""Tokens of v2 for each of v1 (table 1: 1.4T to 2.0T)."""

ATTENTION: dict[str, str] = {
    "MHA": "multi-head: every query head has keys and values of its own",
    "GQA": "grouped-query: the heads of a group share them",
    "MQA": "multi-query: all heads share them",
}


def with_kv_heads(model: ModelConfig, kv_heads: int) -> ModelConfig:
    """The model with another number of key/value heads and as many parameters.

    What the keys and values gain or lose in weights, 2 D E (K - K'), the feed-forward layer's width
    makes up for, to the nearest unit of 3 D weights: table 18's models are evened out this way (the
    paper widens by 1.3 for GQA and 1.33 for MQA). Raises ValueError where nothing is left to give.
    """
    freed = 2 * model.dim * model.head_dim * (model.n_kv_heads - kv_heads)
    ffn_dim = model.ffn_dim + round(freed / (3 * model.dim))
    if ffn_dim < 1:
        raise ValueError(
            f"{kv_heads} key/value heads take more weights than the feed-forward layer of "
            f"{model.ffn_dim} has; choose fewer heads, or a wider model"
        )
    return replace(model, n_kv_heads=kv_heads, ffn_dim=ffn_dim)


def attention_variants(model: ModelConfig) -> dict[str, ModelConfig]:
    """The model with multi-head, grouped-query and multi-query attention, all equally large.

    The model itself is the grouped one (the paper has 8 key/value heads there). Raises ValueError
    when its heads form no groups.
    """
    if not 1 < model.n_kv_heads < model.n_heads:
        raise ValueError(
            f"{model.n_heads} query and {model.n_kv_heads} key/value heads form no groups; "
            "choose n_kv_heads between 1 and n_heads"
        )
    heads = {"MHA": model.n_heads, "GQA": model.n_kv_heads, "MQA": 1}
    return {name: with_kv_heads(model, kv_heads) for name, kv_heads in heads.items()}


def by_kv_heads(model: ModelConfig, kv_heads: tuple[int, ...]) -> dict[str, ModelConfig]:
    """Equally large models by the name of their attention, or by the numbers of heads asked for."""
    if not kv_heads:
        return attention_variants(model)
    return {f"{heads} kv heads": with_kv_heads(model, heads) for heads in kv_heads}


def with_context(pretrain: PretrainConfig, context: int) -> PretrainConfig:
    """The run with rows of another length, and as many tokens a step and in all (table 16).

    Raises ValueError where a step's tokens are no whole number of such rows.
    """
    if context < 1 or pretrain.step_tokens % context:
        raise ValueError(
            f"a step of {pretrain.step_tokens} tokens is no whole number of rows of {context}; "
            "choose a context that divides it"
        )
    return replace(
        pretrain,
        sequence_length=context,
        batch_size=pretrain.step_tokens // context,
        model=replace(pretrain.model, max_seq_len=context),
    )


def weight_of(pretrain: PretrainConfig, source: str) -> float:
    """A source's weight in the run's mixture; ValueError where the mixture has no such source."""
    if source not in pretrain.mixture:
        raise ValueError(
            f"the mixture has no source {source!r}; choose among {', '.join(pretrain.mixture)}"
        )
    return pretrain.mixture[source]


def fewer_facts(pretrain: PretrainConfig) -> PretrainConfig:
    """The run with a third of the encyclopedia's weight, and as many tokens in all."""
    weight = weight_of(pretrain, FACTUAL) / UP_SAMPLING
    return replace(pretrain, mixture=pretrain.mixture | {FACTUAL: weight})


def recipes(pretrain: PretrainConfig) -> dict[str, PretrainConfig]:
    """The recipes of Llama 1 and Llama 2 by name, of one model (table 1 and section 2.1).

    v2 is the run itself; v1 has fewer tokens (1 for 1.4), half the context at as many tokens a
    step, and the mix with fewer facts. Raises ValueError where a run has no such half or no such
    source.
    """
    tokens = round(pretrain.tokens / MORE_TOKENS)
    earlier = fewer_facts(replace(pretrain, tokens=tokens))
    return {"v1": with_context(earlier, pretrain.sequence_length // 2), "v2": pretrain}
