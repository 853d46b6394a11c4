"""Layout "totalsegmentator": the public dataset of TotalSegmentator, a folder per subject.

``sNNNN/ct.nii.gz``, ``sNNNN/segmentations/femur_left.nii.gz`` and ``femur_right.nii.gz``, ``meta.csv`` with the columns
``image_id`` and ``split`` (train, val, test), separated by semicolons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.conversion.cases import Case, Found, Layout, named, set_called
from nnunet_femur.dataset.user_tables import read_table
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Finding, as_left_out
from nnunet_femur.imaging.sides import BOTH
from nnunet_femur.imaging.sources import read_source
from nnunet_femur.kinds import finding, unexpected
from nnunet_femur.progress import track

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.progress import Progress

IMAGE_NAME = "ct.nii.gz"
"""Name of the CT of a subject."""

MASK_NAMES = ("femur_left.nii.gz", "femur_right.nii.gz")
"""Names of the femur masks of a subject, in its folder ``segmentations``."""

META_NAME = "meta.csv"
"""The table with the set of each subject."""


def subjects(source: Path) -> list[Path]:
    """Return the folders of a source that contain a CT named as in TotalSegmentator's dataset."""
    return [folder for folder in sorted(source.iterdir()) if (folder / IMAGE_NAME).is_file()]


def find_subjects(source: Path, options: ConversionOptions, progress: Progress) -> Found:
    """Return the subjects with two femurs that are not cut short; one case contains both femurs.

    Args:
        source: Folder of the dataset.
        options: Contains the smallest volume of a femur.
        progress: Receives the progress; every mask is read.

    Raises:
        InputError: No subjects were found, or none with two femurs (code "no-cases").
    """
    folders = subjects(source)
    if not folders:
        msg = f"{source}: no folder in it contains {IMAGE_NAME}. Give the folder of TotalSegmentator's dataset."
        raise InputError(msg, code="no-cases")
    sets = _sets(source)
    cases, findings = [], []
    for folder in track(folders, "Looking for femurs", progress=progress):
        masks = tuple((folder / "segmentations" / name).relative_to(source) for name in MASK_NAMES)
        try:
            reason = _unusable(source, masks, options)
        except Exception as error:  # noqa: BLE001  # an unexpected error of one subject must not stop the others
            reason = unexpected(error, masks[0].parent)
        if reason is not None:
            findings += as_left_out(folder.name, [reason])
            continue
        image = (folder / IMAGE_NAME).relative_to(source)
        case, changed = named(folder.name, image)
        findings += changed
        set_name = set_called(sets.get(folder.name.lower(), ""))
        if not set_name:
            problem = f"has no set in {META_NAME}; the split assigns one."
            findings.append(
                finding("no-set", image, problem, f"Write train, val or test into {META_NAME} to choose it.")
            )
        cases.append(Case(case, case, BOTH, image, masks, set_name))
    if not cases:
        listed = "\n".join(f"  {found}" for found in findings[:5])
        msg = f"{source}: none of {len(folders)} subjects has two femurs that are large enough:\n{listed}"
        raise InputError(msg, code="no-cases")
    return Found(source, "totalsegmentator", tuple(cases), tuple(findings), leaves_out=True)


def _unusable(source: Path, masks: tuple[Path, ...], options: ConversionOptions) -> Finding | None:
    """Return the reason why a subject is left out or cannot be read; None if the subject is a case."""
    missing = [mask.name for mask in masks if not (source / mask).is_file()]
    if missing:
        problem = f"has no {' and no '.join(missing)}; the subject was left out."
        return finding("femur-missing", masks[0].parent, problem)
    for mask in masks:
        volume_ml = _volume_ml(source, mask)
        if isinstance(volume_ml, Finding):
            return volume_ml
        if volume_ml == 0:
            return finding("femur-missing", mask, "is empty; the subject was left out.")
        if volume_ml < options.min_volume_ml:
            problem = f"has {volume_ml:.1f} ml, less than {options.min_volume_ml:g} ml; the subject was left out."
            return finding("femur-cut", mask, problem)
    return None


def _volume_ml(source: Path, mask: Path) -> float | Finding:
    """Return the volume of a femur in millilitres, or the finding that its mask cannot be read."""
    import SimpleITK as sitk

    read = read_source(source, mask, mask=True)
    if isinstance(read, Finding):
        return read
    header, image = read
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(image))) * header.geometry.voxel_volume_ml


def _sets(source: Path) -> dict[str, str]:
    """Return the set of each subject as written in the table, by the subject in lower case."""
    path = source / META_NAME
    if not path.is_file():
        return {}
    (_, head), *rows = read_table(path) or [(0, [])]
    columns = [name.lower() for name in head]
    if not {"image_id", "split"} <= set(columns):
        return {}
    subject, split = columns.index("image_id"), columns.index("split")
    return {row[subject].lower(): row[split] for _, row in rows if len(row) > max(subject, split)}


def _recognise(source: Path, _options: ConversionOptions) -> str | None:
    found = subjects(source) if source.is_dir() else []
    return f"{len(found)} folder(s) in it, such as {found[0].name}, contain {IMAGE_NAME}" if found else None


LAYOUT = Layout("totalsegmentator", find_subjects, _recognise)
"""TotalSegmentator's public dataset."""
