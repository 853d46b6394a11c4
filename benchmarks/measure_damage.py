"""Damaged masks for benchmarks/measure.py, and the quantities that must be refused for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from femur_masks import MIRROR, tilted, tilted_mask
from measure_parts import spacing_name
from scipy import ndimage

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.voxelising import grid_around, moved, voxelise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

    Mask = NDArray[np.uint8]

_ANY_PIECE = {"volume_ml", "surface_area_cm2"}
"""Quantities that any piece of bone has."""

_OF_A_CUT_SHAFT = {"shaft_area_mid_mm2", "isthmus_diameter_mm", "isthmus_level_percent", "shaft_axis_lps"}
_PROXIMAL = {
    "head_center_mm_lps",
    "head_radius_mm",
    "head_diameter_mm",
    "neck_shaft_angle_deg",
    "neck_width_min_mm",
    "neck_area_mm2",
    "offset_mm",
}
"""Quantities that a femur without its knee keeps."""

_NEEDS_KNEE = (
    "version_",
    "length_",
    "mldfa",
    "aldfa",
    "anatomical_mechanical",
    "knee_center",
    "mechanical_axis",
    "posterior_condyle",
    "flank_",
    "condylar_axis",
    "isb_",
    "neck_shaft_angle_frontal",
    "offset_frontal",
)
KNEE = {key for key in QUANTITIES if key.startswith(_NEEDS_KNEE)}
"""Quantities that need the distal end."""


def _shaped() -> set[str]:
    return {key for key in QUANTITIES if not key.endswith(("_hu", "_percent")) and "density" not in key}


EVERYTHING = _shaped() - _ANY_PIECE
NEEDS_HEAD = EVERYTHING - _OF_A_CUT_SHAFT - {key for key in QUANTITIES if key.startswith(("shaft_", "bow", "isthmus"))}


@dataclass(frozen=True)
class Damage:
    """A damaged mask.

    Attributes:
        name: Its name in the table.
        mask: The mask.
        refused: Quantities that must not be measured.
        kept: Quantities that must be measured.
    """

    name: str
    mask: Mask
    refused: set[str]
    kept: set[str]


def damages(mask: Mask, head: tuple[NDArray[np.float64], float], grid: Geometry) -> Iterator[Damage]:
    """Yield damaged copies of the mask of a femur that is upright in its grid: z is upwards.

    Args:
        mask: The whole femur.
        head: Centre of its head in mm, and radius.
        grid: Geometry of the mask.
    """
    yield Damage("whole", mask, set(), EVERYTHING - {k for k in QUANTITIES if "flank" in k})
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    low, length = int(filled[0]), len(filled)

    def between(start: float, end: float) -> Mask:
        part = np.zeros_like(mask)
        keep = slice(low + round(start * length), low + round(end * length))
        part[keep] = mask[keep]
        return part

    for percent in (2, 3, 5, 10, 33):
        yield Damage(f"without distal {percent} %", between(percent / 100, 1), KNEE, _PROXIMAL)
    for percent in (2, 3, 5, 15):
        yield Damage(f"without top {percent} %", between(0, 1 - percent / 100), NEEDS_HEAD, _ANY_PIECE)
    yield Damage("proximal 15 %", between(0.85, 1), EVERYTHING - _PROXIMAL | {"neck_shaft_angle_deg"}, _ANY_PIECE)
    yield Damage("distal 25 %", between(0, 0.25), EVERYTHING, _ANY_PIECE)
    yield Damage("middle 20-80 %", between(0.2, 0.8), NEEDS_HEAD, _ANY_PIECE)
    headless = mask.copy()
    z, y, x = np.indices(mask.shape, sparse=True)
    index_xyz = grid.index_of(head[0][None])[0]
    offsets = [(a - c) * s for a, c, s in zip((x, y, z), index_xyz, grid.spacing_mm_xyz, strict=True)]
    headless[sum(o**2 for o in offsets) < (1.1 * head[1]) ** 2] = 0
    yield Damage("head resected", headless, NEEDS_HEAD, _ANY_PIECE)


def two_bones(surface: Surface, spacing: Sequence[float], seed: int) -> tuple[Mask, Geometry]:
    """Return the mask of two femurs that touch each other: one is the mirror image of the other."""
    placed, _, _ = tilted(surface, seed=seed, tilt_deg=5)
    other = moved(placed, MIRROR)
    gap = placed.points_mm[:, 0].min() - other.points_mm[:, 0].max()
    other = moved(other, np.eye(3), (gap + 8.0, 0, 0))
    both = Surface(
        np.vstack([placed.points_mm, other.points_mm]),
        np.vstack([placed.triangles, other.triangles + len(placed.points_mm)]),
    )
    grid = grid_around(both, spacing)
    return voxelise(both, grid), grid


def damaged_rows(name: str, surface: Surface, *, spacings: Sequence[Sequence[float]]) -> list[dict[str, object]]:
    """Return one row per damaged mask: the damage, whether a value was wrong to be there, crashes, and the keys."""
    rows: list[dict[str, object]] = []
    for number, spacing in enumerate(spacings):
        seed = 1000 + 10 * int(name[1:]) + number
        mask, grid, _, _ = tilted_mask(surface, spacing, seed=seed)
        whole = measure_mask(mask, grid, case=name, side="right")
        center, radius = whole["head_center_mm_lps"], whole["head_radius_mm"]
        if center is None or radius is None:
            rows.append(_row(spacing, "whole", wrong=True, keys=["head_center_mm_lps missing"]))
            continue
        cases = list(damages(mask, (np.array(center), float(radius)), grid))
        cases += [
            Damage("eroded by one voxel", ndimage.binary_erosion(mask).astype(np.uint8), set(), set()),
            Damage("empty", np.zeros_like(mask), set(QUANTITIES), set()),
            Damage("noise alone", _noise(mask.shape, seed), set(EVERYTHING), set()),
        ]
        rows += [_measured(name, spacing, case, grid) for case in cases]
        pair, pair_grid = two_bones(surface, spacing, seed)
        rows.append(_measured(name, spacing, Damage("two bones in one piece", pair, EVERYTHING, set()), pair_grid))
    return rows


def _noise(shape: tuple[int, ...], seed: int) -> Mask:
    return (np.random.default_rng(seed).random(shape) < 0.05).astype(np.uint8)


def _measured(name: str, spacing: Sequence[float], damage: Damage, grid: Geometry) -> dict[str, object]:
    try:
        found = measure_mask(damage.mask, grid, case=name, side="right")
    except Exception as error:  # noqa: BLE001 - A crash is a result here.
        return _row(spacing, damage.name, crash=True, keys=[f"crash: {type(error).__name__}"])
    given = sorted(key for key in damage.refused if key in found.values and found[key] is not None)
    lost = sorted(key for key in damage.kept if key in QUANTITIES and (key in found.missing or key not in found.values))
    keys = [f"given: {key}" for key in given] + [f"lost: {key}" for key in lost]
    return _row(spacing, damage.name, wrong=bool(keys), keys=keys)


def _row(
    spacing: Sequence[float], damage: str, *, wrong: bool = False, crash: bool = False, keys: list[str]
) -> dict[str, object]:
    return {"spacing": spacing_name(spacing), "damage": damage, "wrong": wrong, "crash": crash, "keys": keys}
