"""Slices with femur, on masks worked by hand, and their order: exact passes with any batches and processes."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.training.slices.slice_order import SliceOrder, SliceTable, find_slices, share_of_rank, slices_of_ends


def _rows(table: SliceTable) -> list[tuple[int, ...]]:
    columns = (table.case, table.axis, table.index, *table.box.T)
    return [tuple(int(n) for n in row) for row in zip(*columns, strict=True)]


def _mask() -> np.ndarray:
    """Two slices of a bone: a block at z 2, y 1-2, x 3-5, and a tip of one voxel at z 4, y 0, x 6."""
    mask = np.zeros((6, 4, 8), dtype=bool)
    mask[2, 1:3, 3:6] = True
    mask[4, 0, 6] = True
    return mask


class TestFindSlices:
    def test_axial_rows_are_y_and_columns_x(self) -> None:
        assert _rows(find_slices([_mask()], (0,))) == [(0, 0, 2, 1, 3, 3, 6), (0, 0, 4, 0, 1, 6, 7)]

    def test_coronal_rows_are_z_and_columns_x(self) -> None:
        assert _rows(find_slices([_mask()], (1,))) == [
            (0, 1, 0, 4, 5, 6, 7),
            (0, 1, 1, 2, 3, 3, 6),
            (0, 1, 2, 2, 3, 3, 6),
        ]

    def test_sagittal_rows_are_z_and_columns_y(self) -> None:
        assert _rows(find_slices([_mask()], (2,))) == [
            (0, 2, 3, 2, 3, 1, 3),
            (0, 2, 4, 2, 3, 1, 3),
            (0, 2, 5, 2, 3, 1, 3),
            (0, 2, 6, 4, 5, 0, 1),
        ]

    def test_against_a_plain_loop(self) -> None:
        masks = [np.random.default_rng(seed).random((5, 7, 6)) > 0.97 for seed in range(4)]
        expected = []
        for case, mask in enumerate(masks):
            for axis in (0, 2):
                for index in range(mask.shape[axis]):
                    section = np.take(mask, index, axis=axis)
                    if section.any():
                        rows, columns = np.nonzero(section)
                        box = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
                        expected.append((case, axis, index, *map(int, box)))
        assert _rows(find_slices(masks, (0, 2))) == expected

    def test_a_case_without_femur_has_no_slices(self) -> None:
        table = find_slices([np.zeros((3, 3, 3), dtype=bool), _mask()], (0,))
        assert table.case.tolist() == [1, 1]
        assert len(find_slices([np.zeros((3, 3, 3), dtype=bool)], (0, 1, 2))) == 0


class TestSlicesOfEnds:
    def test_first_and_last_of_each_case(self) -> None:
        masks = [np.zeros((12, 2, 2), dtype=bool) for _ in range(2)]
        masks[0][1:11] = True
        masks[1][5:9] = True
        table = slices_of_ends(find_slices(masks, (0,)), [3, 1])
        assert table.index[table.case == 0].tolist() == [1, 2, 3, 8, 9, 10]
        assert table.index[table.case == 1].tolist() == [5, 8]

    def test_slices_without_femur_between_do_not_count(self) -> None:
        mask = np.zeros((10, 2, 2), dtype=bool)
        mask[[0, 4, 9]] = True
        assert slices_of_ends(find_slices([mask], (0,)), [2]).index.tolist() == [0, 4, 9]

    def test_a_short_bone_is_taken_once(self) -> None:
        mask = np.ones((5, 2, 2), dtype=bool)
        assert slices_of_ends(find_slices([mask], (0,)), [20]).index.tolist() == [0, 1, 2, 3, 4]


def _epoch(order: SliceOrder, epoch: int) -> list[list[int]]:
    count = order.batches_per_epoch
    return [order.batch(epoch * count + place).tolist() for place in range(count)]


class TestOnePass:
    @pytest.mark.parametrize(("slices", "per_batch"), [(48, 16), (49, 16), (17, 16), (100, 7), (3, 16), (1, 4)])
    def test_every_slice_once_in_batches_of_like_size(self, slices: int, per_batch: int) -> None:
        order = SliceOrder(slices, per_batch=per_batch, iterations=None, seed=1)
        for epoch in range(3):
            batches = _epoch(order, epoch)
            assert sorted(number for batch in batches for number in batch) == list(range(slices))
            sizes = {len(batch) for batch in batches}
            assert max(sizes) <= per_batch
            assert max(sizes) - min(sizes) <= 1
            assert min(sizes) == order.smallest_batch

    def test_the_seed_determines_the_order_of_each_pass(self) -> None:
        order = SliceOrder(100, per_batch=16, iterations=None, seed=1)
        assert _epoch(order, 0) != _epoch(order, 1)
        assert _epoch(order, 1) == _epoch(SliceOrder(100, per_batch=16, iterations=None, seed=1), 1)
        assert _epoch(order, 1) != _epoch(SliceOrder(100, per_batch=16, iterations=None, seed=2), 1)

    def test_nothing_to_pass_over(self) -> None:
        order = SliceOrder(0, per_batch=0, iterations=None, seed=1)
        assert order.batches_per_epoch == 1
        assert order.batch(0).size == 0


class TestFixedIterations:
    def test_all_are_used_before_one_comes_again(self) -> None:
        order = SliceOrder(10, per_batch=4, iterations=5, seed=0)
        drawn = np.concatenate([order.batch(number) for number in range(5)])
        assert order.batches_per_epoch == 5
        assert order.smallest_batch == 4
        assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))

    def test_a_batch_larger_than_the_pass(self) -> None:
        drawn = SliceOrder(3, per_batch=8, iterations=1, seed=0).batch(0)
        assert np.bincount(drawn).tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])

    @pytest.mark.parametrize("slices", [0, 5])
    def test_nothing_to_draw(self, slices: int) -> None:
        assert SliceOrder(slices, per_batch=0, iterations=4, seed=0).batch(3).size == 0


class TestShares:
    @pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 16])
    def test_processes_share_a_batch(self, ranks: int) -> None:
        shares = [share_of_rank(16, rank=rank, ranks=ranks) for rank in range(ranks)]
        assert sorted(place for share in shares for place in share) == list(range(16))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1

    def test_sixteen_slices_on_three(self) -> None:
        """Of 12 slices with femur, which come first, each process has four."""
        shares = [share_of_rank(16, rank=rank, ranks=3) for rank in range(3)]
        assert [len(share) for share in shares] == [6, 5, 5]
        assert [sum(place < 12 for place in share) for share in shares] == [4, 4, 4]
