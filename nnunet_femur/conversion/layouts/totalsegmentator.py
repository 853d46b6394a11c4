"""The layout "totalsegmentator": the public dataset of TotalSegmentator, a folder per subject.

``sNNNN/ct.nii.gz``, ``sNNNN/segmentations/femur_left.nii.gz`` and ``femur_right.nii.gz``, ``meta.csv`` with the columns
``image_id`` and ``split`` (train, val, test), separated by semicolons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.conversion.cases import Case, Found, named
from nnunet_femur.conversion.layouts.table import read_table
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Finding, as_left_out
from nnunet_femur.imaging.sources import read_source
from nnunet_femur.kinds import finding, unexpected
from nnunet_femur.progress import track

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.conversion.options import IntakeOptions
    from nnunet_femur.progress import Progress

IMAGE_NAME = "ct.nii.gz"
"""Name of a subject's CT."""

MASK_NAMES = ("femur_left.nii.gz", "femur_right.nii.gz")
"""Names of a subject's femurs, in its folder ``segmentations``."""

META_NAME = "meta.csv"
"""The table with the set of each subject."""

_SETS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def subjects(source: Path) -> list[Path]:
    """The folders of a source that hold a CT as TotalSegmentator's dataset names it."""
    return [folder for folder in sorted(source.iterdir()) if (folder / IMAGE_NAME).is_file()]


def find_subjects(source: Path, options: IntakeOptions, progress: Progress) -> Found:
    """The subjects with two femurs that are in view for the most part; one case holds both.

    Args:
        source: The dataset's folder.
        options: Says how small a femur may be.
        progress: Receives the progress; every mask is read.

    Raises:
        InputError: There is no subject, or none with femurs.
    """
    folders = subjects(source)
    if not folders:
        msg = f"{source}: no folder in it holds {IMAGE_NAME}. Give the folder of TotalSegmentator's dataset."
        raise InputError(msg)
    sets = _sets(source)
    cases, findings = [], []
    for folder in track(folders, "Looking for femurs", progress=progress):
        masks = tuple((folder / "segmentations" / name).relative_to(source) for name in MASK_NAMES)
        try:
            reason = _unusable(source, masks, options)
        except Exception as error:  # noqa: BLE001  # whatever one subject raises, the others are looked at
            reason = unexpected(error, masks[0].parent)
        if reason is not None:
            findings += as_left_out(folder.name, [reason])
            continue
        image = (folder / IMAGE_NAME).relative_to(source)
        case, changed = named(folder.name, image)
        findings += changed
        set_name = _SETS.get(sets.get(folder.name.lower(), "").lower(), "")
        if not set_name:
            problem = f"has no set in {META_NAME}; it is dealt to one."
            findings.append(finding("no-set", image, problem, "Add train, val or test there to say it."))
        cases.append(Case(case, case, "both", image, masks, set_name))
    if not cases:
        listed = "\n".join(f"  {found}" for found in findings[:5])
        msg = f"{source}: none of {len(folders)} subjects has two femurs that are in view:\n{listed}"
        raise InputError(msg)
    return Found(source, "totalsegmentator", tuple(cases), tuple(findings))


def _unusable(source: Path, masks: tuple[Path, ...], options: IntakeOptions) -> Finding | None:
    """Why a subject is left out, or cannot be read; None if it is a case."""
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
    """Volume of a femur in millilitres."""
    import SimpleITK as sitk

    read = read_source(source, mask, mask=True)
    if isinstance(read, Finding):
        return read
    header, image = read
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(image))) * header.geometry.voxel_volume_ml


def _sets(source: Path) -> dict[str, str]:
    """The set of each subject as its table says it, by the subject in lower case."""
    path = source / META_NAME
    if not path.is_file():
        return {}
    (_, head), *rows = read_table(path) or [(0, [])]
    columns = [name.lower() for name in head]
    if not {"image_id", "split"} <= set(columns):
        return {}
    subject, split = columns.index("image_id"), columns.index("split")
    return {row[subject].lower(): row[split] for _, row in rows if len(row) > max(subject, split)}
