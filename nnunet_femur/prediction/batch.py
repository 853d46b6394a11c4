"""Prediction of many CTs: an interrupted run resumes, and a case that fails does not stop the others."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from nnunet_femur.atomic_files import cannot_write, make_folder
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.errors import FemurError
from nnunet_femur.imaging.sources import Source, find_sources
from nnunet_femur.prediction.mask_files import require_dicom_cts, require_references
from nnunet_femur.prediction.prediction_options import Options, PredictionSettings
from nnunet_femur.prediction.results import RECORD, CaseResult, PredictionResult, read_results, write_results
from nnunet_femur.prediction.segmenter import Segmenter, fold_names
from nnunet_femur.prediction.stage_times import StageTimes
from nnunet_femur.prediction.trained_model import Model, femur_labels, opened_model
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nnunet_femur.prediction.segmented_femur import Femur

FAILURE_LOG = "failures.log"
"""File in the output folder with the tracebacks of cases that failed for an unexpected reason."""

PACKAGES = ("nnunet_femur", "nnunetv2", "torch", "SimpleITK", "vtk")
"""Packages whose versions are recorded."""


def predict(
    inputs: str | Path | Sequence[str | Path],
    model: str | Path,
    output: str | Path,
    *,
    options: Options | None = None,
    folds: str | int | Iterable[str | int] | None = (),
    checkpoint: str = CHECKPOINT_FINAL,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = SILENT,
    **settings: Unpack[PredictionSettings],
) -> PredictionResult:
    """Segment the femur in CTs with a trained model, and write masks and records.

    One CT is in memory at a time. Cases that an earlier run has done with the same model and options, from the same
    files, are skipped. A case that fails does not stop the others.

    Args:
        inputs: Files, folders of files, folders of DICOM slices; one or several.
        model: A folder ``TRAINER__PLANS__CONFIGURATION``, one of its folds, or an exported zip file.
        output: The folder to write to. It is created if it does not exist.
        options: Options that determine the mask, and the files to write.
        folds: The folds to use, such as ``(0, 1)``; several are an ensemble. Default: all that are trained.
        checkpoint: Name of the checkpoint in each fold.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: Predict all cases again.
        progress: Receives the progress: a task "Predict", and one for each case with the passes through the network.
        **settings: Single options by name, such as ``stl=True`` or ``mirror=False``; the names are those of
            :class:`~nnunet_femur.prediction.Options`.

    Returns:
        The results; that of a case that failed contains the reason.

    Raises:
        InputError: A CT, the model, a fold or a label does not exist, a checkpoint contains code, or a CT is not DICOM
            although a format of DICOM is asked for (code "unsupported").
        SetupError: The output folder cannot be written, the device does not exist, or the model's trainer is not
            installed.

    Example:
        >>> result = predict("ct.nrrd", "model", "out", formats="nii.gz", mirror=False, device="cpu")
        >>> result
        PredictionResult(out: 1 cases)
        >>> result.results[0].files
        {'ct.nii.gz': ...}
        >>> predict("ct.nrrd", "model", "out", options=Options(formats=("nii.gz",), mirror=False)).skipped
        ('ct',)
    """
    options, output = replace(options or Options(), **settings), Path(output)
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    sources = find_sources([Path(each) for each in given])
    require_dicom_cts((source.path for source in sources), options.formats)
    make_folder(output)
    with opened_model(Path(model), folds=fold_names(folds), checkpoint=checkpoint) as found:
        femur_labels(found.dataset["labels"], options.labels)
        about = _about(found, options)
        fingerprint = _settings(about["model"]["sha256"], options)
        before = {} if overwrite else read_results(output)
        done = {source.case for source in sources if _is_done(before.get(source.case), source, output, fingerprint)}
        segmenter = None
        if len(done) < len(sources):
            segmenter = Segmenter(found, device=device, **options.of_mask())
            about |= {"device": segmenter.device, "precision": segmenter.precision}
    results = dict(before)
    for source in track(sources, "Predict", progress=progress):
        if segmenter is not None and source.case not in done:
            result = _one_case(source, segmenter, output, options, progress)
            results[source.case] = replace(result, settings=fingerprint, precision=segmenter.precision)
            _write(output, results.values(), about)
    skipped = tuple(source.case for source in sources if source.case in done)
    return PredictionResult(output, tuple(results[source.case] for source in sources), skipped)


def _about(model: Model, options: Options) -> dict[str, Any]:
    return {
        "model": {"name": model.name, "folds": list(model.folds), "sha256": model.digest()},
        "options": options.as_dict(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _settings(model_sha256: str, options: Options) -> str:
    """Return the fingerprint of model and options, as every version so far has computed it."""
    return hashlib.sha256(json.dumps([model_sha256, options.deciding()]).encode()).hexdigest()


def _is_done(before: CaseResult | None, source: Source, output: Path, settings: str) -> bool:
    try:
        return before is not None and before.is_current(output, settings=settings, state=source.state())
    except OSError:
        return False


def _one_case(source: Source, segmenter: Segmenter, output: Path, options: Options, progress: Progress) -> CaseResult:
    """Return the result of a case, or the reason why it has none; nothing that a case raises stops the others."""
    start = time.monotonic()
    result = CaseResult(source.case, str(source.path))
    task = f"  {source.case}"
    progress.begin(task)
    try:
        state = source.state()
        require_references(source.path, options.formats)
        femur = segmenter.segment(source, on_window=lambda done, total: progress.advance(task, done, total=total))
        times = StageTimes(femur.stage_seconds)
        with times.measuring("write"):
            paths = femur.save(output, formats=options.formats, stl=options.stl)
        files = {path.name: path.stat().st_size for path in paths}
        seconds = {stage: round(value, 3) for stage, value in times.seconds.items()}
        result = replace(result, state=state, files=files, stage_seconds=seconds, **_measures(femur))
    except (FemurError, OSError) as error:
        result = replace(result, error=str(error), code=getattr(error, "code", "unreadable"))
    except MemoryError:
        problem = f"{source.path}: out of memory. Crop the CT to the leg, or use a machine with more memory."
        result = replace(result, error=problem, code="too-large")
    except Exception as error:  # noqa: BLE001
        result = replace(result, error=_unexpected(error, source, output))
    finally:
        progress.end(task, f"failed {source.case}: {result.error}" if result.error else "")
    if result.error:
        return replace(result, review_score=1.0)
    return replace(result, seconds=round(time.monotonic() - start, 2))


def _measures(femur: Femur) -> dict[str, Any]:
    names = ("volume_ml", "pieces", "disagreement", "warnings", "side", "side_source", "review_score")
    codes = tuple(dict.fromkeys(found.code for found in femur.findings))
    return {**{name: getattr(femur, name) for name in names}, "findings": codes}


def _unexpected(error: Exception, source: Source, output: Path) -> str:
    """Return a message about an unexpected exception, and write its traceback to the output folder."""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    log = output / FAILURE_LOG
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{source.case} ({source.path})\n{''.join(traceback.format_exception(error))}\n")
    return f"{source.path}: the prediction failed ({type(error).__name__}: {reason}). The traceback is in {log}."


def _write(output: Path, results: Iterable[CaseResult], about: dict[str, Any]) -> None:
    try:
        write_results(output, results, about)
    except OSError as error:
        raise cannot_write(output / RECORD, error) from error
