"""Where a model looks late in a dialogue. Llama 2, section 3.3 and figure 10.

The fused kernel of the model gives no weights, so they are computed again from each layer's own
input. Of all layers and heads the largest weight counts, as in the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from einops import rearrange
from torch.utils.hooks import RemovableHandle

from llamalite.evaluation.scoring import estimate
from llamalite.model.layers import Attention, rotate
from llamalite.model.transformer import Transformer
from llamalite.sft.data import Dialogue
from llamalite.shapes import Float, Int, Tensor
from llamalite.text.chat import END_SYS, INST, SYS, encode_dialogue
from llamalite.text.tokenizer import Tokenizer


class Spans(NamedTuple):
    """A dialogue's tokens, and which of them are what."""

    ids: list[int]
    instruction: range
    """Tokens of the instruction's words: no tag, no beginning of sequence."""
    turns: list[int]
    """Where each turn begins."""
    replies: list[range]
    """Tokens of each turn's reply, its end of sequence included."""


def layer_weights(
    attention: Attention, x_TD: Float[Tensor, "T D"], cos: Tensor, sin: Tensor
) -> Float[Tensor, "H T T"]:
    """Causal attention weights of one layer for one sequence, softmax(q k / sqrt(E)); section 2.2.

    `x_TD` is the layer's normalised input, `cos` and `sin` what its rotary table gives. Each
    query's row adds up to 1.
    """
    E = attention.head_dim
    q = rotate(rearrange(attention.wq(x_TD[None]), "B T (H E) -> B T H E", E=E), cos, sin)
    k = rotate(rearrange(attention.wk(x_TD[None]), "B T (K E) -> B T K E", E=E), cos, sin)
    k = k.repeat_interleave(q.shape[2] // k.shape[2], dim=2)
    scores = torch.einsum("qhe,khe->hqk", q[0].float(), k[0].float()) * E**-0.5
    ahead = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    return scores.masked_fill(ahead, float("-inf")).softmax(-1)


@torch.no_grad()
def strongest_attention(model: Transformer, ids_T: Int[Tensor, " T"]) -> Float[Tensor, "T T"]:
    """Largest weight over all layers and heads from each token (rows) to each (columns), 0 to 1.

    "Maximum activations across the network", figure 10. Raises ValueError when the sequence is
    longer than the context.
    """
    seen: list[tuple[Attention, Tensor, tuple[Tensor, Tensor]]] = []

    def note(module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(module, Attention)
        seen.append((module, arguments[0][0], arguments[1]))

    hooks: list[RemovableHandle] = []
    try:
        for block in model.layers:
            attention = block.get_submodule("attention")
            hooks.append(attention.register_forward_pre_hook(note))
        model.hidden(ids_T[None])
    finally:
        for hook in hooks:
            hook.remove()
    strongest = torch.zeros(len(ids_T), len(ids_T), device=ids_T.device)
    for attention, x_TD, (cos, sin) in seen:
        strongest = torch.maximum(strongest, layer_weights(attention, x_TD, cos, sin).amax(0))
    return strongest


def binned(map_TT: Float[Tensor, "T T"], width: int) -> Float[Tensor, "N N"]:
    """The map with `width` neighbouring tokens drawn as one, the largest of their weights.

    Figure 10 bins neighbouring tokens and does not say how. The largest, because a mean would
    dilute a row's few strong weights. The last bin may be narrower.
    """
    bins = -(-len(map_TT) // width)
    padded = map_TT.new_zeros(bins * width, bins * width)
    padded[: len(map_TT), : len(map_TT)] = map_TT
    return rearrange(padded, "(a x) (b y) -> a b x y", x=width, y=width).amax((2, 3))


def spans(tokenizer: Tokenizer, messages: Dialogue) -> Spans:
    """Where instruction, turns and replies stand in an encoded dialogue with a system message.

    Raises ValueError when there is none, or nobody answers at the end.
    """
    if not messages or messages[0]["role"] != "system":
        raise ValueError("the dialogue has no system message; give one with an instruction")
    ids, learned = encode_dialogue(tokenizer, messages)
    before = f"{INST} {SYS}\n"
    tag = tokenizer.encode(before, bos=True)
    text = tokenizer.encode(before + messages[0]["content"].strip(), bos=True)
    whole = tokenizer.encode(f"{before}{messages[0]['content'].strip()}\n{END_SYS}", bos=True)
    turns = [i for i, each in enumerate(ids) if each == tokenizer.bos_id]
    ends = [*turns[1:], len(ids)]
    replies = []
    for start, end in zip(turns, ends, strict=True):
        replies.append(range(next(i for i in range(start, end) if learned[i]), end))
    return Spans(ids, range(_common(tag, ids), min(_common(text, ids), len(whole))), turns, replies)


def instruction_attention(map_TT: Float[Tensor, "T T"], found: Spans) -> list[float]:
    """Per turn: the strongest weight on the instruction, averaged over the reply's tokens, 0 to 1.

    The token that predicts a reply's token is the one before it.
    """
    first, last = found.instruction.start, found.instruction.stop
    onto_T = map_TT[:, first:last].amax(1)
    return [float(onto_T[reply.start - 1 : reply.stop - 1].mean()) for reply in found.replies]


def attention_by_turn(
    model: Transformer, dialogues: Sequence[Spans], resamples: int = 1000
) -> list[dict[str, Any]]:
    """`instruction_attention` at each turn, averaged over dialogues, with intervals over them."""
    device = model.tok_embeddings.weight.device
    found = [
        instruction_attention(strongest_attention(model, torch.tensor(d.ids, device=device)), d)
        for d in dialogues
    ]
    longest = max((len(each) for each in found), default=0)
    return [
        {"turn": t + 1, **estimate([each[t] for each in found if t < len(each)], resamples)}
        for t in range(longest)
    ]


def attention_map(model: Transformer, dialogue: Spans, width: int) -> list[list[float]]:
    """The binned map of one dialogue as rows of numbers, for a result file.

    It begins with the instruction's first word: the tokens before are the same in every dialogue,
    and models rest their attention on the very first of them.
    """
    device = model.tok_embeddings.weight.device
    strongest = strongest_attention(model, torch.tensor(dialogue.ids, device=device))
    first = dialogue.instruction.start
    rows = binned(strongest[first:, first:], width)
    return np.round(rows.cpu().numpy().astype(float), 4).tolist()


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common beginning."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
