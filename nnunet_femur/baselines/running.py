"""TotalSegmentator on one CT, or on the validation and test cases of a dataset; a rerun does only what is missing."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.arguments import require_type, several
from nnunet_femur.atomic_files import cannot_write
from nnunet_femur.baselines.baseline_masks import algorithm, mask_ending, mask_paths, read_labels
from nnunet_femur.baselines.baseline_record import RUN_JSON, RunRecord, recorded_warnings
from nnunet_femur.baselines.settings import Job, Outcome, Settings, device_name
from nnunet_femur.baselines.worker_process import run_jobs
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.raw import IMAGES, RawDataset
from nnunet_femur.errors import FemurError, InputError
from nnunet_femur.imaging.dicom_files import dicom_format
from nnunet_femur.imaging.sources import case_name
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.prediction import Femur
from nnunet_femur.prediction.mask_files import require_dicom_cts
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.shards import Shard, shard_files, with_shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import SimpleITK as sitk

    from nnunet_femur.dataset.raw import Part
    from nnunet_femur.weights.models import SourceModel


METHOD_FOLDERS = {False: "TotalSegmentator__total__1.5mm", True: "TotalSegmentator__total__3mm"}
"""Name of the method's folder in the dataset's results, by :attr:`Settings.fast`."""

_RESULTS: dict[Part, str] = {"training": "validation", "test": "test"}
"""Folder of the masks of each part of a dataset. TotalSegmentator was not trained on any of its cases."""


def baseline(
    ct: str | Path | sitk.Image,
    output: str | Path | None = None,
    *,
    fast: bool = False,
    sides: bool = False,
    robust_crop: bool = False,
    device: str = "auto",
    any_values: bool = False,
    formats: str | Sequence[str] = (),
    progress: Progress = SILENT,
) -> Femur:
    """Segment the femur in one CT by TotalSegmentator.

    TotalSegmentator runs in a separate process, which takes some seconds to start. Its weights must be installed
    (``nnfemur weights download``).

    Args:
        ct: A volume of any kind that is read here, a folder with the slices of one DICOM series, or an image in HU.
        output: The mask to write, beside which ``NAME.run.json`` records the run; a second call with the same CT,
            settings and weights finds it done. Its ending chooses the kind; ``.seg.dcm`` and ``.rtstruct.dcm`` need a
            DICOM series. Default: no file is written.
        fast: Use the 3 mm model instead of the 1.5 mm model.
        sides: Write the left femur as 1 and the right one as 2, instead of 1 for either.
        robust_crop: Locate the femur with the 3 mm model instead of the 6 mm model; slower.
        device: "auto", "cpu", "cuda", "cuda:1", "mps", or TotalSegmentator's "gpu", "gpu:1".
        any_values: Segment volumes whose values are not HU, with a warning, instead of refusing them.
        formats: Formats of further files with the name of `output`, of :data:`~nnunet_femur.prediction.FORMATS`.
        progress: Receives the progress.

    Returns:
        The femur, on the CT's own grid. Its ``mask`` contains both femurs if the CT shows both; ``left`` and ``right``
        contain one each. They are TotalSegmentator's, or by the shape of each femur if an `output` was written without
        `sides`, since its mask does not distinguish them.

    Raises:
        InputError: The CT cannot be read or used (the code is that of the finding), the name of the output is invalid,
            or no femur was found (code "no-femur").
        SetupError: TotalSegmentator's weights are missing or invalid.

    Example:
        TotalSegmentator's weights are needed, so this example is not run by the tests:

        >>> femur = baseline("ct.nrrd")  # doctest: +SKIP
        >>> femur.left.GetSize()  # doctest: +SKIP
        (512, 512, 300)
        >>> baseline("ct.nrrd", "femur.nrrd", sides=True).volume_ml  # doctest: +SKIP
        412.3
    """
    told = sides or output is None
    if output is None and several(formats):
        msg = "formats need an output, which names their files. Pass output, or call save of the result."
        raise InputError(msg, code="invalid-option")
    settings = Settings(
        fast=fast, sides=told, robust_crop=robust_crop, device=device_name(device), any_values=any_values
    )
    with _as_file(ct) as file, _temporary_folder() as scratch:
        masks = mask_paths(scratch / "femur.nrrd" if output is None else Path(output), several(formats))
        record = run_on_volume(file, masks[0], settings, also=masks[1:], progress=progress)
        case = case_name(Path(ct)) if isinstance(ct, str | Path) else "image"
        told = told or dicom_format(masks[0]) is not None
        femur = _femur(read_labels(masks[0], file), case, told=told, sides=sides, warnings=recorded_warnings(record))
        source = file if isinstance(ct, str | Path) else None
        return replace(femur, source=source, algorithm=algorithm(fast=fast))


def run_on_volume(
    ct: Path, output: Path, settings: Settings, *, also: Sequence[Path] = (), progress: Progress = SILENT
) -> Path:
    """Segment the femur in one CT, on its own grid and in its own order of axes.

    A second call with the same CT, settings and weights finds the mask done. The run is recorded beside the mask, in
    ``NAME.run.json``.

    Args:
        ct: A volume, or a folder of DICOM slices.
        output: The mask to write: 1 in a femur, or 1 in the left and 2 in the right one with ``settings.sides``.
        settings: Settings of TotalSegmentator.
        also: Further files of the same mask. DICOM files always distinguish the sides.
        progress: Receives the progress.

    Returns:
        The path of the record.

    Raises:
        InputError: The CT cannot be read or used, the name of a mask has no ending that is written, no femur was
            found, or a DICOM file is to be written but the CT is not a DICOM series (code "unsupported").
        SetupError: TotalSegmentator's weights are missing or invalid.
    """
    if not ct.exists():
        msg = f"{ct}: not found. Check the path."
        raise InputError(msg, code="not-found")
    for mask in (output, *also):
        mask_paths(mask)
        if mask.exists() and mask.resolve() == ct.resolve():
            msg = f"{mask}: is the CT itself. Give another name for the mask."
            raise InputError(msg, code="exists")
        require_dicom_cts([ct], [form] if (form := dicom_format(mask)) else [])
    models = settings.models()
    path = record_of(output)
    record = RunRecord(path, settings.record(models), device=settings.device)
    run_recorded([Job(output.name, ct, output, tuple(also))], settings, models, record, progress=progress)
    return path


def record_of(mask: Path) -> Path:
    """Return the path of the record beside a mask: ``NAME.run.json``.

    Args:
        mask: The mask.
    """
    return mask.with_name(f"{mask.name[: len(mask.name) - len(mask_ending(mask))]}.run.json")


def run_on_dataset(
    dataset_id: int, settings: Settings, *, shard: str | Shard | None = None, progress: Progress = SILENT
) -> Path:
    """Segment all cases of a raw dataset: those for training and validation, and those for testing.

    A second call does only what is missing. The run is recorded in ``run.json`` of the returned folder.

    Args:
        dataset_id: nnU-Net's dataset number.
        settings: Settings of TotalSegmentator.
        shard: Segment one of several parts of the cases, such as ``"3/16"``, so that several machines share the work; a
            run without it segments what is missing, and writes the record of all.
        progress: Receives the progress.

    Returns:
        The method's folder in ``nnUNet_results``, with ``validation`` and ``test``.

    Raises:
        InputError: The dataset does not exist or contains no CT, or some cases have no mask in the end; the masks
            of the others are written.
        SetupError: nnU-Net's folders are not set, or TotalSegmentator's weights are missing or invalid.
    """
    if settings.sides:
        msg = "--sides: only for one volume (-i). Masks of a dataset are compared, so either femur is 1 in them."
        raise InputError(msg, code="invalid-option")
    dataset = RawDataset.find(dataset_id)
    folder = require("nnUNet_results") / dataset.name / METHOD_FOLDERS[settings.fast]
    jobs = list(_jobs(dataset, folder))
    if not jobs:
        msg = f"{dataset.folder}: contains no CT in {' or '.join(IMAGES.values())}. Run nnfemur convert again."
        raise InputError(msg, code="no-cases")
    part = Shard.parse(shard)
    models = settings.models()
    path = folder / RUN_JSON if part is None else part.file(folder, RUN_JSON)
    others = with_shards(folder, RUN_JSON) if part is not None or shard_files(folder, RUN_JSON) else ()
    record = RunRecord(path, settings.record(models), device=settings.device, others=others)
    mine = [job for job in jobs if part is None or part.takes(job.case.rpartition("/")[2])]
    run_recorded(mine, settings, models, record, progress=progress)
    return folder


def run_recorded(
    jobs: Sequence[Job],
    settings: Settings,
    models: Sequence[SourceModel],
    record: RunRecord,
    *,
    progress: Progress = SILENT,
) -> None:
    """Run the cases that have no current mask.

    A case that fails is recorded with its problem, and the others go on.

    Args:
        jobs: All cases.
        settings: Settings of TotalSegmentator.
        models: The models that it may use.
        record: The record. The log beside it stays only if a case failed.
        progress: Receives the progress: a task "TotalSegmentator", and one for the case that is being segmented.

    Raises:
        InputError: A case has no mask in the end; the masks of the others are written. The code is that of the
            problem, or "bad-cases" if the problems differ.
        SetupError: The record or the log cannot be written (code "cannot-write").
    """
    left = record.start(jobs)
    if not left:
        return
    by_case = {job.case: job for job in left}
    problems: dict[str, str] = {}
    outcomes = _outcomes(left, settings, models, record.log, progress)
    for outcome in track(outcomes, "TotalSegmentator", len(left), progress=progress):
        try:
            record.add(by_case[outcome.case], outcome)
        except (FemurError, OSError) as error:
            problems[str(error)] = getattr(error, "code", "cannot-write")
        if outcome.problem:
            problems[outcome.problem] = outcome.code
    if problems:
        failed = sum(not record.is_current(job) for job in jobs)
        several = failed and len(jobs) > 1
        count = f"{failed} of {len(jobs)} cases have no mask; the others are done.\n" if several else ""
        codes = set(problems.values())
        raise InputError(count + "\n".join(problems), code=codes.pop() if len(codes) == 1 else "bad-cases")
    record.log.unlink(missing_ok=True)


@contextmanager
def _as_file(ct: str | Path | sitk.Image) -> Iterator[Path]:
    """Yield the path of a CT; an image is written to a file, which is removed afterwards."""
    import SimpleITK as sitk

    if isinstance(ct, str | Path):
        yield Path(ct)
        return
    require_type("ct", ct, sitk.Image, "a path or a SimpleITK image")
    with tempfile.TemporaryDirectory(prefix="nnfemur_baseline_") as folder:
        path = Path(folder) / "image.nrrd"
        write_volume(ct, path, compress=False)
        yield path


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a temporary folder, which is removed unless an error refers to the log in it."""
    folder = Path(tempfile.mkdtemp(prefix="nnfemur_baseline_"))
    keep = False
    try:
        yield folder
    except FemurError as error:
        keep = ".log" in str(error) and str(folder) in str(error)
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _femur(labels: sitk.Image, case: str, *, told: bool, sides: bool, warnings: Sequence[str]) -> Femur:
    left, right = (labels == 1, labels == 2) if told else (None, None)
    return Femur.from_mask(labels > 0, case=case, left=left, right=right, warnings=warnings, sides=sides)


def _jobs(dataset: RawDataset, folder: Path) -> Iterator[Job]:
    seen = set()
    for part, results in _RESULTS.items():
        for case, ct in dataset.images(part).items():
            # A record has one entry for each name.
            name = f"{results}/{case}" if case in seen else case
            yield Job(name, ct, folder / results / f"{case}{dataset.file_ending}")
            seen.add(case)


def _outcomes(
    jobs: Sequence[Job], settings: Settings, models: Sequence[SourceModel], log: Path, progress: Progress
) -> Iterator[Outcome]:
    """Yield the outcome of each case; its files exist exactly where an outcome has no problem."""
    free = {}
    for job in jobs:
        try:
            # A mask of other settings must not pass for one of these if this run is interrupted.
            _remove_outputs(job)
            free[job.case] = job
        except OSError as error:
            file = error.filename or job.output
            problem = f"{file}: cannot be replaced ({error.strerror}). Check what it is, and its permissions."
            yield Outcome(job.case, problem=problem, code="cannot-write")
    if not free:
        return
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise cannot_write(log, error) from error
    for outcome in run_jobs(list(free.values()), settings, models, log=log, progress=progress):
        job, checked = free[outcome.case], outcome
        missing = [path for path in job.outputs if not path.is_file()]
        if outcome.problem is None and missing:
            problem = f"{missing[0]}: is missing after TotalSegmentator reported it as written. Run again."
            checked = replace(outcome, problem=problem, code="program-failed", volume_ml=0.0)
        if checked.problem is not None:
            # The process may have ended between two files of the case.
            with suppress(OSError):
                _remove_outputs(job)
        yield checked


def _remove_outputs(job: Job) -> None:
    for path in job.outputs:
        path.unlink(missing_ok=True)
