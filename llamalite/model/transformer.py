"""The Llama 2 decoder. Llama 2, section 2.2; its parts stand in `llamalite.model.layers`."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear

from llamalite.model.config import ModelConfig
from llamalite.model.kv_cache import KVCache
from llamalite.model.layers import Block, Embedding, Linear, RMSNorm, RotaryTable
from llamalite.shapes import Float, Int, Tensor


class Transformer(nn.Module):
    """An auto-regressive decoder: tokens in, next-token logits out. Llama 2, section 2.2.

    With tied embeddings there is no `output` module; the embedding's weights serve twice.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = Embedding(config.vocab_size, config.dim)
        self.rotary = RotaryTable(config.max_seq_len, config.head_dim, config.rope_theta)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = None if config.tie_embeddings else Linear(config.dim, config.vocab_size)

    def reset_parameters(self) -> None:
        """Draw every weight anew, also those of a model that `to_empty` has just given storage."""
        for module in self.modules():
            reset = getattr(module, "reset_parameters", None)
            if module is not self and callable(reset):
                reset()

    def hidden(
        self,
        tokens_BT: Int[Tensor, "B T"],
        positions_BT: Int[Tensor, "#B T"] | None = None,
        document_ids_BT: Int[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The residual stream after the final norm, which a reward head reads (section 3.2.2).

        `positions_BT` (0 to context - 1) default to 0, 1, 2 ...; `document_ids_BT` tell apart
        documents packed into one row, which then do not attend to one another; `cache`
        prepends what it holds and takes the new keys and values in. Raises ValueError when T
        exceeds the context, or when both documents and a cache are given.
        """
        length = tokens_BT.shape[1] + (cache.length if cache else 0)
        if length > self.config.max_seq_len + (_padding(cache) if cache else 0):
            raise ValueError(
                f"{length} tokens do not fit a context of {self.config.max_seq_len}; "
                "shorten the input or raise max_seq_len"
            )
        x_BTD = self.tok_embeddings(tokens_BT)
        mask = None
        if cache is not None:
            if document_ids_BT is not None:
                raise ValueError("a cache holds one document a row; leave document_ids_BT out")
            positions_BT = cache.positions(tokens_BT.shape[1])
            mask = cache_mask(cache, tokens_BT.shape[1])
        elif document_ids_BT is not None:
            mask = document_mask(document_ids_BT)
        mask = added_mask(mask, x_BTD.dtype)  # built once for all layers
        rope = self.rotary(positions_BT, tokens_BT.shape[1])
        for i, block in enumerate(self.layers):
            x_BTD = block(x_BTD, rope, mask, cache.layers[i] if cache else None)
        return self.norm(x_BTD)

    def forward(
        self,
        tokens_BT: Int[Tensor, "B T"],
        positions_BT: Int[Tensor, "#B T"] | None = None,
        document_ids_BT: Int[Tensor, "B T"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Next-token logits, unbounded, for every token; arguments as `hidden` takes them."""
        hidden_BTD = self.hidden(tokens_BT, positions_BT, document_ids_BT, cache)
        return self.logits(hidden_BTD)

    def logits(self, hidden_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T V"]:
        """Scores over the vocabulary from the final hidden states. Llama 2, section 2.2."""
        if self.output is None:
            return linear(hidden_BTD, self.tok_embeddings.weight)
        return self.output(hidden_BTD)


def document_mask(document_ids_BT: Int[Tensor, "B T"]) -> Tensor:
    """True where a token may look: backwards, within its own document; [B, 1, T, T].

    Not in the paper, which concatenates examples (section 3.1) and does not say whether they
    see one another; here they never do, so packing does not change what is learnt.
    """
    same = document_ids_BT[:, None, :, None] == document_ids_BT[:, None, None, :]
    return same & torch.ones_like(same[0, 0]).tril()


def cache_mask(cache: KVCache, count: int) -> Tensor | None:
    """True where the next `count` columns may look in the cache; None where causal is enough."""
    if cache.starts_B is None and cache.length == 0:
        return None
    device = cache.layers[0].keys.device
    columns = torch.arange(cache.length + count, device=device)
    queries = columns[cache.length :, None]
    mask = (columns <= queries)[None, None]
    if cache.starts_B is not None:
        # Padding looks at itself, for a row of scores without any entry has no softmax.
        mask = mask & ((columns >= cache.starts_B[:, None, None, None]) | (columns == queries))
    return mask


def added_mask(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A mask as what is added to the scores, which is cheaper than selecting among them."""
    if mask is None:
        return None
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, float("-inf"))


def _padding(cache: KVCache) -> int:
    """Columns that hold no token of the sequence with the fewest of them."""
    return 0 if cache.starts_B is None else int(cache.starts_B.min())
