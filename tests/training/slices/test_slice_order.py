"""The order of slices: exact passes, whatever the batches, epochs and processes."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.training.slices.slice_order import SliceOrder, share_of_rank


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

    def test_each_pass_is_shuffled_anew_and_the_seed_tells_how(self) -> None:
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
