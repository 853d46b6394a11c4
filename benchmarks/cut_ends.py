"""Detection of cut ends: flat faces at the ends of whole and cut femurs, by spacing and part of the length cut off.

Each bone is tilted at random by up to 15 degrees about each axis, voxelised, and cut by a plane: along a slice of the
volume, or across a direction that is up to 30 degrees from the shaft. `--odd` shows the bones on which no threshold was
chosen. `--damage` erodes, dilates or disturbs the mask after the cut.

Run: uv run python benchmarks/cut_ends.py MESHES.npz [--odd] [--bones 25] [--spacing 2 2 3] [--damage noise]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from femur_masks import load_meshes, tilted_mask
from scipy import ndimage

from nnunet_femur.measurement.shape.completeness import DISTAL_FLAT_MM2, PROXIMAL_FLAT_MM2, is_flat
from nnunet_femur.measurement.shape.flat_faces import flat_face
from nnunet_femur.measurement.shape.mesh import BoneMesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.33)
"""Parts of the length that are cut off."""

DAMAGES = ("none", "erode", "dilate", "noise")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("--odd", action="store_true", help="odd ids, which were not used to choose the thresholds")
    parser.add_argument("--bones", type=int, default=25)
    parser.add_argument("--spacing", nargs=3, type=float, action="append", metavar=("X", "Y", "Z"))
    parser.add_argument("--damage", choices=DAMAGES, default="none")
    arguments = parser.parse_args()
    meshes = load_meshes(arguments.meshes)
    names = [name for name in meshes if int(name[1:]) % 2 == int(arguments.odd)][: arguments.bones]
    for spacing in arguments.spacing or [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0), (2.0, 2.0, 3.0), (4.0, 4.0, 5.0)]:
        found = defaultdict(list)
        for name in names:
            seed = int(name[1:])
            mask, grid, matrix, _ = tilted_mask(meshes[name], spacing, seed=seed)
            for kind, mask_zyx, end in _cuts(mask != 0, grid, matrix @ [0.0, 0.0, 1.0], np.random.default_rng(seed)):
                damaged = _damaged(mask_zyx, arguments.damage, np.random.default_rng(seed))
                mesh = BoneMesh.of_mask(damaged, grid)
                up = matrix @ [0.0, 0.0, 1.0]
                for proximal in (True, False) if end is None else (end,):
                    face = flat_face(mesh, up if proximal else -up)
                    least = PROXIMAL_FLAT_MM2 if proximal else DISTAL_FLAT_MM2
                    key = (*kind, "proximal" if proximal else "distal")
                    found[key].append((face.area_mm2, face.weight_mm2, face.share, is_flat(face, least, max(spacing))))
        print(f"\n{' x '.join(f'{s:g}' for s in spacing)} mm, {len(names)} bones, damage: {arguments.damage}")
        heads = [f"{name}, {each}" for name in ("mm2", "weight", "share") for each in ("min", "median", "max")]
        print(f"{'':<22}" + "".join(f"{head:>15}" for head in heads) + f"{'cut':>9}")
        for key, rows in found.items():
            *columns, cut = np.array(rows).T
            numbers = [number for column in columns for number in np.quantile(column, (0, 0.5, 1))]
            line = "".join(f"{number:>15.{2 if place > 5 else 0}f}" for place, number in enumerate(numbers))
            print(f"{' '.join(key):<22}{line}{int(cut.sum()):>6}/{len(cut)}", flush=True)


def _cuts(
    mask: NDArray[np.bool_], grid: Geometry, up: NDArray, rng: np.random.Generator
) -> Iterator[tuple[tuple[str, ...], NDArray[np.bool_], bool | None]]:
    """Yield the name of a cut, the rest of the bone, and the cut end: True for the proximal one, None for none."""
    yield ("whole",), mask, None
    index = np.argwhere(mask)[:, ::-1] @ grid.steps_mm.T
    for share in SHARES:
        for proximal in (True, False):
            sign = 1 if proximal else -1
            tilt, turn = np.radians(rng.uniform(0, 30)), rng.uniform(0, 2 * np.pi)
            u = np.cross(up, [1.0, 0, 0])
            u /= np.linalg.norm(u)
            oblique = np.cos(tilt) * up + np.sin(tilt) * (np.cos(turn) * u + np.sin(turn) * np.cross(up, u))
            for name, normal in (("slice", np.array([0.0, 0, 1])), ("oblique", oblique)):
                heights = index @ (sign * normal)
                rest = np.zeros_like(mask)
                rest[mask] = heights < heights.max() - share * np.ptp(heights)
                yield (name, f"{share:.0%}"), rest, proximal


def _damaged(mask: NDArray[np.bool_], damage: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask after erosion or dilation by a voxel, or with a tenth of its surface voxels flipped."""
    if damage == "erode":
        return ndimage.binary_erosion(mask)
    if damage == "dilate":
        return ndimage.binary_dilation(mask)
    if damage == "noise":
        edge = ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask)
        return mask ^ (edge & (rng.random(mask.shape) < 0.1))
    return mask


if __name__ == "__main__":
    main()
