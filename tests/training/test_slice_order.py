"""The order of slices: exact passes, whatever the batches, epochs and processes."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.training.slice_order import SliceOrder


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

    def test_each_pass_is_shuffled_anew_and_the_seed_tells_how(self) -> None:
        order = SliceOrder(100, per_batch=16, iterations=None, seed=1)
        assert _epoch(order, 0) != _epoch(order, 1)
        assert _epoch(order, 1) == _epoch(SliceOrder(100, per_batch=16, iterations=None, seed=1), 1)
        assert _epoch(order, 1) != _epoch(SliceOrder(100, per_batch=16, iterations=None, seed=2), 1)

    @pytest.mark.parametrize("ranks", [2, 3])
    def test_processes_share_a_pass(self, ranks: int) -> None:
        orders = [SliceOrder(100, per_batch=8, iterations=None, seed=1, ranks=ranks, rank=r) for r in range(ranks)]
        assert len({order.batches_per_epoch for order in orders}) == 1, "else they would wait for each other for ever"
        seen = [number for order in orders for batch in _epoch(order, 2) for number in batch]
        assert sorted(seen) == list(range(100))


class TestFixedIterations:
    def test_all_are_used_before_one_comes_again(self) -> None:
        order = SliceOrder(10, per_batch=4, iterations=5, seed=0)
        drawn = np.concatenate([order.batch(number) for number in range(5)])
        assert order.batches_per_epoch == 5
        assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))

    def test_a_batch_larger_than_the_pass(self) -> None:
        drawn = SliceOrder(3, per_batch=8, iterations=1, seed=0).batch(0)
        assert np.bincount(drawn).tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])

    def test_processes_draw_different_slices(self) -> None:
        orders = [SliceOrder(40, per_batch=5, iterations=4, seed=0, ranks=2, rank=rank) for rank in range(2)]
        drawn = [number for order in orders for place in range(4) for number in order.batch(place)]
        assert sorted(drawn) == list(range(40))

    def test_nothing_to_draw(self) -> None:
        assert SliceOrder(0, per_batch=0, iterations=4, seed=0).batch(3).size == 0
