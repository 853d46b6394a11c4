"""Read, check, orient and write one volume; its geometry in one dataclass.

Order of axes: everything named ``_xyz`` is SimpleITK's order, every array is numpy's z, y, x.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk

VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
"""File endings (lower case) that are read as volumes."""

GRID_TOLERANCE = 1e-3
"""Largest difference of two equal grids: mm for origin and spacing, cosines for direction."""


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a volume lie in the patient (LPS millimetres, as in SimpleITK).

    Attributes:
        size_xyz: Number of voxels along x, y, z.
        spacing_mm_xyz: Distance of neighbouring voxels in mm.
        origin_mm_xyz: Position of the first voxel's centre in mm.
        direction: Row-major 3 x 3 matrix of direction cosines; its columns are the axes.
    """

    size_xyz: tuple[int, ...]
    spacing_mm_xyz: tuple[float, ...]
    origin_mm_xyz: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image | sitk.ImageFileReader) -> Geometry:
        """Geometry of an image, or of a reader that has read a file's header."""
        return cls(
            tuple(int(n) for n in image.GetSize()),
            tuple(float(s) for s in image.GetSpacing()),
            tuple(float(o) for o in image.GetOrigin()),
            tuple(float(d) for d in image.GetDirection()),
        )

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm_xyz)) / 1000.0

    @property
    def shape_zyx(self) -> tuple[int, ...]:
        """Shape of the volume as a numpy array."""
        return self.size_xyz[::-1]

    def differences(self, other: Geometry, *, tolerance: float = GRID_TOLERANCE) -> list[str]:
        """What keeps two volumes from lying on one grid, in words; empty if nothing does.

        Args:
            other: The geometry to compare with.
            tolerance: Largest difference that still counts as equal: mm for origin and spacing, cosines for
                direction.
        """
        found = []
        if self.size_xyz != other.size_xyz:
            found.append(f"size {_words(self.size_xyz)} against {_words(other.size_xyz)} voxels (x, y, z)")
        for name, unit, mine, theirs in (
            ("spacing", " mm", self.spacing_mm_xyz, other.spacing_mm_xyz),
            ("origin", " mm", self.origin_mm_xyz, other.origin_mm_xyz),
            ("direction", "", self.direction, other.direction),
        ):
            if len(mine) != len(theirs) or not np.allclose(mine, theirs, rtol=0, atol=tolerance):
                found.append(f"{name} {_words(mine)} against {_words(theirs)}{unit}")
        return found


def _words(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{n:.6g}" for n in numbers) + ")"


def volume_ending(path: Path) -> str | None:
    """The file ending in lower case if it is one of :data:`VOLUME_ENDINGS`, else None."""
    name = path.name.lower()
    return next((ending for ending in VOLUME_ENDINGS if name.endswith(ending)), None)


def read_geometry(path: Path) -> Geometry:
    """Geometry of a volume from its header alone.

    Raises:
        InputError: The file is missing, is no volume, or is not three-dimensional.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _readable(path):
        reader.ReadImageInformation()
    _require_3d(path, reader.GetDimension(), reader.GetNumberOfComponents())
    return Geometry.of(reader)


def read_volume(path: Path) -> sitk.Image:
    """Read a three-dimensional, single-channel volume.

    Raises:
        InputError: The file is missing, truncated or unreadable, or is not such a volume.
    """
    import SimpleITK as sitk

    with _readable(path):
        image = sitk.ReadImage(str(path))
    _require_3d(path, image.GetDimension(), image.GetNumberOfComponentsPerPixel())
    return image


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        msg = f"{path}: there is no such file."
        raise InputError(msg)
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        msg = f"{path}: cannot be read; truncated, or not a volume. Export or copy it again. ({reason})"
        raise InputError(msg) from error


def _require_3d(path: Path, dimension: int, components: int) -> None:
    if dimension != 3 or components != 1:
        msg = (
            f"{path}: has {dimension} dimensions and {components} component(s) per voxel; a volume has three "
            "dimensions and one grey value per voxel. Export a single 3D series."
        )
        raise InputError(msg)


def oriented(image: sitk.Image, orientation: str = "RAS") -> sitk.Image:
    """The same voxels stored in the order of `orientation`, by flips and permutations only.

    The letters name where an increasing index leads, so "RAS" is the order of nibabel's closest canonical
    orientation and "LPS" that of an identity direction matrix.
    """
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, orientation)


def write_volume(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write a volume whole or not at all: beside the target first, then renamed over it."""
    import SimpleITK as sitk

    with written_beside(path, ending=volume_ending(path)) as partial:
        sitk.WriteImage(image, str(partial), compress)
