"""Parts of benchmarks/measure.py: accuracy, invariance, sides and refusals, as plain numbers."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from femur_masks import MIRROR, tilted_mask
from scipy.spatial.transform import Rotation

from nnunet_femur.imaging.geometry import AxisOrder, Geometry
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.measurement.measuring import measure_mask, measure_surface
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.voxelising import grid_around, moved, voxelise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from nnunet_femur.measurement.femur_measurements import FemurMeasurements

    Bones = dict[str, Surface]
    Row = dict[str, object]

_RELATIVE = {"volume_ml", "surface_area_cm2", "neck_area_mm2", "shaft_area_mid_mm2"}
"""Quantities whose error is in percent."""


def spacing_name(spacing: Sequence[float]) -> str:
    """Return a spacing as text: "2x2x3"."""
    return "x".join(f"{s:g}" for s in spacing)


def half_of(name: str) -> str:
    """Return the half of the bones that a bone belongs to."""
    return "tuning" if int(name[1:]) % 2 == 0 else "held out"


def subdivided(surface: Surface) -> Surface:
    """Return a surface whose triangles are split into four, in their planes."""
    corners, triangles = surface.points_mm, np.asarray(surface.triangles)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2)
    unique, inverse = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
    middle = inverse.reshape(-1, 3) + len(corners)
    a, b, c = triangles.T
    ab, bc, ca = middle.T
    split = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]).transpose(0, 2, 1).reshape(-1, 3)
    return Surface(np.vstack([corners, corners[unique].mean(axis=1)]), split)


def errors(
    found: FemurMeasurements,
    reference: FemurMeasurements,
    matrix: NDArray[np.float64] | None = None,
    shift_mm: NDArray[np.float64] | None = None,
) -> dict[str, float | None]:
    """Return the error of each quantity, None where it is missing: mm, degrees or percent; distances for positions."""
    matrix = np.eye(3) if matrix is None else matrix
    shift_mm = np.zeros(3) if shift_mm is None else shift_mm
    result: dict[str, float | None] = {}
    for key, quantity in QUANTITIES.items():
        if key not in reference.values and key not in reference.missing:
            continue
        expected, value = reference[key], found[key]
        if expected is None:
            continue
        if value is None:
            result[key] = None
        elif not quantity.is_vector:
            difference = float(value) - float(expected)
            result[key] = 100 * difference / float(expected) if key in _RELATIVE else difference
        elif "_mm_" in key:
            result[key] = float(np.linalg.norm(np.array(value) - (np.array(expected) @ matrix.T + shift_mm)))
        else:
            turned = np.array(expected) @ matrix.T
            if key == "isb_z_lps" and np.linalg.det(matrix) < 0:
                turned = -turned  # To the right of the body, on both sides.
            angle = np.arctan2(np.linalg.norm(np.cross(value, turned)), np.dot(value, turned))
            result[key] = float(np.rad2deg(angle))
    return result


def mapped(work: Callable[..., list[Row]], bones: Bones, jobs: int) -> list[Row]:
    """Return the rows of all bones."""
    items = list(bones.items())
    if jobs == 1:
        return [row for name, surface in items for row in work(name, surface)]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return [row for rows in pool.map(work, *zip(*items, strict=True)) for row in rows]


def accuracy(bones: Bones, spacings: Iterable[Sequence[float]], *, jobs: int = 1) -> list[Row]:
    """Return the error of every quantity of every bone at every spacing."""
    return mapped(partial(_accuracy, spacings=tuple(spacings)), bones, jobs)


def _accuracy(name: str, surface: Surface, *, spacings: Sequence[Sequence[float]]) -> list[Row]:
    reference = measure_surface(subdivided(surface), case=name, side="right")
    rows: list[Row] = []
    for number, spacing in enumerate(spacings):
        seed = 10 * int(name[1:]) + number
        mask, grid, matrix, shift_mm = tilted_mask(surface, spacing, seed=seed)
        found = measure_mask(mask, grid, case=name, side="right")
        rows += [
            {"bone": name, "half": half_of(name), "spacing": spacing_name(spacing), "key": key, "error": error}
            for key, error in errors(found, reference, matrix, shift_mm).items()
        ]
    return rows


def invariance(bones: Bones, *, rotations: int, jobs: int = 1) -> dict[str, Row]:
    """Return the largest change of each quantity by rotation, mirroring and order of storage."""
    found: dict[str, Row] = {}
    for row in mapped(partial(_invariance, rotations=rotations), bones, jobs):
        worst = found.setdefault(str(row["kind"]), {"runs": 0, "wrong_sides": 0, "largest": {}})
        worst["runs"] += 1
        worst["wrong_sides"] += row["wrong_side"]
        for key, error in row["errors"].items():
            size = np.inf if error is None else abs(error)
            worst["largest"][key] = max(worst["largest"].get(key, 0.0), size)
    return found


def _invariance(name: str, surface: Surface, *, rotations: int) -> list[Row]:
    rng = np.random.default_rng([int(name[1:]), 5])
    fine = subdivided(surface)
    reference = measure_surface(fine, case=name, side="unknown")
    rows: list[Row] = []
    for number in range(rotations):
        mirrored = number % 2 == 1
        matrix = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix() @ (
            MIRROR if mirrored else np.eye(3)
        )
        shift_mm = rng.uniform(-500, 500, 3)
        found = measure_surface(moved(fine, matrix, shift_mm), case=name, side="unknown")
        rows.append(
            {
                "kind": "mirrored and rotated surface" if mirrored else "rotated surface",
                "wrong_side": int(found.side != ("left" if mirrored else "right")),
                "errors": errors(found, reference, matrix, shift_mm),
            }
        )
    mask, grid, _, _ = tilted_mask(surface, (2.0, 2.0, 3.0), seed=int(name[1:]))
    stored = measure_mask(mask, grid, case=name, side="unknown")
    orders = [
        AxisOrder(tuple(int(a) for a in rng.permutation(3)), tuple(bool(f) for f in rng.integers(0, 2, 3)))
        for _ in range(rotations)
    ]
    for order in orders:
        other = measure_mask(np.ascontiguousarray(order.of_array(mask)), order.of_geometry(grid), case=name)
        rows.append(
            {
                "kind": "axes of storage",
                "wrong_side": int(other.side != stored.side),
                "errors": errors(other, stored),
            }
        )
    rows.append(_turned_grid(name, mask, grid, stored, rng))
    return rows


def _turned_grid(
    name: str, mask: NDArray[np.uint8], grid: Geometry, stored: FemurMeasurements, rng: np.random.Generator
) -> Row:
    """Return the changes by a rotation of the grid in the header: the same voxels in an oblique volume."""
    matrix = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    direction = matrix @ np.reshape(grid.direction, (3, 3))
    oblique = Geometry(
        grid.size_xyz,
        grid.spacing_mm_xyz,
        tuple(float(o) for o in matrix @ grid.origin_mm_xyz),
        tuple(float(d) for d in direction.ravel()),
    )
    other = measure_mask(mask, oblique, case=name)
    return {
        "kind": "oblique header",
        "wrong_side": int(other.side != stored.side),
        "errors": errors(other, stored, matrix),
    }


def sides(bones: Bones, *, rotations: int, jobs: int = 1) -> dict[str, int]:
    """Return the numbers of right and wrong sides and directions, of masks of 4 x 4 x 5 mm in any orientation."""
    rows = mapped(partial(_sides, rotations=rotations), bones, jobs)
    return {
        "runs": len(rows),
        "wrong_side": sum(int(row["side"] == "wrong") for row in rows),
        "unknown_side": sum(int(row["side"] == "unknown") for row in rows),
        "wrong_up": sum(int(row["up"] == "wrong") for row in rows),
        "unknown_up": sum(int(row["up"] == "unknown") for row in rows),
        "bones_not_right": sorted({str(row["bone"]) for row in rows if row["side"] != "right" or row["up"] != "right"}),
    }


def _sides(name: str, surface: Surface, *, rotations: int) -> list[Row]:
    rng = np.random.default_rng([int(name[1:]), 6])
    rows: list[Row] = []
    for mirrored in (False, True):
        for _ in range(rotations):
            matrix = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
            placed = moved(surface, matrix @ (MIRROR if mirrored else np.eye(3)))
            grid = grid_around(placed, (4.0, 4.0, 5.0), shift_voxels_xyz=rng.uniform(0, 1, 3))
            found = measure_mask(voxelise(placed, grid), grid, case=name)
            expected = "left" if mirrored else "right"
            side = "right" if found.side == expected else "unknown" if found.side == "unknown" else "wrong"
            up = found.anatomy.up if found.anatomy else None
            turned = "unknown" if up is None else "right" if float(up @ matrix[:, 2]) > 0 else "wrong"
            rows.append({"bone": name, "side": side, "up": turned})
    return rows


def refusals(bones: Bones, spacings: Iterable[Sequence[float]], *, jobs: int = 1) -> dict[str, dict[str, int]]:
    """Return how often damaged bones were measured all the same, and whole bones were refused."""
    from measure_damage import damaged_rows

    table: dict[str, dict[str, int]] = {}
    for row in mapped(partial(damaged_rows, spacings=tuple(spacings)), bones, jobs):
        entry = table.setdefault(f"{row['spacing']} {row['damage']}", {"runs": 0, "wrong": 0, "crashes": 0})
        entry["runs"] += 1
        entry["wrong"] += int(row["wrong"])
        entry["crashes"] += int(row["crash"])
        for key in row["keys"]:
            entry[key] = entry.get(key, 0) + 1
    return table
