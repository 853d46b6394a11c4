"""Files of a mask: volumes, 3D Slicer's segmentations, DICOM files that refer to the CT, and surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.imaging.dicom_files import DICOM_ENDINGS, dicom_format
from nnunet_femur.imaging.dicom_output import write_dicom
from nnunet_femur.imaging.dicom_references import dicom_ct, is_dicom_ct, not_dicom
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.surface_mesh import bone_surface, write_stl
from nnunet_femur.imaging.writing import FEMUR_SEGMENTS, segment_fields, write_volume
from nnunet_femur.measurement.surfaces.model_surfaces import model_surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import SimpleITK as sitk

    from nnunet_femur.imaging.dicom_references import Algorithm
    from nnunet_femur.imaging.surface_mesh import Surface


def file_ending(form: str) -> str:
    """Return the ending of the files of a format.

    Args:
        form: One of :data:`~nnunet_femur.prediction.FORMATS`.

    Example:
        >>> file_ending("nii.gz"), file_ending("dicom-seg")
        ('.nii.gz', '.seg.dcm')
    """
    return DICOM_ENDINGS.get(form, f".{form}")


def require_dicom_cts(paths: Iterable[Path], formats: Sequence[str]) -> None:
    """Refuse DICOM formats for CTs that are not DICOM, before anything is computed.

    Args:
        paths: The CTs.
        formats: The formats to write.

    Raises:
        VolumeError: A CT is neither a folder nor a DICOM file (code "unsupported").
    """
    if any(form in DICOM_ENDINGS for form in formats):
        for path in paths:
            if not is_dicom_ct(path):
                raise not_dicom(path)


def require_references(path: Path, formats: Sequence[str]) -> None:
    """Refuse DICOM formats for a CT that DICOM files cannot refer to, see :func:`~.dicom_references.dicom_ct`.

    Args:
        path: The CT.
        formats: The formats to write.

    Raises:
        VolumeError: DICOM files cannot refer to the CT.
    """
    if any(form in DICOM_ENDINGS for form in formats):
        dicom_ct(path)


def write_masks(
    paths: Sequence[Path],
    mask: sitk.Image,
    labels: sitk.Image,
    *,
    sides: bool,
    source: Path,
    algorithm: Algorithm | None = None,
) -> None:
    """Write a mask to files, whose endings choose their kinds.

    Args:
        paths: The files.
        mask: The mask: 1 in the femur.
        labels: The mask with sides: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side.
        sides: Distinguish the sides in volumes and segmentations; DICOM files always do.
        source: The CT, to which DICOM files refer.
        algorithm: The algorithm that made the mask, as DICOM files name it. Default: this package.

    Raises:
        VolumeError: A DICOM file is to be written, but it cannot refer to the CT.
        SetupError: A file cannot be written ("cannot-write").
    """
    series = dicom_ct(source) if any(map(dicom_format, paths)) else None
    for path in paths:
        if series is not None and dicom_format(path):
            write_dicom(labels, path, series, algorithm=algorithm)
        else:
            _write_volume(labels if sides else mask, path, sides=sides)


def _write_volume(image: sitk.Image, path: Path, *, sides: bool) -> None:
    import SimpleITK as sitk

    if path.name.lower().endswith(".seg.nrrd"):
        image = sitk.Image(image)
        segments = FEMUR_SEGMENTS if sides else None
        for key, value in segment_fields(sitk.GetArrayViewFromImage(image), segments).items():
            image.SetMetaData(key, value)
    write_volume(image, path)


def mask_surface(mask: sitk.Image, edge_mm: float | None = None) -> Surface:
    """Return the surface of a mask, see :meth:`~nnunet_femur.prediction.Femur.surface`."""
    import SimpleITK as sitk

    voxels, geometry = sitk.GetArrayViewFromImage(mask), Geometry.of(mask)
    if edge_mm is None:
        return bone_surface(voxels, geometry)
    return model_surface(voxels, geometry, edge_mm=edge_mm).surface


def write_mask_surface(mask: sitk.Image, path: Path, edge_mm: float | None) -> bool:
    """Write the surface and return True; for an empty mask, remove an earlier file and return False."""
    import SimpleITK as sitk

    if not sitk.GetArrayViewFromImage(mask).any():
        path.unlink(missing_ok=True)
        return False
    write_stl(mask_surface(mask, edge_mm), path)
    return True
