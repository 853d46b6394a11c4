"""Oblique planes: their places in a volume, cutting and adding back, against SciPy's interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from nnunet_femur.networks.oblique_planes import OBLIQUE, ObliqueGrid, add_oblique, oblique_slices

SHAPE = (9, 14, 11)
SCALES = ((1.0, 1.0, 1.0), (2.5, 1.0, 1.5), (0.5, 1.0, 0.7))

all_planes = pytest.mark.parametrize("number", OBLIQUE)
all_scales = pytest.mark.parametrize("scale", SCALES)


def cut_by_scipy(volume: np.ndarray, grid: ObliqueGrid, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all slices with all pixels, shape (slices, pixels, third), and True for pixels inside the volume."""
    plane = grid.plane
    numbers = np.arange(grid.count)
    row, column = grid.voxels(numbers[:, None, None], numbers[None, :, None])
    third = np.arange(volume.shape[plane.third])
    row, column, third = np.broadcast_arrays(row, column, third)
    places = np.empty((3, *row.shape))
    places[plane.along], places[plane.across], places[plane.third] = row, column, third
    return map_coordinates(volume, places, order=order, mode="nearest"), grid.contains(row, column)


def test_the_middle_pixel_is_the_middle_of_the_volume() -> None:
    """A square of 2 x 2 voxels has a diagonal of 2.83 pixels, so three slices; the one in the middle is between all."""
    grid = OBLIQUE[3].grid((2, 2, 5), (1.0, 1.0, 1.0))
    assert grid.count == 3
    assert grid.voxels(1, 1) == pytest.approx((0.5, 0.5))
    # A pixel further along the normal: a diagonal step.
    step = 2**-0.5
    assert grid.voxels(2, 1) == pytest.approx((0.5 + step, 0.5 + step))
    assert OBLIQUE[4].grid((2, 2, 5), (1.0, 1.0, 1.0)).voxels(2, 1) == pytest.approx((0.5 - step, 0.5 + step))


@all_planes
def test_slices_are_planes_between_two_axes(number: int) -> None:
    """Within a slice, the sum or the difference of both places in pixels is constant."""
    plane = OBLIQUE[number]
    grid = plane.grid(SHAPE, SCALES[1])
    row, column = grid.voxels(7, np.arange(grid.count))
    along = column * grid.column_scale + plane.sign * row * grid.row_scale
    assert np.ptp(along) == pytest.approx(0, abs=1e-9)
    distances = np.hypot(np.diff(row * grid.row_scale), np.diff(column * grid.column_scale))
    assert distances == pytest.approx(1), "pixels are squares"
    assert len({(each.along, each.across, each.sign) for each in OBLIQUE.values()}) == 6


@all_planes
@all_scales
def test_pixels_is_the_inverse_of_voxels(number: int, scale: tuple[float, float, float]) -> None:
    grid = OBLIQUE[number].grid(SHAPE, scale)
    places = np.random.default_rng(0).uniform(0, grid.count, (2, 50))
    assert np.allclose(grid.pixels(*grid.voxels(*places)), places)


@all_planes
@all_scales
def test_slices_equal_scipys_interpolation(number: int, scale: tuple[float, float, float]) -> None:
    volume = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    grid = OBLIQUE[number].grid(SHAPE, scale)
    for group, pixels in grid.groups():
        found = oblique_slices(volume, grid, torch.arange(group.start, group.stop), pixels).numpy()
        for channel in range(2):
            expected, inside = cut_by_scipy(volume[channel].numpy(), grid, order=1)
            part = np.where(inside, expected, 0)[group.start : group.stop, pixels.start : pixels.stop]
            part = part if grid.plane.has_rows_along else part.swapaxes(1, 2)
            assert np.allclose(found[:, channel], part, atol=1e-5)
        outside = np.delete(inside[group.start : group.stop], range(pixels.start, pixels.stop), axis=1)
        assert not outside.any(), "the pixels of a group contain all of the volume"


@all_planes
@all_scales
def test_values_that_are_linear_in_space_come_back(number: int, scale: tuple[float, float, float]) -> None:
    """Linear interpolation reproduces a linear function, also at the borders, if no pixel is missing."""
    plane = OBLIQUE[number]
    grid = plane.grid(SHAPE, scale)
    total = torch.ones(1, *SHAPE)
    for group, pixels in grid.groups():
        row, column = grid.voxels(torch.arange(group.start, group.stop)[:, None], torch.tensor(list(pixels))[None])
        lines = (0.3 * row - 0.2 * column)[:, None, :, None] + torch.arange(float(SHAPE[plane.third]))
        slices = lines if plane.has_rows_along else lines.transpose(2, 3)
        add_oblique(total, slices, grid, group, pixels, weight=0.5)
    places = torch.meshgrid(*[torch.arange(float(n)) for n in SHAPE], indexing="ij")
    expected = 1 + 0.5 * (0.3 * places[plane.along] - 0.2 * places[plane.across] + places[plane.third])
    inside = (slice(1, -1),) * 3 if min(scale) < 1 else (slice(None),) * 3
    assert torch.allclose(total[0][inside], expected[inside], atol=1e-4)
