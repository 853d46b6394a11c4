"""Times of benchmarks/measure.py: one femur of 300 x 336 x 256 voxels on one core, in turns with named peers."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

SIZE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (1.7, 0.8, 0.8)


def _simpleitk(mask: NDArray[np.uint8]) -> None:
    """Shape of a label as SimpleITK measures it: volume, surface, principal axes, oriented box, Feret's diameter."""
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing(SPACING_MM_ZYX[::-1])
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.ComputeOrientedBoundingBoxOn()
    shape.ComputePerimeterOn()
    shape.Execute(image)


def _scikit_image(mask: NDArray[np.uint8]) -> None:
    """Surface, area, and properties of a region, as scikit-image measures them."""
    from skimage import measure

    corners, triangles, _, _ = measure.marching_cubes(mask, 0.5, spacing=SPACING_MM_ZYX)
    measure.mesh_surface_area(corners, triangles)
    region = measure.regionprops(mask, spacing=SPACING_MM_ZYX)[0]
    _ = region.centroid, region.inertia_tensor_eigvals, region.area


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def times(*, rounds: int) -> dict[str, object]:
    """Return medians in seconds and ratios to the peers."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    phantom = make_phantom(0, side="right", size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX)
    mask = sitk.GetArrayFromImage(phantom.mask)
    grid = Geometry.of(phantom.mask)
    works: dict[str, Callable[[], object]] = {
        "measure_mask": lambda: measure_mask(mask, grid, side="right"),
        "SimpleITK label shape with Feret diameter": lambda: _simpleitk(mask),
        "scikit-image marching cubes and region properties": lambda: _scikit_image(mask),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seconds[name].append(_seconds(work))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    found: dict[str, object] = {"voxels of bone": int(mask.sum())}
    found |= {f"{name} (s)": value for name, value in medians.items()}
    found |= {f"ratio to {name}": medians["measure_mask"] / value for name, value in list(medians.items())[1:]}
    return found
