"""Which documents are kept from all training."""

from hypothesis import given
from hypothesis import strategies as st

from llamalite.text.files import learned_and_kept


@given(st.integers(0, 300), st.integers(0, 50))
def test_every_document_is_learned_or_kept_and_fewer_kept_are_the_last(size, wanted):
    learned, kept = learned_and_kept(size, wanted)
    assert sorted([*learned, *kept]) == list(range(size))
    assert learned == sorted(learned)
    assert len(kept) == min(wanted, size // 10)
    fewer = learned_and_kept(size, wanted // 2)[1]
    assert fewer == kept[len(kept) - len(fewer) :]
