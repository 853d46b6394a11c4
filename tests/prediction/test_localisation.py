"""Choice of windows: bone, few windows that cover it, and voxels that are femur."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nnunet_femur.prediction.coarse_blocks import Blocks
from nnunet_femur.prediction.localisation import FemurCounts, bone_blocks, bone_value, cover, is_femur, seeds_of
from nnunet_femur.prediction.sliding_window import plan_grid


def _predictor(scheme: str, **properties: float) -> SimpleNamespace:
    return SimpleNamespace(
        configuration_manager=SimpleNamespace(configuration={"normalization_schemes": [scheme]}),
        plans_manager=SimpleNamespace(foreground_intensity_properties_per_channel={"0": properties}),
    )


@pytest.mark.parametrize(
    ("predictor", "expected"),
    [
        (_predictor("CTNormalization", mean=100.0, std=200.0, percentile_00_5=-900.0, percentile_99_5=1200.0), 0.25),
        (_predictor("CTNormalization", mean=400.0, std=250.0, percentile_00_5=-100.0, percentile_99_5=1200.0), -1.0),
        (_predictor("CTNormalization", mean=50.0, std=50.0, percentile_00_5=-100.0, percentile_99_5=140.0), None),
        (_predictor("CTNormalization", mean=500.0, std=50.0, percentile_00_5=200.0, percentile_99_5=900.0), None),
        (_predictor("NoNormalization"), 150.0),
        (_predictor("ZScoreNormalization"), None),
    ],
)
def test_value_of_bone(predictor, expected: float | None) -> None:
    assert bone_value(predictor) == expected


class TestBone:
    grid = plan_grid((20, 20, 20), (8, 24, 8), step_size=1)
    blocks = Blocks(grid.shape, (4.0, 4.0, 4.0))

    def test_is_what_is_dense_and_not_a_speck(self) -> None:
        data = torch.zeros(1, *self.grid.shape)
        data[0, 2:10, 6:9, 5:8] = 1.0
        data[0, 15, 12, 12] = 1.0
        found = bone_blocks(data, self.grid, self.blocks, 0.5)
        assert np.argwhere(found).min(0).tolist() == [2, 6, 5]
        assert np.argwhere(found).max(0).tolist() == [9, 8, 7]

    def test_is_not_in_the_padding(self) -> None:
        """Zeros of the padding are above the threshold when bone is denser than the mean."""
        data = self.grid.padded(torch.full((1, 20, 20, 20), -2.0))
        data[0, :, 10:14, 10:14] = 1.0
        found = bone_blocks(data, self.grid, self.blocks, -1.0)
        assert np.argwhere(found)[:, 1].min() == 10
        assert np.argwhere(found)[:, 1].max() == 13

    @pytest.mark.parametrize("value", [None, 5.0])
    def test_is_everywhere_if_none_is_known(self, value: float | None) -> None:
        assert bone_blocks(torch.zeros(1, *self.grid.shape), self.grid, self.blocks, value).all()


def test_few_windows_cover_the_blocks() -> None:
    """Windows of 8 at 0, 4, 8 and 12 along each axis: two along the first axis suffice for a rod."""
    grid = plan_grid((20, 8, 20), (8, 8, 8), step_size=0.5)
    blocks = Blocks(grid.shape, (5.0,) * 3)
    wanted = np.zeros(blocks.counts, bool)
    wanted[2:18, 3, 5] = True
    chosen = cover(blocks, wanted, grid.windows)
    assert chosen == sorted(chosen)
    assert len(chosen) == 3
    touched = np.zeros(blocks.counts, bool)
    for number in chosen:
        touched[grid.windows[number]] = True
    assert touched[wanted].all()


def test_nothing_needs_no_window() -> None:
    grid = plan_grid((20, 8, 8), (8, 8, 8), step_size=0.5)
    blocks = Blocks(grid.shape, (5.0,) * 3)
    assert cover(blocks, np.zeros(blocks.counts, bool), grid.windows) == []


def test_slices_are_searched_in_steps() -> None:
    """Slices of 1 mm: blocks of four, of which every third is searched in one slice."""
    grid = plan_grid((48, 8, 8), (8, 8), step_size=0.5)
    blocks = Blocks(grid.shape, (1.0, 5.0, 5.0))
    seeds = seeds_of(grid, blocks, np.ones(blocks.counts, bool))
    starts = [grid.windows[number][0].start for number in seeds]
    assert starts == [6, 18, 30, 42]


class TestIsFemur:
    @pytest.mark.parametrize("channels", [(1,), (3, 1), (2, 4)])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    def test_is_where_the_largest_channel_is_of_the_femur(self, channels: tuple[int, ...], dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        values = torch.randn(5, 4, 6, 7).to(dtype)
        expected = torch.isin(values.argmax(0), torch.tensor(channels))
        assert torch.equal(is_femur(values, channels), expected)
        assert torch.equal(is_femur(values[:, 1:3, :, 2:], channels), expected[1:3, :, 2:])

    def test_of_two_channels_is_where_it_is_larger(self) -> None:
        values = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.5, 0.5]])
        assert is_femur(values, (1,)).tolist() == [False, True, False]

    def test_of_regions_is_where_it_is_positive(self) -> None:
        values = torch.tensor([[-1.0, 2.0, -1.0], [-1.0, -3.0, 1.0]])
        assert is_femur(values, (1,), regions=True).tolist() == [False, False, True]


def test_blocks_seen_in_part_count_as_whole() -> None:
    """Half of a block of 27 voxels is seen, all of it femur: 27 voxels of 0.05 ml are above a speck."""
    blocks = Blocks((9, 9, 9), (1.5, 1.5, 22.2))
    half = FemurCounts(blocks)
    box = (slice(0, 3), slice(0, 1), slice(0, 8))
    assert half.add(np.ones((3, 1, 8), bool), box)
    assert half.region(0.0).any()
    few = FemurCounts(blocks)
    assert not few.add(np.ones((1, 1, 1), bool), (slice(0, 1), slice(0, 1), slice(0, 1)))
