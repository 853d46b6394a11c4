"""Masks of a review as references: those that were accepted or corrected are added to a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.updating import GivenCase, recover_dataset, update_dataset
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.errors import InputError
from nnunet_femur.prediction.results import RECORD
from nnunet_femur.prediction.review_record import CORRECT, RECORD_FILE, STATUSES, USABLE, Mark, read_marks
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    import os

    from nnunet_femur.conversion import ConversionResult


def add_corrected(
    folder: str | os.PathLike[str],
    *,
    dataset_id: int,
    raw: str | os.PathLike[str] | None = None,
    patients: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> ConversionResult:
    """Add the accepted and the corrected masks of a review to a converted dataset, each with its CT.

    A case with the id of a training or validation case replaces its mask. A new patient goes to the training set and
    into a fold. Cases of test patients are left out, and no case of the dataset changes its set or fold.
    ``conversion.json`` records the cases with their status and the model.

    Args:
        folder: The folder of the masks, with ``review.json``.
        dataset_id: Number of the dataset.
        raw: nnU-Net's folder of raw datasets. Default: the environment variable ``nnUNet_raw``.
        patients: Table with the columns case and patient. Default: the case id determines the patient.
        jobs: Number of processes that convert cases.
        dry_run: Read and check everything, and write nothing.
        progress: Receives the progress.

    Returns:
        The dataset as it is now. Its findings are those of the added cases, and the reasons for those left out.

    Raises:
        InputError: The folder was not reviewed (code "not-found"), no mask was accepted or corrected ("no-cases"), the
            dataset does not exist, was not written by this package ("no-dataset"), or was changed by hand
            ("edited-by-hand").
        SetupError: The dataset cannot be written.

    Example:
        >>> import nnunet_femur as nf
        >>> try:
        ...     nf.add_corrected("source", dataset_id=7, raw="nnUNet_raw")
        ... except nf.InputError as error:
        ...     error.code
        'not-found'
    """
    folder = Path(folder)
    if not (folder / RECORD_FILE).is_file():
        msg = f"{folder / RECORD_FILE}: not found. Review the masks first: nnfemur review {folder} --serve"
        raise InputError(msg, code="not-found")
    if jobs < 1:
        msg = f"jobs must be 1 or more, got {jobs}."
        raise InputError(msg, code="invalid-option")
    marks = read_marks(folder / RECORD_FILE)
    statuses = {case: mark.status_in(folder) for case, mark in marks.items()}
    usable = [mark for mark in marks.values() if statuses[mark.case] in USABLE]
    if not usable:
        raise InputError(_none_usable(folder, statuses), code="no-cases")
    for mark in usable:
        _require_ct(folder, mark)
    base = require("nnUNet_raw", create=False) if raw is None else Path(raw)
    if not dry_run:
        recover_dataset(base, dataset_id)
    dataset = RawDataset.find(dataset_id, raw=base)
    return update_dataset(
        dataset.folder,
        folder,
        [GivenCase(mark.case, Path(mark.ct), Path(mark.mask), statuses[mark.case]) for mark in usable],
        about=_model(folder),
        patients=None if patients is None else Path(patients),
        jobs=jobs,
        dry_run=dry_run,
        progress=progress,
    )


def waiting_cases(folder: Path) -> dict[str, str]:
    """Return the cases of a review that are not used yet, with the reason, an entry of :data:`STATUSES`.

    Rejected cases are not among them.

    Args:
        folder: The folder of the masks.

    Example:
        >>> waiting_cases(Path("source"))
        {}
    """
    statuses = {case: mark.status_in(folder) for case, mark in read_marks(folder / RECORD_FILE).items()}
    done = (*USABLE, "rejected")
    return {case: STATUSES[status] for case, status in statuses.items() if status not in done}


def _none_usable(folder: Path, statuses: dict[str, str]) -> str:
    counts = ", ".join(f"{list(statuses.values()).count(status)} {status}" for status in sorted(set(statuses.values())))
    fix = f"Correct the masks that are marked {CORRECT}, or accept masks: nnfemur review {folder} --serve"
    return f"{folder / RECORD_FILE}: contains no accepted or corrected mask, got {counts}. {fix}"


def _require_ct(folder: Path, mark: Mark) -> None:
    """Refuse a case whose CT cannot be found.

    Raises:
        InputError: The record names no CT, or one that does not exist (code "not-found").
    """
    if not mark.ct or not (folder / mark.ct).exists():
        msg = f"{mark.case}: its CT was not found ({mark.ct or 'none'}). Run nnfemur review {folder} --ct FOLDER again."
        raise InputError(msg, code="not-found")


def _model(folder: Path) -> dict[str, Any]:
    """Return the model of the predictions as its name, folds and checksum; empty if they have no record."""
    model = (read_json(folder / RECORD) or {}).get("model")
    return {"model": model} if isinstance(model, dict) else {}
