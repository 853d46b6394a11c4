"""Rate of warnings of `nnfemur predict` on correct and on broken masks.

Run: uv run python benchmarks/plausibility.py MESHES.npz --spacing 2 2 3 --every 2 --start 1 [--pairs FOLDER]

MESHES.npz contains closed right femurs (see femur_masks.py); half of them are mirrored. FOLDER contains pairs
Images/ID_CT.nrrd and GoldStandard/ID_GS.nrrd, for the checks of the HU; default: phantoms of this package.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from femur_masks import load_meshes, tilted_mask
from scipy import ndimage

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.prediction.bone_sides import tell_sides
from nnunet_femur.prediction.ct_under_mask import CtSample
from nnunet_femur.prediction.plausibility import check_femurs
from nnunet_femur.prediction.prediction_kinds import review_score
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

    Mask = NDArray[np.bool_]

MARGIN = 24
"""Background voxels around each bone, so that no change of it touches the border of the volume."""


class Broken:
    """Broken versions of a femur's mask, whose last slices are at the head.

    Args:
        mask: The mask (z, y, x), with a margin.
        spacing_mm_zyx: Its spacing.
    """

    def __init__(self, mask: Mask, spacing_mm_zyx: tuple[float, ...]) -> None:
        self.mask, self.spacing = mask, np.array(spacing_mm_zyx)
        self.voxels = np.argwhere(mask)
        self.low, self.high = int(self.voxels[:, 0].min()), int(self.voxels[:, 0].max())
        self.length = self.high - self.low
        top = self.voxels[self.voxels[:, 0] > self.high - 0.12 * self.length]
        apart = top[:, 2] - self._between(0.4, 0.6)[:, 2].mean()
        self.medial = float(np.sign(apart[np.abs(apart).argmax()]))
        self.head = top[np.argsort(-self.medial * apart)[:20]].mean(0)
        end = self._between(0, 0.06)
        self.posterior_condyle, self.distal_condyle = end[end[:, 1].argmax()], end[end[:, 0].argmin()]
        self.shaft = self._between(0.5, 0.51)[0]

    def _between(self, start: float, stop: float) -> NDArray[np.int64]:
        level = (self.voxels[:, 0] - self.low) / self.length
        return self.voxels[(level >= start) & (level <= stop)]

    def _ball(self, center: NDArray, radius_mm: float) -> Mask:
        axes = [(np.arange(n) - c) * s for n, c, s in zip(self.mask.shape, center, self.spacing, strict=True)]
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        return z**2 + y**2 + x**2 <= radius_mm**2

    def _level(self) -> NDArray[np.float64]:
        return (np.arange(self.mask.shape[0])[:, None, None] - self.low) / self.length

    def versions(self) -> Iterator[tuple[str, Mask]]:
        """Yield each version with its name, the unchanged mask first."""
        mask, level, ball = self.mask, self._level(), self._ball
        yield "correct", mask
        for percent in (3, 5, 10, 20, 33):
            yield f"distal {percent} % missing", mask & (level > percent / 100)
        for percent in (3, 5, 10, 20):
            yield f"proximal {percent} % missing", mask & (level < 1 - percent / 100)
        yield "gap of 12 mm in the shaft", mask & (np.abs(level - 0.5) * self.length * self.spacing[0] > 6)
        yield "hole of 30 mm in the head", mask & ~ball(self.head, 15)
        yield "hole of 36 mm in a condyle", mask & ~ball(self.posterior_condyle, 18)
        yield "half of a condyle missing", mask & ~ball(self.distal_condyle, 25)
        yield "hole of 28 mm in the shaft", mask & ~ball(self.shaft, 14)
        yield "hollow", mask & (ndimage.distance_transform_edt(mask, sampling=self.spacing) <= 5)
        yield "blob of 30 mm at the shaft", mask | ball(self.shaft, 15)
        yield "blob of 50 mm at the shaft", mask | ball(self.shaft, 25)
        yield "blob of 16 mm at a condyle", mask | ball(self.posterior_condyle, 8)
        yield "blob of 30 mm at a condyle", mask | ball(self.posterior_condyle, 15)
        yield "blob of 40 mm at the head", mask | ball(self.head, 20)
        center = self.head - np.array([0, 0, self.medial * 20 / self.spacing[2]])
        outwards = self.medial * (np.arange(mask.shape[2]) - center[2])[None, None] * self.spacing[2]
        upwards = (np.arange(mask.shape[0]) - center[0])[:, None, None] * self.spacing[0]
        cup = ball(center, 33) & ~ball(center, 20) & (outwards + upwards > 0)
        yield "acetabulum included", mask | cup
        wing = (np.abs(outwards - 25) < 35) & (np.abs(upwards - 45) < 30) & (np.abs(self._backwards(center)) < 8)
        yield "pelvis included", mask | cup | wing
        yield "tibia included", self._with_tibia()
        yield "two joined legs", self._joined()
        for percent in (5, 30):
            rng = np.random.default_rng(percent)
            flipped = (mask ^ ndimage.binary_erosion(mask)) | (mask ^ ndimage.binary_dilation(mask))
            yield f"{percent} % of the surface flipped", mask ^ (flipped & (rng.random(mask.shape) < percent / 100))

    def _backwards(self, center: NDArray) -> NDArray[np.float64]:
        return (np.arange(self.mask.shape[1]) - center[1])[None, :, None] * self.spacing[1]

    def _with_tibia(self) -> Mask:
        end = self._between(0, 0.05)
        first, last = end.min(0), end.max(0)
        depth = int(25 / self.spacing[0])
        longer = np.pad(self.mask, ((depth, 0), (0, 0), (0, 0)))
        bottom = self.low + depth
        longer[bottom - depth + 4 : bottom + 2, first[1] + 4 : last[1] - 3, first[2] + 4 : last[2] - 4] = True
        return longer

    def _joined(self) -> Mask:
        both = np.concatenate([self.mask, self.mask[:, :, ::-1]], axis=2)
        level = self.low + self.length // 2
        row = np.argwhere(both[level])
        middle = int(row[:, 0].mean())
        both[level - 2 : level + 3, middle - 2 : middle + 3, row[:, 1].min() : row[:, 1].max()] = True
        return both


def findings_of(mask: Mask, geometry: Geometry, ct: CtSample | None = None) -> tuple[Finding, ...]:
    """Return the findings of a mask, as `nnfemur predict` has them."""
    values = mask.astype(np.uint8)
    told = tell_sides(values, geometry, case="case")
    _, findings = check_femurs(values, geometry, told.femurs, case="case", ct=ct)
    return (*findings, *told.findings)


def shape_versions(
    meshes: Path, spacing: tuple[float, float, float], start: int, every: int, only: str = ""
) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """Yield the findings of the masks of meshes, and of their broken versions."""
    for number, surface in enumerate(load_meshes(meshes).values()):
        if number < start or (number - start) % every:
            continue
        mask, grid, _, _ = tilted_mask(surface, spacing, seed=number, left=number % 4 > 1)
        padded = np.pad(mask > 0, MARGIN)
        for name, version in Broken(padded, grid.spacing_mm_zyx).versions():
            if only not in name:
                continue
            geometry = Geometry(version.shape[::-1], grid.spacing_mm_xyz, grid.origin_mm_xyz, grid.direction)
            yield name, findings_of(version, geometry)


def hu_versions(pairs: Path | None, phantoms: int) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """Yield the findings of masks beside their CTs: in place, shifted, eroded and dilated."""
    for image, reference in _pairs(pairs, phantoms):
        hu, mask = (sitk.GetArrayFromImage(each) for each in (image, reference))
        geometry = Geometry.of(image)
        ct = CtSample.of(hu, geometry.spacing_mm_zyx)
        inside = mask > 0
        spacing = np.array(geometry.spacing_mm_zyx)
        versions = {"with its CT: correct": inside}
        for axis, name in enumerate(("along", "across", "across")):
            for shift_mm in (-20, 20):
                voxels = [round(shift_mm / spacing[axis]) if each == axis else 0 for each in range(3)]
                versions[f"with its CT: {abs(shift_mm)} mm {name} ({axis}, {shift_mm})"] = (
                    ndimage.shift(inside.astype(np.uint8), voxels, order=0) > 0
                )
        versions["with its CT: 3 mm too small"] = ndimage.distance_transform_edt(inside, sampling=spacing) > 3
        versions["with its CT: 3 mm too large"] = ndimage.distance_transform_edt(~inside, sampling=spacing) <= 3
        for name, version in versions.items():
            yield name.partition(" (")[0], findings_of(version, geometry, ct)


def _pairs(folder: Path | None, phantoms: int) -> Iterator[tuple[sitk.Image, sitk.Image]]:
    if folder is None:
        for seed in range(phantoms):
            phantom = make_phantom(seed, size_zyx=(216, 96, 96), spacing_mm_zyx=(2.4, 2.0, 2.0))
            yield phantom.image, phantom.mask
        return
    for path in sorted((folder / "Images").glob("*_CT.nrrd")):
        reference = folder / "GoldStandard" / path.name.replace("_CT", "_GS")
        yield sitk.ReadImage(str(path)), sitk.ReadImage(str(reference))


def main() -> None:
    """Print a table of the versions."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("meshes", type=Path)
    parser.add_argument("--spacing", type=float, nargs=3, default=(2.0, 2.0, 3.0), metavar=("X", "Y", "Z"))
    parser.add_argument("--start", type=int, default=0, help="number of the first mesh")
    parser.add_argument("--every", type=int, default=1, help="take every n-th mesh")
    parser.add_argument("--only", default="", help="a version of the masks, such as correct; then without CTs")
    parser.add_argument("--pairs", type=Path, help="folder of CTs and masks")
    parser.add_argument("--phantoms", type=int, default=6, help="number of phantoms without --pairs")
    arguments = parser.parse_args()
    scores, codes = defaultdict(list), defaultdict(Counter)
    versions = (
        *shape_versions(arguments.meshes, tuple(arguments.spacing), arguments.start, arguments.every, arguments.only),
        *(() if arguments.only else hu_versions(arguments.pairs, arguments.phantoms)),
    )
    for name, findings in versions:
        found = {finding.code for finding in findings}
        scores[name].append(review_score(found))
        codes[name].update(found)
    print(f"{'mask':34}{'masks':>6}{'warned':>8}{'score, median':>15}  codes")
    for name, values in scores.items():
        warned = sum(value > 0 for value in values)
        listed = ", ".join(f"{code} {count}" for code, count in codes[name].most_common(4))
        print(f"{name:34}{len(values):6}{warned:8}{np.median(values):15.2f}  {listed}")


if __name__ == "__main__":
    main()
