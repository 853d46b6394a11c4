"""Oblique slices for training, against those of prediction and a search through all pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnunet_femur.networks.oblique_planes import OBLIQUE, oblique_slices
from nnunet_femur.training.slices import oblique_cuts
from nnunet_femur.training.slices.oblique_cuts import cut_oblique, oblique_shadows
from nnunet_femur.training.slices.slice_geometry import SliceWindow
from nnunet_femur.training.slices.slice_order import find_slices
from tests.training.slices.loading import SHAPE, NumberedCases, take

SCALE = (2.0, 1.0, 1.5)

all_planes = pytest.mark.parametrize("number", OBLIQUE)


def _mask() -> np.ndarray:
    mask = np.zeros((10, 12, 9), dtype=bool)
    mask[2:5, 8:11, 1:4] = True
    mask[7, 2, 6] = True
    return mask


@all_planes
@pytest.mark.parametrize("piece", [3, 32])
def test_training_sees_the_pixels_of_prediction(number: int, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oblique_cuts, "_PIECE", piece)
    volume = np.random.default_rng(0).normal(size=(2, 10, 12, 9)).astype(np.float32)
    plane = OBLIQUE[number]
    grid = plane.grid(volume.shape[1:], SCALE)
    numbers = np.array([grid.count // 3, grid.count // 2])
    within, third = slice(2, grid.count - 1), slice(1, volume.shape[1 + plane.third] - 1)
    rows, columns = (within, third) if plane.has_rows_along else (third, within)
    found = cut_oblique(volume, grid, numbers, rows, columns)
    whole = oblique_slices(torch.from_numpy(volume), grid, torch.from_numpy(numbers), range(grid.count))
    assert np.allclose(found, whole.transpose(0, 1)[:, :, rows, columns], atol=1e-5)


@all_planes
def test_table_of_slices_equals_a_search_through_their_labels(number: int) -> None:
    mask = _mask()
    plane = OBLIQUE[number]
    grid = plane.grid(mask.shape, SCALE)
    every = slice(0, grid.count), slice(0, mask.shape[plane.third])
    rows, columns = every if plane.has_rows_along else reversed(every)
    labels = cut_oblique(mask[None].astype(np.int8), grid, np.arange(grid.count), rows, columns, outside=-1)[0]
    table = find_slices([mask], (number,), SCALE)
    assert table.index.tolist() == [index for index in range(grid.count) if (labels[index] == 1).any()]
    assert len(table) >= 5
    for index, box in zip(table.index, table.box, strict=True):
        places = np.argwhere(labels[index] == 1)
        first, last = places.min(0), places.max(0) + 1
        assert box.tolist() == [first[0], last[0], first[1], last[1]]
    along, third = oblique_shadows(mask, grid)
    assert along.shape == (grid.count, grid.count)
    assert third.shape == (grid.count, mask.shape[plane.third])


def test_labels_are_those_of_the_nearest_voxel_and_marked_outside() -> None:
    """Of 2 x 2 voxels, the slice in the middle has the pixels (1, 0) and (0, 1), and the middle one is between."""
    labels = np.array([[1, 2], [3, 4]], dtype=np.int8)[None, :, :, None]
    grid = OBLIQUE[3].grid((2, 2, 1), (1.0, 1.0, 1.0))
    found = cut_oblique(labels, grid, np.array([1]), slice(0, 3), slice(0, 1), outside=-1)
    # Places (row, column): (-0.21, 1.21), (0.5, 0.5) and (1.21, -0.21).
    assert found[0, 0, :, 0].tolist() == [2, 4, 3]
    assert cut_oblique(labels, grid, np.array([0]), slice(0, 3), slice(0, 1), outside=-1)[0, 0, 0, 0] == -1


@all_planes
def test_windows_show_the_femur(number: int) -> None:
    """Each slice of a pass contains all of the femur that its row of the table names."""
    mask = _mask()
    cases = NumberedCases([mask])
    table = find_slices([mask], (number,))
    (batch,) = take(cases, 0, 1, axes=(number,), per_batch=len(table), window=SliceWindow(size=(18, 18)))
    assert ((batch["target"] == 1).sum((1, 2, 3)) > 0).all()
    assert (batch["data"][batch["target"] == -1] == 0).all()


def test_random_slices_and_neighbours() -> None:
    """The neighbours of an oblique slice are the slices one pixel before and behind it."""
    cases = NumberedCases([np.ones(SHAPE, dtype=bool)])
    window = SliceWindow(size=(30, 30), neighbours=1)
    (batch,) = take(cases, 0, 1, axes=(3, 8), per_batch=4, others=12, window=window, iterations=1)
    assert batch["data"].shape == (16, 3, 30, 30)
    volume = torch.from_numpy(cases.load_case("case0")[0])
    grid = OBLIQUE[3].grid(SHAPE, (1.0, 1.0, 1.0))
    middle = grid.count // 2
    rng = np.random.default_rng(0)
    image, _ = window.cut(volume.numpy(), np.ones((1, *SHAPE), dtype=np.int8), 3, middle, None, rng)
    whole = oblique_slices(volume, grid, torch.arange(middle - 1, middle + 2), range(grid.count))[:, 0]
    filled = [channel[channel > 0].sum() for channel in image]
    assert torch.allclose(torch.stack(filled), whole.flatten(1).sum(1), rtol=1e-5)
