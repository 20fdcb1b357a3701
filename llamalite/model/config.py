"""The shape of a Llama 2 model. Llama 2, section 2.2 and table 1; no torch is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Every dimension of one decoder; the released sizes stand in `llamalite.presets`."""

    vocab_size: int = 1024
    """V: number of token ids, the tokenizer's vocabulary size."""
    dim: int = 128
    """D: width of the residual stream."""
    n_layers: int = 4
    """L: number of decoder blocks."""
    n_heads: int = 4
    """H: query heads."""
    n_kv_heads: int = 2
    """K: key and value heads; H of them give multi-head attention, 1 multi-query, else grouped."""
    head_dim: int = 32
    """E: width of one head (even, for rotary positions); need not be D / H."""
    ffn_dim: int = 352
    """F: inner width of the SwiGLU feed-forward layer."""
    max_seq_len: int = 256
    """T: context length in tokens; longer inputs are refused."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies."""
    norm_eps: float = 1e-5
    """Epsilon inside RMSNorm."""
    tie_embeddings: bool = False
    """Share the input embedding with the output projection; the released models do not."""

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "dim",
            "n_layers",
            "n_heads",
            "n_kv_heads",
            "head_dim",
            "ffn_dim",
            "max_seq_len",
        ):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is not divisible by n_kv_heads {self.n_kv_heads}; "
                f"choose n_kv_heads among the divisors of {self.n_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(
                f"head_dim {self.head_dim} is odd; rotary positions turn pairs of features, "
                "choose an even width"
            )

    @property
    def n_parameters(self) -> int:
        """Number of weights, embeddings and output projection included."""
        attention = self.dim * self.head_dim * (2 * self.n_heads + 2 * self.n_kv_heads)
        block = attention + 3 * self.dim * self.ffn_dim + 2 * self.dim
        embeddings = self.vocab_size * self.dim * (1 if self.tie_embeddings else 2)
        return embeddings + self.n_layers * block + self.dim

    def kv_bytes_per_token(self, bytes_per_value: int = 2) -> int:
        """Bytes the key/value cache grows by with each token of one sequence (fp16 by default)."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim * bytes_per_value


@dataclass(frozen=True)
class SamplingConfig:
    """How replies are drawn. The paper varies temperature and top-p (sections 3.2.3, A.2.2)."""

    max_new_tokens: int = 48
    """Most tokens of a reply, its end-of-sequence token included; the context may end sooner."""
    temperature: float = 1.0
    """Divides the logits; 0 always takes the likeliest token, 1 draws from the model itself."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together reach this probability (0 to 1)."""
    top_k: int = 0
    """Draw only among this many likeliest tokens; 0 draws among all."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature is {self.temperature}; it must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 (off) or more")
