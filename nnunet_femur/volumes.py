"""Read, check, orient and write one volume; its geometry in one dataclass.

Order of axes: everything named ``_xyz`` is SimpleITK's order, every array is numpy's z, y, x.
"""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
"""File endings (lower case) that are read as volumes."""

WRITTEN_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Those that are written: one file each, so that a rename can put it in place."""

GRID_TOLERANCE = 1e-3
"""Largest difference of two equal grids: mm for origin and spacing, cosines for direction."""


class VolumeError(InputError):
    """A file that cannot be used as a volume.

    Attributes:
        path: The file.
        problem: What is wrong with it.
        remedy: What to do about it.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem} {remedy}")
        self.path, self.problem, self.remedy = path, problem, remedy


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
    def spacing_mm_zyx(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels in mm, in the order of a numpy array's axes."""
        x, y, z = self.spacing_mm_xyz
        return z, y, x

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


@dataclass(frozen=True)
class AxisOrder:
    """The same voxels, stored along other axes: a permutation and flips, nothing is interpolated.

    Attributes:
        axes_xyz: For each new axis, which old one it is.
        flipped_xyz: For each new axis, whether it runs against the old one.
    """

    axes_xyz: tuple[int, ...]
    flipped_xyz: tuple[bool, ...]

    @classmethod
    def between(cls, stored: Geometry, wanted: Geometry) -> AxisOrder:
        """The order that brings axes `stored` closest to axes `wanted`.

        Two grids that agree physically are brought together exactly, oblique ones too, where naming the nearest
        of the patient's axes for each of them could end differently by a rounding error.
        """
        cosines = np.reshape(wanted.direction, (3, 3)).T @ np.reshape(stored.direction, (3, 3))
        best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[i, axes[i]]) for i in range(3)))
        return cls(best, tuple(bool(cosines[i, best[i]] < 0) for i in range(3)))

    @property
    def changes_nothing(self) -> bool:
        """Whether the voxels are stored along the wanted axes already."""
        return self == AxisOrder((0, 1, 2), (False, False, False))

    def of_geometry(self, geometry: Geometry) -> Geometry:
        """The geometry of the reordered volume."""
        steps = np.reshape(geometry.direction, (3, 3)) * geometry.spacing_mm_xyz
        origin = np.array(geometry.origin_mm_xyz)
        for axis, flipped in zip(self.axes_xyz, self.flipped_xyz, strict=True):
            if flipped:
                origin = origin + steps[:, axis] * (geometry.size_xyz[axis] - 1)
        signs = np.where(self.flipped_xyz, -1.0, 1.0)
        direction = np.reshape(geometry.direction, (3, 3))[:, self.axes_xyz] * signs
        return Geometry(
            tuple(geometry.size_xyz[axis] for axis in self.axes_xyz),
            tuple(geometry.spacing_mm_xyz[axis] for axis in self.axes_xyz),
            tuple(float(o) for o in origin),
            tuple(float(d) for d in direction.ravel()),
        )

    def of_array(self, array_zyx: NDArray) -> NDArray:
        """A view of the reordered voxels, z, y, x."""
        turned = array_zyx.transpose([2 - axis for axis in self.axes_xyz[::-1]])
        return turned[tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped_xyz[::-1])]


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
        if volume_ending(path) in (".nii", ".nii.gz"):
            _require_whole_nifti(path)
    _require_3d(path, image.GetDimension(), image.GetNumberOfComponentsPerPixel())
    return image


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise VolumeError(path, "there is no such file.", "Check the path.")
    try:
        yield
    except RuntimeError as error:
        problem = f"cannot be read; truncated, or not a volume ({_last_line(error)})."
        raise VolumeError(path, problem, "Export or copy it again.") from error


def _require_whole_nifti(path: Path) -> None:
    """Raise RuntimeError if voxels are missing: where a NIfTI file ends too early, ITK makes up the rest."""
    import nibabel

    voxels = nibabel.load(path).dataobj
    needed = voxels.offset + int(np.prod(voxels.shape)) * voxels.dtype.itemsize
    if path.suffix.lower() == ".gz":
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            # gzip ends with the number of bytes that it packed, modulo 2^32.
            whole = int.from_bytes(file.read(), "little") == needed % 2**32 or _unpacked_bytes(path) >= needed
    else:
        whole = path.stat().st_size >= needed
    if not whole:
        msg = f"the file ends before its {needed} bytes"
        raise RuntimeError(msg)


def _unpacked_bytes(path: Path) -> int:
    """Number of bytes that a gzip file holds as far as it can be read; it may be several files, one after another."""
    total = 0
    with gzip.open(path) as file, suppress(EOFError, OSError, zlib.error):
        while block := file.read(1 << 20):
            total += len(block)
    return total


def _last_line(error: RuntimeError) -> str:
    """ITK's messages are stacks of lines, from where it noticed to what it noticed."""
    return str(error).strip().rpartition("\n")[2].strip()


def _require_3d(path: Path, dimension: int, components: int) -> None:
    if dimension != 3 or components != 1:
        problem = (
            f"has {dimension} dimensions and {components} component(s) per voxel; a volume has three dimensions and "
            "one grey value per voxel."
        )
        raise VolumeError(path, problem, "Export a single 3D series.")


def image_of(array_zyx: NDArray, geometry: Geometry) -> sitk.Image:
    """An image of these voxels and this geometry and nothing else: no names or dates of a source file.

    Args:
        array_zyx: The voxels, z, y, x.
        geometry: Where they lie.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(geometry.spacing_mm_xyz)
    image.SetOrigin(geometry.origin_mm_xyz)
    image.SetDirection(geometry.direction)
    return image


def oriented(image: sitk.Image, orientation: str = "RAS") -> sitk.Image:
    """The same voxels stored in the order of `orientation`, by flips and permutations only.

    The letters name where an increasing index leads, so "RAS" is the order of nibabel's closest canonical
    orientation and "LPS" that of an identity direction matrix.
    """
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, orientation)


def write_volume(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write a volume whole or not at all: beside the target first, then renamed over it.

    Raises:
        InputError: The ending of `path` is none of :data:`WRITTEN_ENDINGS`.
        SetupError: The file cannot be written.
    """
    import SimpleITK as sitk

    ending = volume_ending(path)
    if ending not in WRITTEN_ENDINGS:
        msg = f"{path}: volumes are written as one file. Name it {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg)
    with written_beside(path, ending=ending) as partial:
        try:
            sitk.WriteImage(image, str(partial), compress)
        except RuntimeError as error:
            msg = f"{path}: cannot be written ({_last_line(error)}). Check the folder and the space on the disk."
            raise SetupError(msg) from error
