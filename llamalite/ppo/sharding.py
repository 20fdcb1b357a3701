"""Generation by a model that several processes share. Llama 2, section 3.2.3.

The paper trained with FSDP and found generation about twenty times slower than training, since
weights are gathered anew for every token; its remedy, used here: put the weights together once
before generating and free them after.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from llamalite import parallel
from llamalite.model.config import ModelConfig
from llamalite.model.transformer import Transformer


@contextmanager
def consolidated(policy: nn.Module, config: ModelConfig, sharded: bool) -> Iterator[Transformer]:
    """The policy's transformer, whole on this process's device while inside.

    A model that is not shared is handed out as it is. Every process must enter.
    """
    if not sharded:
        yield policy.transformer  # pyright: ignore[reportReturnType]
        return
    weights = whole_weights(policy.transformer)  # pyright: ignore[reportArgumentType]
    with torch.device("meta"):
        whole = Transformer(config)
    device = next(iter(weights.values())).device
    whole.to_empty(device=device)
    whole.reset_parameters()  # the tables of positions, which are not saved
    whole.load_state_dict(weights, assign=True)
    del weights
    yield whole.eval()
    whole.to("meta")  # whoever still holds it holds no weights


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """All weights, whole, on every process's device; every process must call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    found: Any = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    return found


def frozen(
    build: Any, weights: dict[str, Tensor], config: Any, mesh: Any, device: torch.device
) -> nn.Module:
    """A network that is only read, sharded like the trained ones where they are."""
    model = parallel.prepare(build, config, mesh, weights if mesh is None else None)
    if mesh is None:
        return model.to(device).requires_grad_(False).eval()
    model.to_empty(device=device)
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset) and not list(module.parameters(recurse=False)):
            reset()  # the tables of positions, which are not saved
    parallel.load_full_weights(model, weights)
    return model.requires_grad_(False).eval()


def from_all(own: Any, rank: int) -> list[Any]:
    """What each data-parallel process has, in their order; processes of one rank have the same."""
    if not torch.distributed.is_initialized():
        return [own]
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, (rank, own))
    return [value for _, value in sorted(dict(found).items())]
