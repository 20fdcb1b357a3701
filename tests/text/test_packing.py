"""Literal rows, nothing lost, nothing seen across boundaries."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llamalite.model.config import ModelConfig
from llamalite.model.loss import next_token_loss
from llamalite.model.transformer import Transformer
from llamalite.text.chat import Encoded
from llamalite.text.packing import Packer, collate, make_row, pack


def learned(*ids):
    return Encoded(list(ids), [True] * len(ids))


def lists(row):
    return [field.int().tolist() for field in row]


def test_a_row_written_out_by_hand():
    examples = [Encoded([1, 5, 2], [False, True, True]), learned(1, 9)]
    [row] = pack(examples, 6)
    assert lists(row) == [
        [1, 5, 2, 1, 9, 0],
        [5, 2, 0, 9, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [0, 1, 2, 0, 1, 0],
        [0, 0, 0, 1, 1, 2],
    ]


def test_what_is_masked_in_the_example_is_masked_where_it_is_predicted():
    [row] = pack([Encoded([1, 7, 8, 9, 2], [False, False, False, True, True])], 5)
    assert row.targets_T.tolist() == [7, 8, 9, 2, 0]
    assert row.loss_mask_T.tolist() == [False, False, True, True, False]


def test_first_fit_fills_the_first_row_with_room():
    sizes = [5, 4, 1, 3, 2]
    rows = list(pack([learned(*[n] * n) for n in sizes], 7, open_rows=2))
    # 5 | 4 open; 1 joins the first; 3 fills the second, which is given out at once; 2 has no
    # room in the first (6 of 7 used) and opens a row
    assert [row.tokens_T.tolist() for row in rows] == [
        [4, 4, 4, 4, 3, 3, 3],
        [5, 5, 5, 5, 5, 1, 0],
        [2, 2, 0, 0, 0, 0, 0],
    ]


def test_with_all_rows_open_the_fullest_goes_first():
    rows = list(pack([learned(*[n] * n) for n in (3, 4, 5)], 6, open_rows=2))
    assert [row.tokens_T[0].item() for row in rows] == [4, 3, 5]


def test_long_documents_are_split_without_losing_a_target():
    rows = list(pack([learned(1, 2, 3, 4, 5, 6, 7)], 3))
    assert [row.tokens_T.tolist() for row in rows] == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]
    assert [row.targets_T.tolist() for row in rows] == [[2, 3, 4], [5, 6, 7], [0, 0, 0]]
    assert [row.loss_mask_T.sum().item() for row in rows] == [3, 3, 0]
    assert all(row.positions_T[0] == 0 for row in rows)


def test_or_dropped_and_counted():
    packer = Packer(3, overlong="drop")
    rows = [*packer.add(learned(1, 2, 3, 4)), *packer.add(learned(5, 6)), *packer.finish()]
    assert [row.tokens_T.tolist() for row in rows] == [[5, 6, 0]]
    assert packer.dropped == 1


documents = st.lists(st.lists(st.integers(3, 99), max_size=25), max_size=30)


@given(documents, st.integers(1, 20), st.integers(1, 4))
def test_every_prediction_of_every_document_is_there_once(texts, length, open_rows):
    rows = list(pack([learned(*ids) for ids in texts], length, open_rows=open_rows))
    wanted = sorted(pair for ids in texts for pair in itertools.pairwise(ids))
    found = sorted(
        (int(token), int(target))
        for row in rows
        for token, target, counts in zip(*row[:3], strict=True)
        if counts
    )
    assert found == wanted
    for row in rows:
        assert all(field.shape == (length,) for field in row)
        steps = row.document_ids_T.diff()
        assert set(steps.tolist()) <= {0, 1}
        restart = torch.cat([torch.tensor([True]), steps == 1])
        assert torch.equal(row.positions_T == 0, restart)
        assert (row.positions_T.diff()[steps == 0] == 1).all()
        last = torch.cat([steps == 1, torch.tensor([True])])
        same = row.targets_T[:-1] == row.tokens_T[1:]
        assert same[row.loss_mask_T[:-1] & ~last[:-1]].all()


@given(documents, st.data())
def test_a_packer_goes_on_from_its_state(texts, data):
    stop = data.draw(st.integers(0, len(texts)))
    whole = [lists(row) for row in pack([learned(*ids) for ids in texts], 16, open_rows=3)]
    first, second = Packer(16, open_rows=3), Packer(16, open_rows=3)
    rows = [row for ids in texts[:stop] for row in first.add(learned(*ids))]
    second.load_state_dict(first.state_dict())
    rows += [row for ids in texts[stop:] for row in second.add(learned(*ids))]
    assert [lists(row) for row in [*rows, *second.finish()]] == whole


SMALL = ModelConfig(
    vocab_size=32, dim=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=4, ffn_dim=24
)


def test_a_packed_document_is_computed_as_if_alone():
    torch.manual_seed(0)
    model = Transformer(SMALL)
    texts = [[1, 5, 6, 7, 2], [1, 9, 2], [1, 8, 8, 3, 4, 2]]
    batch = collate(list(pack([learned(*ids) for ids in texts], 16)))
    packed = model(batch.tokens_BT, batch.positions_BT, batch.document_ids_BT)[0]
    place = 0
    for ids in texts:
        alone = model(torch.tensor([ids]))[0]
        torch.testing.assert_close(packed[place : place + len(ids)], alone)
        place += len(ids)
    assert packed.isfinite().all(), "padding included"


def test_changing_one_document_changes_no_other():
    torch.manual_seed(0)
    model = Transformer(SMALL)
    [row] = pack([learned(1, 5, 6, 7, 2), learned(1, 9, 10, 2)], 12)
    batch = collate([row])
    before = model(batch.tokens_BT, batch.positions_BT, batch.document_ids_BT)[0]
    changed = batch.tokens_BT.clone()
    changed[0, :5] = torch.tensor([3, 3, 3, 3, 3])
    after = model(changed, batch.positions_BT, batch.document_ids_BT)[0]
    assert torch.equal(before[5:], after[5:])
    assert not torch.isclose(before[:5], after[:5]).all()


def test_padding_never_reaches_the_loss():
    torch.manual_seed(0)
    model = Transformer(SMALL)
    losses = []
    for filler in (0, 31):
        batch = collate([*pack([learned(1, 5, 6, 2)], 8), make_row([], 8)])
        tokens, targets = batch.tokens_BT.clone(), batch.targets_BT.clone()
        tokens[0, 4:] = tokens[1] = filler
        targets[~batch.loss_mask_BT] = filler
        logits = model(tokens, batch.positions_BT, batch.document_ids_BT)
        losses.append(next_token_loss(logits, targets, batch.loss_mask_BT).item())
    assert losses[0] == losses[1]


def test_rows_make_a_batch():
    rows = [*pack([learned(1, 2)], 4), make_row([], 4)]
    batch = collate(rows)
    assert batch.tokens_BT.tolist() == [[1, 2, 0, 0], [0, 0, 0, 0]]
    assert batch.loss_mask_BT.tolist() == [[True, False, False, False], [False] * 4]
    assert batch.positions_BT.tolist() == [[0, 1, 0, 1], [0, 1, 2, 3]]
    assert batch.document_ids_BT.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]
    assert {field.dtype for field in batch} == {torch.int64, torch.bool}


def test_impossible_packings_are_refused():
    with pytest.raises(ValueError, match="a row length of 0"):
        next(pack([], 0))
    with pytest.raises(ValueError, match="2 token ids come with a loss mask of 1"):
        list(pack([Encoded([1, 2], [True])], 4))
    with pytest.raises(ValueError, match="5 tokens do not fit a row of 4"):
        make_row([learned(1, 2), learned(3, 4, 5)], 4)
    with pytest.raises(ValueError, match="no rows to collate"):
        collate([])
