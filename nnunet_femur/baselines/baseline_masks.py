"""Files that one run of the baseline writes: their names by format, and the mask with sides that is in one of them."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom_files import DICOM_ENDINGS, dicom_format
from nnunet_femur.imaging.dicom_references import Algorithm, dicom_ct
from nnunet_femur.imaging.geometry import image_of, volume_ending
from nnunet_femur.imaging.reading import read_mask
from nnunet_femur.imaging.segments import side_of
from nnunet_femur.imaging.sides import LEFT, RIGHT
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS
from nnunet_femur.prediction.mask_files import file_ending
from nnunet_femur.prediction.prediction_options import require_formats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import SimpleITK as sitk

ENDINGS = (*WRITTEN_ENDINGS, *DICOM_ENDINGS.values())
"""Endings of the masks that the baseline writes."""


def mask_paths(output: Path, formats: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the files to write: the given one if it has an ending of :data:`ENDINGS`, and one for each format.

    Args:
        output: The mask, or its name without an ending if formats are given.
        formats: Formats, of :data:`~nnunet_femur.prediction.FORMATS`; their files have the same name.

    Raises:
        InputError: There is neither an ending nor a format (code "invalid-name"), or a format is not one of these
            ("invalid-option").

    Example:
        >>> from pathlib import Path
        >>> [path.name for path in mask_paths(Path("femur.nrrd"), ("dicom-seg",))]
        ['femur.nrrd', 'femur.seg.dcm']
        >>> [path.name for path in mask_paths(Path("femur"), ("rtstruct",))]
        ['femur.rtstruct.dcm']
    """
    if formats:
        require_formats(tuple(formats))
    ending = mask_ending(output)
    if not ending and not formats:
        msg = f"{output}: the name must end with one of {', '.join(ENDINGS)}. Choose another name."
        raise InputError(msg, code="invalid-name")
    named = [output.with_name(f"{without_ending(output)}{file_ending(form)}") for form in formats]
    return tuple(dict.fromkeys([*([output] if ending else []), *named]))


def mask_ending(path: Path) -> str:
    """Return the ending of a mask, one of :data:`ENDINGS`; empty for other files."""
    form = dicom_format(path)
    if form is not None:
        return DICOM_ENDINGS[form]
    ending = volume_ending(path)
    return ending if ending in WRITTEN_ENDINGS else ""


def without_ending(path: Path) -> str:
    """Return the name of a mask without its ending, and without ``.seg`` of a segmentation."""
    name = path.name[: len(path.name) - len(mask_ending(path))]
    return name[: -len(".seg")] if name.lower().endswith(".seg") and mask_ending(path) else name


def algorithm(*, fast: bool) -> Algorithm:
    """Return TotalSegmentator, as DICOM files name it."""
    return Algorithm("TotalSegmentator", version("TotalSegmentator"), {"task": "total", "fast": str(fast).lower()})


def read_labels(path: Path, ct: Path) -> sitk.Image:
    """Return a mask that the baseline wrote, on the grid of its CT, with the values of the file.

    Args:
        path: The mask. DICOM files distinguish the sides: 1 is the left femur and 2 the right one.
        ct: The CT.
    """
    import SimpleITK as sitk

    if dicom_format(path) is None:
        return sitk.ReadImage(str(path), sitk.sitkUInt8)
    volume, grid = read_mask(path), dicom_ct(ct).geometry
    stored = sitk.GetArrayViewFromImage(volume.image)
    stored = stored if stored.ndim == 4 else stored[..., np.newaxis]
    labels = np.zeros(grid.shape_zyx, np.uint8)
    # A DICOM SEG contains no slices without a femur.
    origin_mm = np.array([volume.header.geometry.origin_mm_xyz])
    first = round(float(grid.index_of(origin_mm)[0, 2]))
    part = labels[first : first + stored.shape[0]]
    for segment in volume.header.segments:
        part[stored[..., segment.layer] == segment.value] = {LEFT: 1, RIGHT: 2}.get(side_of(segment), 3)
    return image_of(labels, grid)
