"""A CT in the axis order that TotalSegmentator needs, as NIfTI, and masks back on the CT's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.atomic_files import require_utf8_name
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry, image_of
from nnunet_femur.imaging.reading import read_ct
from nnunet_femur.imaging.writing import write_volume

if TYPE_CHECKING:
    from pathlib import Path

    import nibabel
    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding


@dataclass(frozen=True)
class OrientedCt:
    """A CT whose axes lead to the right, to anterior and to superior (RAS).

    Attributes:
        hu: HU (z, y, x).
        stored: Geometry of the file.
        geometry: Geometry of `hu`.
        findings: Assumptions and omissions of the reader.
    """

    hu: NDArray
    stored: Geometry
    geometry: Geometry
    findings: tuple[Finding, ...] = ()

    @classmethod
    def read(cls, path: Path, *, any_values: bool = False) -> OrientedCt:
        """Read a volume or a folder of DICOM slices.

        Args:
            path: The file or folder.
            any_values: Read other modalities than CT, too.

        Raises:
            VolumeError: The volume cannot be read or is not a CT.
        """
        import SimpleITK as sitk

        volume = read_ct(path, any_values=any_values)
        stored = volume.header.geometry
        order = AxisOrder.between(stored, RAS)
        voxels = order.of_array(sitk.GetArrayFromImage(volume.image))
        return cls(voxels, stored, order.of_geometry(stored), volume.header.findings)

    def as_nifti(self) -> nibabel.Nifti1Image:
        """Return the voxels as TotalSegmentator needs them.

        It uses only their spacing and order, so the affine is diagonal: an oblique one would be rounded.
        """
        import nibabel

        voxels = np.ascontiguousarray(self.hu.transpose(2, 1, 0))
        if voxels.dtype not in (np.int16, np.float32):
            voxels = voxels.astype(np.float32)
        return nibabel.Nifti1Image(voxels, np.diag([*self.geometry.spacing_mm_xyz, 1.0]))

    def write_mask(self, mask: NDArray, path: Path) -> None:
        """Write a mask on the CT's own grid and in its own order.

        Args:
            mask: Labels (z, y, x) in the order of `hu`.
            path: The file.

        Raises:
            InputError: Files with the ending of `path` are not written.
            SetupError: The file cannot be written.
        """
        require_utf8_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(self.on_own_grid(mask), path)

    def on_own_grid(self, mask: NDArray) -> sitk.Image:
        """Return a mask on the CT's own grid and in its own order.

        Args:
            mask: Labels (z, y, x) in the order of `hu`.
        """
        back = AxisOrder.between(self.geometry, self.stored)
        return image_of(np.ascontiguousarray(back.of_array(mask)), self.stored)


_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(geometry: Geometry) -> NDArray[np.float64]:
    """Return the NIfTI affine (RAS mm) of a grid: from voxel indices x, y, z to positions.

    Args:
        geometry: The grid.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(geometry.direction, (3, 3)) * geometry.spacing_mm_xyz
    affine[:3, 3] = geometry.origin_mm_xyz
    return _LPS_TO_RAS @ affine


def geometry_of(affine: NDArray, size_xyz: tuple[int, ...]) -> Geometry:
    """Return the grid of a NIfTI affine (RAS mm); the inverse of :func:`affine_of`.

    Args:
        affine: The affine (4, 4).
        size_xyz: Number of voxels along x, y, z.
    """
    lps = _LPS_TO_RAS @ np.asarray(affine, np.float64)
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0)
    return Geometry(
        tuple(int(size) for size in size_xyz),
        tuple(float(spacing) for spacing in spacing_mm),
        tuple(float(origin) for origin in lps[:3, 3]),
        tuple(float(cosine) for cosine in (lps[:3, :3] / spacing_mm).ravel()),
    )


def write_stored(ct: OrientedCt, path: Path) -> Geometry:
    """Write a CT as NIfTI, in the order in which its own file stores the voxels.

    Args:
        ct: The CT.
        path: The NIfTI file.

    Returns:
        The CT's own grid.
    """
    import nibabel

    stored = AxisOrder.between(ct.geometry, ct.stored).of_array(ct.hu)
    affine = affine_of(ct.stored)
    voxels = stored.transpose(2, 1, 0)
    if voxels.dtype not in (np.int16, np.float32):
        voxels = voxels.astype(np.float32)
    nifti = nibabel.Nifti1Image(voxels, affine)
    # Both forms, since programs differ in which of them they read.
    nifti.set_sform(affine, code="scanner")
    nifti.set_qform(affine, code="scanner")
    nifti.header.set_xyzt_units(xyz="mm")
    nibabel.save(nifti, path)
    return ct.stored


def write_back(nifti: Path, stored: Geometry, path: Path) -> None:
    """Write the labels of a NIfTI file as another kind of volume.

    The grid is the CT's own, without the rounding of NIfTI's affine. Labels on another grid, such as those of
    ``--save_lowres``, keep it.

    Args:
        nifti: Labels made from a CT that :func:`write_stored` has written.
        stored: The CT's own grid.
        path: The volume to write.

    Raises:
        SetupError: The volume cannot be written.
    """
    import nibabel

    image = nibabel.load(nifti)
    labels = np.asanyarray(image.dataobj)
    grid = geometry_of(image.affine, labels.shape)
    if not stored.differences(grid):
        grid = stored
    write_volume(image_of(np.ascontiguousarray(labels.transpose(2, 1, 0)), grid), path)
