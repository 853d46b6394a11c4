"""Source folder of tiny volumes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

if TYPE_CHECKING:
    from pathlib import Path


class Hospital:
    """Source folder with pairs of 5 x 6 x 7 voxels (z, y, x), without any symmetry.

    The voxels are so large that the mask has volume and length of a femur, and no check finds anything.
    """

    shape_zyx = (5, 6, 7)
    spacing_mm_xyz = (20.0, 21.0, 60.0)
    origin_mm_xyz = (-10.0, 20.5, -300.25)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Images", "GoldStandard"):
            (folder / name).mkdir(parents=True)

    def image(self, case: str = "L442", *, dtype=np.int16) -> np.ndarray:
        number = int.from_bytes(hashlib.sha256(case.encode()).digest()[:4], "big")
        return np.random.default_rng(number).integers(-900, 1500, self.shape_zyx).astype(dtype)

    def mask(self, *, dtype=np.uint8) -> np.ndarray:
        mask = np.zeros(self.shape_zyx, dtype)
        mask[1:3, 2:5, 1:4] = 1
        mask[3, 4, 3] = 1
        return mask

    def write(self, name: str, array: np.ndarray, **geometry) -> Path:
        """Write an array below the folder; `geometry` overrides spacing, origin and direction."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(geometry.get("spacing", self.spacing_mm_xyz))
        image.SetOrigin(geometry.get("origin", self.origin_mm_xyz))
        image.SetDirection(geometry.get("direction", (1, 0, 0, 0, 1, 0, 0, 0, 1)))
        path = self.folder / name
        sitk.WriteImage(image, str(path), True)
        return path

    def add(self, *cases: str) -> Hospital:
        for case in cases:
            self.write(f"Images/{case}_CT.nrrd", self.image(case))
            self.write(f"GoldStandard/{case}_GS.nrrd", self.mask())
        return self

    def add_patients(self, count: int = 6) -> Hospital:
        """Add cases L101, R102, L103, ...: the fewest that can be split, unless another number is given."""
        return self.add(*(f"{'RL'[number % 2]}{100 + number}" for number in range(1, count + 1)))


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path / "hospital")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "nnUNet_raw"


@pytest.fixture
def tree():
    """The content of every file below a folder, hidden ones too, by its relative name."""

    def read(folder: Path) -> dict[str, str]:
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
