"""The one legend of tensor axes, and the array types that name them.

| letter | axis | letter | axis |
|---|---|---|---|
| B | batch (sequences) | H | query heads |
| T | tokens of a sequence | K | key and value heads |
| R | response tokens | E | width of one head |
| N | candidates per prompt | F | feed-forward width |
| D | model width | V | vocabulary |
| L | layers | P | prompts |

Names carry their axes where it helps (`logprobs_BR`), public functions carry them in their
annotations (`Float[Tensor, "B T V"]`), which the test suite checks at run time.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Tensor"]
