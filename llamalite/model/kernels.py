"""Small operations in C, compiled for this machine when they are first asked for.

Between the matrix products of a decoding step stand some seventy small operations, each a pass
over memory and a call; `kernels.c` does them in four. It is compiled by the system's C compiler in
about a second, once a process. Its threads are PyTorch's own.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from llamalite.model.sampling import LARGEST_UNIFORM
from llamalite.shapes import Tensor

_SOURCE = Path(__file__).with_name("kernels.c")
_FLAGS = (
    *("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math"),  # or exponentials are not vectorised
)
_POINTER, _NUMBER, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_ARGUMENTS = {
    "norm": [_POINTER] * 3 + [_NUMBER] * 2 + [_REAL],
    "gate": [_POINTER] * 2 + [_NUMBER] * 2,
    "attend": [_POINTER] * 8 + [_NUMBER] * 6,
    "draw": [_POINTER] * 5 + [_NUMBER] * 3 + [_REAL] * 3,
}


class Kernels:
    """The compiled operations on contiguous float32 tensors in the CPU's memory."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, _NUMBER if name == "draw" else None
        self._library = library

    def norm(self, x_ND: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        """RMSNorm of every row."""
        x_ND = x_ND.contiguous()
        out = x_ND.new_empty(x_ND.shape)
        self._library.norm(x_ND.data_ptr(), weight_D.data_ptr(), out.data_ptr(), *x_ND.shape, eps)
        return out

    def gate(self, gate_and_value_NF: Tensor) -> Tensor:
        """silu of the first half of every row, times the second half."""
        rows, width = gate_and_value_NF.shape
        out = gate_and_value_NF.new_empty(rows, width // 2)
        self._library.gate(gate_and_value_NF.data_ptr(), out.data_ptr(), rows, width // 2)
        return out

    def attend(
        self,
        qkv_BF: Tensor,
        keys: Tensor,
        values: Tensor,
        cos: Tensor,
        sin: Tensor,
        starts_B: Tensor | None,
        end: int,
    ) -> Tensor:
        """Store a new token's key and value in slot `end` - 1 of [B, K, slots, E]; what its queries
        read there, from `starts_B` (int64, below `end`) on. Heads are turned by the tables' row of
        their position. ValueError where tokens and cache are not of one kind and number."""
        B, K, slots, E = keys.shape
        if len(qkv_BF) != B or {qkv_BF.dtype, keys.dtype, values.dtype} != {torch.float32}:
            raise ValueError(
                f"{len(qkv_BF)} tokens in {qkv_BF.dtype} do not fit a cache of {B} sequences in "
                f"{keys.dtype}; both must be as many, in torch.float32"
            )
        H = qkv_BF.shape[1] // E - 2 * K
        scratch, out = qkv_BF.new_empty(B, H, end), qkv_BF.new_empty(B, H * E)
        pointers = (t.data_ptr() for t in (qkv_BF, keys, values, cos, sin))
        starts = None if starts_B is None else starts_B.data_ptr()
        self._library.attend(
            *pointers, starts, scratch.data_ptr(), out.data_ptr(), B, H, K, E, slots, end
        )
        return out

    def draw(
        self, logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_p: float
    ) -> tuple[Tensor, Tensor]:
        """A token per row and its log-probability (nats), as `sample_tokens` without top-k.

        ValueError where logits are no numbers, or uniform numbers not one float32 for each row.
        """
        if uniform_B.shape != logits_BV.shape[:1] or uniform_B.dtype != torch.float32:
            raise ValueError(
                f"uniform numbers of shape {tuple(uniform_B.shape)} in {uniform_B.dtype} do not "
                f"fit {len(logits_BV)} rows; one in torch.float32 is needed for each"
            )
        logits_BV, (B, V) = logits_BV.contiguous(), logits_BV.shape
        tokens_B, logprobs_B = logits_BV.new_empty(B, dtype=torch.long), logits_BV.new_empty(B)
        tensors = (logits_BV, uniform_B, logits_BV.new_empty(B, 2 * V), tokens_B, logprobs_B)
        pointers = (t.data_ptr() for t in tensors)
        stride = uniform_B.stride(0)
        if self._library.draw(*pointers, B, V, stride, temperature, top_p, LARGEST_UNIFORM):
            raise ValueError("logits are infinite or no numbers; the model's weights are damaged")
        return tokens_B, logprobs_B


@cache
def kernels() -> Kernels | str:
    """The operations, or in one line why this machine cannot have them."""
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        return f"there is no C compiler {command[0]!r} here"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "kernels.so"
        run: Any = subprocess.run(
            [*command, *_FLAGS, str(_SOURCE), "-o", str(made), "-lm"],
            capture_output=True,
            text=True,
        )
        if run.returncode:
            said = " ".join(run.stderr.split())[-300:]
            return f"{command[0]} cannot compile {_SOURCE.name}: {said}"
        try:
            return Kernels(ctypes.CDLL(str(made)))
        except (OSError, AttributeError) as error:  # not built for here; names of another language
            return f"the compiled kernels cannot be loaded: {error}"
