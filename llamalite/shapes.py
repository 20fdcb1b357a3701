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

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Tensor", "check_alike"]


def check_alike(
    numbers: Mapping[str, Tensor],
    flags: Mapping[str, Tensor],
    wanted: str,
    *,
    axes: int | None = None,
    empty: bool = True,
) -> None:
    """Refuse, in one line, what torch would misread: tensors by name that belong together.

    Other shapes would broadcast, 0 and 1 are no marks (`~1` is -2), whole numbers have no loss.
    `wanted` says what to give ("one number of each per pair"); `axes` is how many axes each has,
    and `empty` whether one of them may be of size 0. Raises ValueError.
    """
    given = {**numbers, **flags}
    for name, each in given.items():
        if not isinstance(each, Tensor):
            raise ValueError(f"{name} is a {type(each).__name__}; give a tensor")
        if name in flags and each.dtype != torch.bool:
            raise ValueError(f"{name} has dtype {each.dtype}; give booleans, as {name}.bool()")
    *others, last = given
    names = f"{', '.join(others)} and {last}"
    shapes = [tuple(each.shape) for each in given.values()]
    wrong = axes is not None and len(shapes[0]) != axes
    if len(set(shapes)) > 1 or wrong or (not empty and 0 in shapes[0]):
        raise ValueError(f"{names} have shapes {shapes}; give {wanted}")
    devices = [str(each.device) for each in given.values()]
    if len(set(devices)) > 1:
        raise ValueError(f"{names} are on {', '.join(devices)}; move them to one with .to(device)")
    whole = [name for name, each in numbers.items() if not each.is_floating_point()]
    if whole:
        raise ValueError(f"{', '.join(whole)} hold whole numbers; give floats, as with .float()")
