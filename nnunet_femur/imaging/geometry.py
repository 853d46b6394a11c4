"""Geometry of a volume: size, spacing, origin, direction, and the order of its axes.

Names that end in ``_xyz`` are in SimpleITK's order of axes. Arrays, and names that end in ``_zyx``, are in numpy's
order: z, y, x.
"""

from __future__ import annotations

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

_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_SEGMENTATIONS = (".seg", ".rtstruct")

GRID_TOLERANCE_VOXELS = 0.01
"""Largest displacement of a corner voxel between two grids that count as the same one, in voxels."""


class VolumeError(InputError):
    """A file that cannot be used as a volume.

    Attributes:
        path: The file or folder.
        problem: The problem, as a sentence without its subject.
        remedy: The fix.
        code: A code of :data:`nnunet_femur.kinds.KINDS`: "unreadable", "not-3d", "colour", ...

    Example:
        >>> from nnunet_femur.imaging import read_ct
        >>> try:
        ...     read_ct("missing.nrrd")
        ... except VolumeError as error:
        ...     print(error.code, "-", error)
        unreadable - missing.nrrd: does not exist. Check the path.
    """

    def __init__(self, path: Path, problem: str, remedy: str, *, code: str = "unreadable") -> None:
        super().__init__(f"{path}: {problem} {remedy}", code=code)
        self.path, self.problem, self.remedy = path, problem, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep all attributes in a copy that comes from a worker process."""
        return _volume_error, (self.path, self.problem, self.remedy, self.code)


def _volume_error(path: Path, problem: str, remedy: str, code: str) -> VolumeError:
    return VolumeError(path, problem, remedy, code=code)


@dataclass(frozen=True)
class Geometry:
    """Grid of a volume in the patient's space (LPS millimetres, as in SimpleITK and DICOM).

    Attributes:
        size_xyz: Number of voxels along x, y, z.
        spacing_mm_xyz: Distance between the centres of neighbouring voxels, in mm.
        origin_mm_xyz: Position of the first voxel's centre in mm.
        direction: Row-major 3 x 3 matrix of direction cosines; its columns are the axes.

    Example:
        >>> grid = Geometry((10, 20, 30), (0.5, 0.5, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> grid.shape_zyx, grid.spacing_mm_zyx, grid.voxel_volume_ml
        ((30, 20, 10), (2.0, 0.5, 0.5), 0.0005)
    """

    size_xyz: tuple[int, ...]
    spacing_mm_xyz: tuple[float, ...]
    origin_mm_xyz: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image | sitk.ImageFileReader) -> Geometry:
        """Return the geometry of an image, or of a reader that has read the header of a file."""
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
        """Spacing in mm, in the order of a numpy array's axes."""
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
        """Return points in mm, shape (n, 3), as continuous indices x, y, z."""
        return np.asarray(np.linalg.solve(self.steps_mm, (points_mm - self.origin_mm_xyz).T).T, np.float64)

    def displacement_voxels(self, other: Geometry) -> float:
        """Return the largest distance between a corner voxel of `other` and the same voxel of this grid.

        Returns:
            The distance along one axis, in voxels of this grid; infinite if the sizes differ, or if `other` contains
            numbers that are not finite.
        """
        numbers = (*other.spacing_mm_xyz, *other.origin_mm_xyz, *other.direction)
        if self.size_xyz != other.size_xyz or not np.isfinite(numbers).all():
            return math.inf
        corners_xyz = self.index_of(other.corners_mm) - self.index_of(self.corners_mm)
        return float(np.abs(corners_xyz).max())

    def differences(self, other: Geometry, *, tolerance_voxels: float = GRID_TOLERANCE_VOXELS) -> list[str]:
        """Return the differences between two grids as text for a message; empty if the grids are the same.

        Args:
            other: The geometry to compare with.
            tolerance_voxels: Largest displacement of a corner voxel that still counts as the same grid.

        Example:
            >>> grid = Geometry((4, 3, 2), (0.5, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
            >>> thicker = Geometry((4, 3, 2), (0.5, 1.0, 2.5), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
            >>> grid.differences(thicker)
            ['spacing (0.5, 1, 2) against (0.5, 1, 2.5) mm']
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
        return found or ["positions of the corner voxels"]


@dataclass(frozen=True)
class AxisOrder:
    """A permutation and flips of axes, which store the same voxels in another order; nothing is interpolated.

    Attributes:
        axes_xyz: The old axis (0, 1 or 2) of each new one.
        flipped_xyz: True for each new axis that has the opposite direction of the old one.

    Example:
        >>> stored = Geometry((4, 3, 2), (0.5, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> order = AxisOrder.between(stored, RAS)
        >>> order.flipped_xyz
        (True, True, False)
        >>> order.of_geometry(stored).origin_mm_xyz
        (1.5, 2.0, 0.0)
    """

    axes_xyz: tuple[int, ...]
    flipped_xyz: tuple[bool, ...]

    @classmethod
    def between(cls, stored: Geometry, wanted: Geometry) -> AxisOrder:
        """Return the order that brings the axes of `stored` closest to the axes of `wanted`.

        The two grids are compared directly, and not by the name of the patient's axis that is nearest to each: for
        oblique grids a rounding error could give the same axis two names.
        """
        cosines = np.reshape(wanted.direction, (3, 3)).T @ np.reshape(stored.direction, (3, 3))
        best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[i, axes[i]]) for i in range(3)))
        return cls(best, tuple(bool(cosines[i, best[i]] < 0) for i in range(3)))

    @property
    def changes_nothing(self) -> bool:
        """True if the voxels are already stored along the wanted axes."""
        return self == AxisOrder((0, 1, 2), (False, False, False))

    def of_geometry(self, geometry: Geometry) -> Geometry:
        """Return the geometry of the reordered volume."""
        steps = geometry.steps_mm
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
        """Return a view of the reordered voxels, z, y, x."""
        turned = array_zyx.transpose([2 - axis for axis in self.axes_xyz[::-1]])
        return turned[tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped_xyz[::-1])]


RAS = Geometry((0, 0, 0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
"""Axes that point to right, anterior and superior: the order of this package, and of nibabel's canonical images.

``AxisOrder.between(stored, RAS)`` leads to that order, and ``AxisOrder.between(RAS, stored)`` back."""


def numbers_text(numbers: Sequence[float]) -> str:
    """Return numbers in brackets for a message, with six significant digits."""
    return "(" + ", ".join(f"{n:.6g}" for n in numbers) + ")"


def volume_ending(path: Path) -> str | None:
    """Return the ending of a file in lower case if it is one of :data:`VOLUME_ENDINGS`, else None."""
    name = path.name.lower()
    return next((ending for ending in VOLUME_ENDINGS if name.endswith(ending)), None)


def stem(path: Path) -> str:
    """Return the name of a file without the ending of a volume, of a DICOM file, or of a segmentation.

    A segmentation ends in ``.seg`` or, if it consists of contours, in ``.rtstruct``.

    Only these endings are removed: a DICOM file without an ending is often named by a UID, which contains dots.

    Example:
        >>> from pathlib import Path
        >>> [stem(Path(name)) for name in ("L1.nii.gz", "L1.seg.nrrd", "L1.rtstruct.dcm", "L1.DCM", "1.2.840.113619")]
        ['L1', 'L1', 'L1', 'L1', '1.2.840.113619']
    """
    name = _without_ending(path)
    return next((name[: -len(each)] for each in _SEGMENTATIONS if name.lower().endswith(each)), name)


def is_segmentation_name(path: Path) -> bool:
    """Return True for the name of a segmentation of 3D Slicer or of this package's DICOM files, as ``L1.seg.nrrd``."""
    return _without_ending(path) != path.name and _without_ending(path).lower().endswith(_SEGMENTATIONS)


def _without_ending(path: Path) -> str:
    name = path.name
    ending = volume_ending(path) or next((each for each in _DICOM_ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


def image_of(array_zyx: NDArray, geometry: Geometry) -> sitk.Image:
    """Return an image with these voxels, this geometry and no other metadata.

    Args:
        array_zyx: The voxels, z, y, x; several values per voxel, such as layers, are a fourth axis. They are copied.
        geometry: Their geometry.

    Example:
        >>> image = image_of(np.zeros((2, 3, 4), np.uint8), Geometry((4, 3, 2), (1, 1, 5), (0, 0, 0), RAS.direction))
        >>> image.GetSize(), image.GetSpacing()
        ((4, 3, 2), (1.0, 1.0, 5.0))
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array_zyx)
    image.SetSpacing(geometry.spacing_mm_xyz)
    image.SetOrigin(geometry.origin_mm_xyz)
    image.SetDirection(geometry.direction)
    return image


def oriented(image: sitk.Image, orientation: str = "RAS") -> sitk.Image:
    """Return the same voxels with the axes in the order of `orientation`, by flips and permutations only.

    Each letter names the direction in which the index increases. "RAS" is the order of nibabel's closest canonical
    orientation, and "LPS" that of an identity direction matrix.
    """
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, orientation)
