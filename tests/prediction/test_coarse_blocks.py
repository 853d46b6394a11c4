"""Blocks of voxels: counts, pieces, distances and boxes, against calculations voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from nnunet_femur.prediction.coarse_blocks import Blocks

BLOCKS = Blocks((11, 8, 7), (1.5, 2.0, 5.0))
WHOLE = (slice(0, 11), slice(0, 8), slice(0, 7))
BOXES = [WHOLE, (slice(1, 8), slice(3, 4), slice(2, 7)), (slice(6, 11), slice(1, 8), slice(0, 1))]


def _block_of_voxel(box) -> list[np.ndarray]:
    return [np.arange(part.start, part.stop) // step for part, step in zip(box, BLOCKS.steps, strict=True)]


def test_blocks_are_a_few_millimetres_large() -> None:
    assert BLOCKS.steps == (3, 2, 1)
    assert BLOCKS.counts == (4, 4, 7)
    assert BLOCKS.edges_mm == (4.5, 4.0, 5.0)
    assert BLOCKS.voxel_ml == pytest.approx(0.015)


@pytest.mark.parametrize("box", BOXES)
def test_voxels_are_counted(box) -> None:
    shape = tuple(part.stop - part.start for part in box)
    mask = np.random.default_rng(3).random(shape) < 0.4
    expected = np.zeros(BLOCKS.counts, int)
    z, y, x = _block_of_voxel(box)
    for place in np.argwhere(mask):
        expected[z[place[0]], y[place[1]], x[place[2]]] += 1
    assert np.array_equal(BLOCKS.counted(mask, box), expected[BLOCKS.of_box(box)])
    assert BLOCKS.counted(mask, box).sum() == mask.sum()


@pytest.mark.parametrize("box", BOXES)
def test_lengths_are_the_counts_of_a_full_box(box) -> None:
    full = np.ones(tuple(part.stop - part.start for part in box), bool)
    assert np.array_equal(BLOCKS.lengths(box), BLOCKS.counted(full, box))


@pytest.mark.parametrize("margin_mm", [0.0, 6.0, 12.0])
def test_dilation_contains_every_voxel_within_the_margin(margin_mm: float) -> None:
    """And no block without a point that near: tested on a fine grid of points, corners of voxels included."""
    femur = np.zeros(BLOCKS.counts, bool)
    femur[1, 2, 3] = femur[3, 0, 0] = True
    found = BLOCKS.voxels(BLOCKS.dilated(femur, margin_mm), WHOLE)
    edges = np.array(BLOCKS.edges_mm)
    lows = np.moveaxis(np.indices(BLOCKS.counts), 0, -1) * edges
    expected = np.zeros(BLOCKS.counts, bool)
    for low in lows[femur]:
        gap = np.maximum(0, np.maximum(lows - (low + edges), low - (lows + edges)))
        expected |= np.sqrt((gap**2).sum(-1)) <= margin_mm
    assert np.array_equal(BLOCKS.dilated(femur, margin_mm), expected)
    near = ndimage.distance_transform_edt(~BLOCKS.voxels(femur, WHOLE), sampling=BLOCKS.spacing_mm) <= margin_mm
    assert not (near & ~found).any()


def test_nothing_has_no_surroundings() -> None:
    assert not BLOCKS.dilated(np.zeros(BLOCKS.counts, bool), 30).any()


def test_small_pieces_are_left_out() -> None:
    """Voxels of 0.015 ml: 6 + 1 in one piece that touches by a corner, 5 apart."""
    voxels = np.zeros(BLOCKS.counts)
    voxels[0, 0, 0], voxels[1, 1, 1], voxels[3, 3, 3] = 6, 1, 5
    found = BLOCKS.pieces(voxels, smallest_ml=0.09)
    assert np.argwhere(found).tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_boxes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.random(BLOCKS.counts) < 0.05
    corners = [generator.integers(0, 6, 3) for _ in range(20)]
    boxes = [tuple(slice(int(c), int(c) + 2) for c in corner) for corner in corners]
    expected = [values[BLOCKS.of_box(box)].sum() for box in boxes]
    assert BLOCKS.sums(values, boxes).tolist() == expected
    assert BLOCKS.touching(values, boxes) == [n for n, total in enumerate(expected) if total]


def test_box_of_voxels_ends_with_the_volume() -> None:
    blocks = np.zeros(BLOCKS.counts, bool)
    blocks[3, 1, 2:4] = True
    assert BLOCKS.box_of_voxels(blocks) == (slice(9, 11), slice(2, 4), slice(2, 4))
