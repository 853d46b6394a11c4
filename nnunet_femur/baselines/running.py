"""TotalSegmentator on one volume, or on the validation and test cases of a dataset; a rerun does what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.baselines.baseline_record import RunRecord
from nnunet_femur.baselines.settings import Job, Outcome
from nnunet_femur.baselines.worker_process import run_jobs
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.errors import FemurError, InputError, SetupError
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.baselines.settings import Settings
    from nnunet_femur.weights.models import SourceModel


def run_recorded(
    jobs: Sequence[Job],
    settings: Settings,
    models: Sequence[SourceModel],
    record: RunRecord,
    *,
    progress: Progress,
) -> None:
    """Run the cases whose masks are not there yet.

    A case that fails is recorded with its problem, and the others go on.

    Args:
        jobs: All cases.
        settings: How TotalSegmentator is run.
        models: The models that it may use.
        record: Where it is noted. The log beside it stays only if a case failed.
        progress: Receives the progress.

    Raises:
        InputError: A case has no mask in the end; the others have theirs.
        SetupError: The record or the log cannot be written.
    """
    left = record.start(jobs)
    if not left:
        return
    by_case = {job.case: job for job in left}
    problems = []
    for outcome in track(
        _outcomes(left, settings, models, record.log), "TotalSegmentator", len(left), progress=progress
    ):
        try:
            record.add(by_case[outcome.case], outcome)
        except (FemurError, OSError) as error:
            problems.append(str(error))
        if outcome.problem:
            problems.append(outcome.problem)
    if problems:
        failed = sum(not record.has(job) for job in jobs)
        several = failed and len(jobs) > 1
        count = f"{failed} of {len(jobs)} cases have no mask; the others are done.\n" if several else ""
        raise InputError(count + "\n".join(dict.fromkeys(problems)))
    record.log.unlink(missing_ok=True)


def _outcomes(jobs: Sequence[Job], settings: Settings, models: Sequence[SourceModel], log: Path) -> Iterator[Outcome]:
    """Yield what became of each case; a mask is there exactly where an outcome has no problem."""
    free = []
    for job in jobs:
        try:
            # A mask of other settings must not pass for one of these if this run is interrupted.
            job.output.unlink(missing_ok=True)
            free.append(job)
        except OSError as error:
            problem = f"{job.output}: cannot be replaced ({error.strerror}). Check what it is, and its permissions."
            yield Outcome(job.case, problem=problem)
    if not free:
        return
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        msg = f"{log}: cannot be written ({error.strerror}). Check the folder and the space on the disk."
        raise SetupError(msg) from error
    outputs = {job.case: job.output for job in free}
    for outcome in run_jobs(free, settings, models, log=log):
        if outcome.problem is None and not outputs[outcome.case].is_file():
            problem = f"{outputs[outcome.case]}: is missing after TotalSegmentator reported it as written. Run again."
            yield replace(outcome, problem=problem, volume_ml=0.0)
        else:
            yield outcome


def run_on_volume(ct: Path, output: Path, settings: Settings, *, progress: Progress = SILENT) -> Path:
    """Segment the femur in one CT, on its own grid and in its own order.

    A second call with the same CT, settings and weights finds the mask done. What was run is noted beside the mask,
    in ``NAME.run.json``.

    Args:
        ct: A volume, or a folder of DICOM slices.
        output: The mask to write: 1 where a femur is, or 1 left and 2 right with ``settings.sides``.
        settings: How TotalSegmentator is run.
        progress: Receives the progress.

    Returns:
        The record's path.

    Raises:
        InputError: The CT cannot be read, the mask's name has no ending that is written, or no femur was found.
        SetupError: TotalSegmentator's weights are not there or not right.
    """
    if not ct.exists():
        msg = f"{ct}: there is no such file or folder. Check the path."
        raise InputError(msg)
    if volume_ending(output) not in WRITTEN_ENDINGS:
        msg = f"{output}: masks are written as one file. Name it {', '.join(WRITTEN_ENDINGS)}."
        raise InputError(msg)
    if output.exists() and ct.exists() and output.resolve() == ct.resolve():
        msg = f"{output}: is the CT itself. Give another name for the mask."
        raise InputError(msg)
    models = settings.models()
    path = record_of(output)
    record = RunRecord(path, settings.record(models), device=settings.device)
    run_recorded([Job(output.name, ct, output)], settings, models, record, progress=progress)
    return path


def record_of(mask: Path) -> Path:
    """Return the record beside a mask: ``NAME.run.json``.

    Args:
        mask: The mask, with an ending of a volume.
    """
    return mask.with_name(f"{mask.name[: -len(volume_ending(mask) or '')]}.run.json")


METHOD_FOLDERS = {False: "TotalSegmentator__total__1.5mm", True: "TotalSegmentator__total__3mm"}
"""Folder of the method below the dataset's results, by whether the 3 mm model is used."""

_PARTS = (("imagesTr", "validation"), ("imagesTs", "test"))
"""Folders of CTs, and those of their masks: TotalSegmentator was trained on none of these cases."""


def run_on_dataset(dataset_id: int, settings: Settings, *, progress: Progress = SILENT) -> Path:
    """Segment all cases of a raw dataset: those that are trained and validated on, and those for testing.

    A second call does what is missing. What was run is noted in ``run.json`` of the returned folder.

    Args:
        dataset_id: nnU-Net's dataset number.
        settings: How TotalSegmentator is run.
        progress: Receives the progress.

    Returns:
        The method's folder in ``nnUNet_results``, with ``validation`` and ``test``.

    Raises:
        InputError: There is no such dataset, it has no CT, or cases are left without a mask.
        SetupError: nnU-Net's folders are not set, or TotalSegmentator's weights are not there or not right.
    """
    if settings.sides:
        msg = "A dataset's masks are femur or not, so that they can be compared: --sides goes with one volume (-i)."
        raise InputError(msg)
    raw = RawDataset.find(dataset_id).folder
    folder = require("nnUNet_results") / raw.name / METHOD_FOLDERS[settings.fast]
    jobs = list(_jobs(raw, folder))
    if not jobs:
        msg = f"{raw}: holds no CT in {' or '.join(part for part, _ in _PARTS)}. Run nnfemur convert again."
        raise InputError(msg)
    models = settings.models()
    record = RunRecord(folder / "run.json", settings.record(models), device=settings.device)
    run_recorded(jobs, settings, models, record, progress=progress)
    return folder


def _jobs(raw: Path, folder: Path) -> Iterator[Job]:
    description = read_json(raw / "dataset.json")
    if not isinstance(description, dict) or "file_ending" not in description:
        msg = f"{raw / 'dataset.json'}: missing or unreadable. Run nnfemur convert again."
        raise InputError(msg)
    ending = description["file_ending"]
    seen = set()
    for images, part in _PARTS:
        for ct in sorted((raw / images).glob(f"[!.]*_0000{ending}")):
            case = ct.name.removesuffix(f"_0000{ending}")
            # A record has one entry for each name.
            yield Job(f"{part}/{case}" if case in seen else case, ct, folder / part / f"{case}{ending}")
            seen.add(case)
