"""Masks of femur meshes at any spacing, tilted at random, as NRRD files.

Run: uv run python benchmarks/femur_masks.py MESHES.npz OUT --spacing 1 1 1 --tilt 15 --bones s00 s01

MESHES.npz contains arrays ID_v (corners in LPS mm) and ID_f (triangles) of closed right femurs. `--left` mirrors them.
In Python: `load_meshes(path)` and `tilted_mask(surface, spacing_mm_xyz, seed=0)`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.testing.voxelising import grid_around, moved, rotation_xyz, voxelise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

MIRROR = np.diag([-1.0, 1.0, 1.0])
"""Reflection of a right femur into a left one."""


def load_meshes(path: Path | str) -> dict[str, Surface]:
    """Return the surfaces of a file by id."""
    with np.load(path) as arrays:
        ids = sorted(name[:-2] for name in arrays.files if name.endswith("_v"))
        return {i: Surface(arrays[f"{i}_v"].astype(float), arrays[f"{i}_f"].astype(np.int64)) for i in ids}


def tilted(
    surface: Surface, *, seed: int, tilt_deg: float = 15.0, left: bool = False
) -> tuple[Surface, NDArray[np.float64], NDArray[np.float64]]:
    """Return a surface rotated and moved at random, the matrix, and the shift in mm: `points @ matrix.T + shift`."""
    rng = np.random.default_rng([seed, 71])
    matrix = rotation_xyz(*rng.uniform(-tilt_deg, tilt_deg, 3)) @ (MIRROR if left else np.eye(3))
    shift_mm = rng.uniform(-200, 200, 3)
    return moved(surface, matrix, shift_mm), matrix, shift_mm


def tilted_mask(
    surface: Surface, spacing_mm_xyz: Sequence[float], *, seed: int, tilt_deg: float = 15.0, left: bool = False
) -> tuple[NDArray[np.uint8], Geometry, NDArray[np.float64], NDArray[np.float64]]:
    """Return the mask (z, y, x) and geometry of a tilted surface, and its matrix and shift as in :func:`tilted`."""
    placed, matrix, shift_mm = tilted(surface, seed=seed, tilt_deg=tilt_deg, left=left)
    shift_voxels = np.random.default_rng([seed, 72]).uniform(0, 1, 3)
    grid = grid_around(placed, spacing_mm_xyz, shift_voxels_xyz=shift_voxels)
    return voxelise(placed, grid), grid, matrix, shift_mm


def main() -> None:
    """Write the masks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--spacing", nargs=3, type=float, default=[1.0, 1.0, 1.0], metavar=("X", "Y", "Z"))
    parser.add_argument("--tilt", type=float, default=15.0, help="largest tilt about each axis in degrees")
    parser.add_argument("--bones", nargs="+", help="ids; all by default")
    parser.add_argument("--left", action="store_true", help="mirrored: left femurs")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, (name, surface) in enumerate(load_meshes(arguments.meshes).items()):
        if not arguments.bones or name in arguments.bones:
            mask, grid, _, _ = tilted_mask(
                surface, arguments.spacing, seed=number, tilt_deg=arguments.tilt, left=arguments.left
            )
            write_volume(image_of(mask, grid), arguments.out / f"{'L' if arguments.left else 'R'}{name[1:]}.nrrd")


if __name__ == "__main__":
    main()
