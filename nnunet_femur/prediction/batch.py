"""Prediction of many CTs: an interrupted run resumes, and a case that fails does not stop the others."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from nnunet_femur.atomic_files import cannot_write, make_folder
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sources import Source, find_sources
from nnunet_femur.prediction.batch_work import BatchWork
from nnunet_femur.prediction.mask_files import require_dicom_cts
from nnunet_femur.prediction.prediction_options import Options, PredictionSettings
from nnunet_femur.prediction.results import (
    RECORD,
    REVIEW,
    CaseResult,
    PredictionResult,
    join_results,
    marked_cases,
    read_results,
    write_results,
)
from nnunet_femur.prediction.segmenter import Segmenter, fold_names
from nnunet_femur.prediction.trained_model import Model, femur_labels, opened_model
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.shards import Shard, shard_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_QUICK_S, _WAIT = 0.1, 20
"""Duration of writing the records, in s, from which they are written less often, and the pause relative to it."""

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
    shard: str | Shard | None = None,
    progress: Progress = SILENT,
    **settings: Unpack[PredictionSettings],
) -> PredictionResult:
    """Segment the femur in CTs with a trained model, and write masks and records.

    While the network works on a CT, the next one is read, and the mask before is checked and written; where memory is
    short, one CT is in memory at a time. Cases that an earlier run has done with the same model and options, from the
    same files, are skipped. A case that fails does not stop the others.

    Args:
        inputs: Files, folders of files, folders of DICOM slices; one or several.
        model: A folder ``TRAINER__PLANS__CONFIGURATION``, one of its folds, or an exported zip file.
        output: The folder to write to. It is created if it does not exist.
        options: Options that determine the mask, and the files to write.
        folds: The folds to use, such as ``(0, 1)``; several are an ensemble. Default: all that are trained.
        checkpoint: Name of the checkpoint in each fold.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: Predict all of these CTs again.
        shard: Predict one of several parts of the CTs, such as ``"3/16"``, so that several machines share the work; a
            run without it predicts what is missing, and writes the records of all.
        progress: Receives the progress: a task "Predict", and one for each case with the passes through the network.
        **settings: Single options by name, such as ``stl=True`` or ``mirror=False``; the names are those of
            :class:`~nnunet_femur.prediction.Options`.

    Returns:
        The results; that of a case that failed contains the reason.

    Raises:
        InputError: A CT, the model, a fold or a label does not exist, a checkpoint contains code, or a CT is not DICOM
            although a format of DICOM is asked for (code "unsupported"). Masks that were marked in ``nnfemur review``
            would be replaced ("edited-by-hand"), unless `overwrite` is True.
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
    part = Shard.parse(shard)
    sources = find_sources([Path(each) for each in given])
    sources = [source for source in sources if part is None or part.takes(source.case)]
    require_dicom_cts((source.path for source in sources), options.formats)
    make_folder(output)
    with opened_model(Path(model), folds=fold_names(folds), checkpoint=checkpoint) as found:
        femur_labels(found.dataset["labels"], options.labels)
        about = _about(found, options)
        fingerprint = _settings(about["model"]["sha256"], options)
        again = {source.case for source in sources} if overwrite else set()
        before = {case: result for case, result in read_results(output).items() if case not in again}
        done = {source.case for source in sources if _is_done(before.get(source.case), source, output, fingerprint)}
        _keep_reviewed(output, [source.case for source in sources if source.case not in done | again])
        segmenter = None
        if len(done) < len(sources):
            segmenter = Segmenter(found, device=device, **options.of_mask())
    results = {case: result for case, result in before.items() if part is None or part.takes(case)}
    todo = [source for source in sources if source.case not in done]
    if segmenter is not None:
        about |= _of_network(segmenter)
        with _Writing(output, results, about, part) as writing:

            def record(result: CaseResult) -> None:
                """Add a result to the records."""
                results[result.case] = replace(result, settings=fingerprint)
                writing.write()

            BatchWork(segmenter, output, options, record, progress=progress).run(todo, skipped=len(done))
    elif part is None and shard_files(output, RECORD):
        join_results(output)
    skipped = tuple(source.case for source in sources if source.case in done)
    notes = () if segmenter is None else tuple(segmenter.notes)
    return PredictionResult(output, tuple(results[source.case] for source in sources), skipped, notes)


def _keep_reviewed(output: Path, todo: Sequence[str]) -> None:
    """Refuse to replace masks that were marked in ``nnfemur review``: they may contain corrections by hand.

    Raises:
        InputError: A marked case would be predicted again (code "edited-by-hand").
    """
    marked = sorted(marked_cases(output) & set(todo))
    if marked:
        names = ", ".join(marked[:5]) + (f" and {len(marked) - 5} more" if len(marked) > 5 else "")
        msg = (
            f"{output}: {names} would be predicted again, but {REVIEW} marks the masks, which may contain corrections. "
            "Choose another folder, or --overwrite to lose them."
        )
        raise InputError(msg, code="edited-by-hand")


def _about(model: Model, options: Options) -> dict[str, Any]:
    return {
        "model": {"name": model.name, "folds": list(model.folds), "sha256": model.digest()},
        "options": options.as_dict(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _of_network(segmenter: Segmenter) -> dict[str, Any]:
    return {name: getattr(segmenter, name) for name in ("device", "backend", "precision", "notes")}


def _settings(model_sha256: str, options: Options) -> str:
    """Return the fingerprint of model and options, as every version so far has computed it."""
    return hashlib.sha256(json.dumps([model_sha256, options.deciding()]).encode()).hexdigest()


def _is_done(before: CaseResult | None, source: Source, output: Path, settings: str) -> bool:
    try:
        return before is not None and before.is_current(output, settings=settings, state=source.state())
    except OSError:
        return False


class _Writing:
    """Writing of the records after each case, or of many cases less often; after the last one in any event.

    The records contain all cases, so that writing 20 000 of them 20 000 times would take hours.
    """

    def __init__(self, output: Path, results: dict[str, CaseResult], about: dict[str, Any], part: Shard | None) -> None:
        self._output, self._results, self._about, self._part = output, results, about, part
        self._ended_s = self._took_s = 0.0
        self._pending = False

    def __enter__(self) -> Self:
        return self

    def write(self) -> None:
        """Write the records, unless writing takes long and was done a moment ago."""
        wait_s = _WAIT * self._took_s if self._took_s > _QUICK_S else 0.0
        self._pending = time.monotonic() - self._ended_s < wait_s
        if self._pending:
            return
        start_s = time.monotonic()
        try:
            write_results(self._output, self._results.values(), self._about, shard=self._part)
        except OSError as error:
            raise cannot_write(self._output / RECORD, error) from error
        self._ended_s = time.monotonic()
        self._took_s = self._ended_s - start_s

    def __exit__(self, *_: object) -> None:
        if self._pending:
            self._took_s = 0.0
            self.write()
