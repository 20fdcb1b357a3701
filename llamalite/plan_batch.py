"""Into how many parts a global batch divides, and where it does not. Needs no torch.

Not in the paper. More ranks make a step no faster once each holds a single sequence of the batch.
"""

from __future__ import annotations

from llamalite.training_config import ParallelConfig


def micro_batches(
    batch_tokens: int, sequence: int, rows: int, data_parallel: int
) -> tuple[int | None, str | None]:
    """Micro-batches of `rows` sequences that each data-parallel rank takes a step, and a refusal.

    One of the two is None. The refusal says why the batch does not fit: in `pretrain`'s own words
    where that would not start, in others where it would hold other rows at once than were planned.
    """
    whole, rest = divmod(batch_tokens, sequence)
    if rest:
        return None, f"batch_tokens {batch_tokens:,} is no multiple of sequence {sequence:,}"
    accumulation = max(1, whole // (rows * data_parallel))
    try:
        machine = ParallelConfig(data_parallel=data_parallel)
        machine.check_divides("batch_size", whole, accumulation)
    except ValueError as refusal:
        return None, str(refusal)
    own = whole // (data_parallel * accumulation)
    if own != rows:
        return None, (
            f"the batch leaves each of {data_parallel:,} ranks {own} at once and not {rows}; "
            f"choose micro_batch {own}"
        )
    return accumulation, None
