"""Geometry of a volume and the order of its axes.

Order of axes: everything named ``_xyz`` is SimpleITK's order, every array is numpy's z, y, x.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
"""File endings (lower case) that are read as volumes."""

GRID_TOLERANCE_VOXELS = 0.01
"""Largest displacement of a corner voxel between two grids that count as the same one, in voxels."""


class VolumeError(InputError):
    """A file that cannot be used as a volume.

    Attributes:
        path: The file.
        problem: What is wrong with it.
        remedy: What to do about it.
        code: Short name of the kind of problem: "unreadable", "not-3d", "colour", ...
    """

    def __init__(self, path: Path, problem: str, remedy: str, *, code: str = "unreadable") -> None:
        super().__init__(f"{path}: {problem} {remedy}", code=code)
        self.path, self.problem, self.remedy = path, problem, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it come back from a worker process."""
        return _volume_error, (self.path, self.problem, self.remedy, self.code)


def _volume_error(path: Path, problem: str, remedy: str, code: str) -> VolumeError:
    return VolumeError(path, problem, remedy, code=code)


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

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """Matrix from an index x, y, z to millimetres, shape (3, 3): its columns are the steps along the axes."""
        return np.reshape(self.direction, (3, 3)) * self.spacing_mm_xyz

    @property
    def corners_mm(self) -> NDArray[np.float64]:
        """Centres of the eight voxels at the corners in mm, shape (8, 3); the first voxel first, the last one last."""
        index_xyz = np.array(list(np.ndindex(2, 2, 2))) * (np.array(self.size_xyz) - 1)
        return index_xyz @ self.steps_mm.T + self.origin_mm_xyz

    def index_of(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in mm, shape (n, 3), as continuous indices x, y, z."""
        return np.asarray(np.linalg.solve(self.steps_mm, (points_mm - self.origin_mm_xyz).T).T, np.float64)

    def displacement_voxels(self, other: Geometry) -> float:
        """Largest distance of a corner voxel of `other` from the same voxel of this grid, in voxels along one axis.

        Infinite for another number of voxels, and for numbers that are not finite.
        """
        numbers = (*other.spacing_mm_xyz, *other.origin_mm_xyz, *other.direction)
        if self.size_xyz != other.size_xyz or not np.isfinite(numbers).all():
            return math.inf
        corners_xyz = self.index_of(other.corners_mm) - self.index_of(self.corners_mm)
        return float(np.abs(corners_xyz).max())

    def differences(self, other: Geometry, *, tolerance_voxels: float = GRID_TOLERANCE_VOXELS) -> list[str]:
        """Return what differs between two grids, as text for a message; empty for one and the same grid.

        Args:
            other: The geometry to compare with.
            tolerance_voxels: Largest displacement of a corner voxel that still counts as the same grid.
        """
        if self.displacement_voxels(other) <= tolerance_voxels:
            return []
        found = []
        if self.size_xyz != other.size_xyz:
            found.append(f"size {numbers_text(self.size_xyz)} against {numbers_text(other.size_xyz)} voxels (x, y, z)")
        for name, unit, mine, theirs in (
            ("spacing", " mm", self.spacing_mm_xyz, other.spacing_mm_xyz),
            ("origin", " mm", self.origin_mm_xyz, other.origin_mm_xyz),
            ("direction", "", self.direction, other.direction),
        ):
            if len(mine) != len(theirs) or not np.allclose(mine, theirs, rtol=1e-6, atol=1e-6):
                found.append(f"{name} {numbers_text(mine)} against {numbers_text(theirs)}{unit}")
        return found or ["corner voxels that lie apart"]


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


RAS = Geometry((0, 0, 0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
"""Axes that lead to right, anterior and superior: the order in which this package works, and nibabel's canonical one.

``AxisOrder.between(stored, RAS)`` is the way into that order, and ``AxisOrder.between(RAS, stored)`` the way back."""


def numbers_text(numbers: Sequence[float]) -> str:
    """Numbers in brackets for a message, with six digits."""
    return "(" + ", ".join(f"{n:.6g}" for n in numbers) + ")"


def volume_ending(path: Path) -> str | None:
    """The file ending in lower case if it is one of :data:`VOLUME_ENDINGS`, else None."""
    name = path.name.lower()
    return next((ending for ending in VOLUME_ENDINGS if name.endswith(ending)), None)


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


def writable_array(image: sitk.Image) -> NDArray:
    """The voxels of an image (z, y, x) as an array that writes into the image; it lives as long as the image does.

    SimpleITK only gives an array to read, or a copy. A volume is large, and taking new memory for it costs more time
    than anything that is done to its voxels.
    """
    import SimpleITK as sitk

    # This makes sure that no other image shares the voxels.
    view = sitk.GetArrayViewFromImage(image)
    address, _ = view.__array_interface__["data"]
    memory = (ctypes.c_char * view.nbytes).from_address(address)
    return np.frombuffer(memory, view.dtype).reshape(view.shape)


def oriented(image: sitk.Image, orientation: str = "RAS") -> sitk.Image:
    """The same voxels stored in the order of `orientation`, by flips and permutations only.

    The letters name where an increasing index leads, so "RAS" is the order of nibabel's closest canonical
    orientation and "LPS" that of an identity direction matrix.
    """
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, orientation)
