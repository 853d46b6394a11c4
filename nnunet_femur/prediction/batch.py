"""Many CTs, one after another: resumed where a run was stopped, the others going on where one fails."""

from __future__ import annotations

import hashlib
import json
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from nnunet_femur.errors import FemurError, SetupError
from nnunet_femur.imaging.sources import Source, find_sources
from nnunet_femur.networks.precision import precision_of
from nnunet_femur.prediction.models import CHECKPOINT, Model, femur_labels, opened_model
from nnunet_femur.prediction.options import Options
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.results import CaseResult, read_results, sizes, write_case, write_results
from nnunet_femur.prediction.segmentation import segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor


FAILURE_LOG = "failures.log"
"""File in the output folder with the tracebacks of cases that failed for a reason that no check expects."""

PACKAGES = ("nnunet_femur", "nnunetv2", "torch", "SimpleITK", "vtk")


class Watcher(Protocol):
    """Who is told how far a batch is."""

    def start(self, cases: int) -> None:
        """There are this many cases."""

    def case(self, name: str) -> None:
        """Work on this case begins."""

    def window(self, done: int, total: int) -> None:
        """So many passes of all through the network are done for this case."""

    def end(self, result: CaseResult, *, skipped: bool) -> None:
        """This case has ended, or was done before."""


class Silent:
    """Nobody is told."""

    def start(self, cases: int) -> None:
        """Do nothing."""

    def case(self, name: str) -> None:
        """Do nothing."""

    def window(self, done: int, total: int) -> None:
        """Do nothing."""

    def end(self, result: CaseResult, *, skipped: bool) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        folder: Where everything lies.
        results: The cases that were asked for, in their order.
        skipped: Names of those that an earlier run had done.
    """

    folder: Path
    results: tuple[CaseResult, ...]
    skipped: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every case has a result."""
        return not any(result.error for result in self.results)


def predict(
    inputs: Sequence[Path],
    model: Path,
    output: Path,
    *,
    options: Options | None = None,
    folds: Sequence[str] = (),
    checkpoint: str = CHECKPOINT,
    device: str = "auto",
    overwrite: bool = False,
    watch: Watcher | None = None,
) -> Outcome:
    """Segment the femur in CTs with a trained model.

    One CT is in memory at a time. A case that an earlier run has done with the same model and options, from the same
    files, is not done again.

    Args:
        inputs: Files, folders of files, folders of DICOM slices.
        model: A folder ``TRAINER__PLANS__CONFIGURATION``, one of its folds, or an exported zip file.
        output: The folder to write to; it is made if it is missing.
        options: How to segment and what to write.
        folds: The folds to use; none for all that are trained. Several are an ensemble.
        checkpoint: Name of the checkpoint.
        device: "auto", "cpu", "cuda" or "mps".
        overwrite: Whether cases are done again.
        watch: Who is told how far it is.

    Returns:
        The results; a case that failed has its reason in them.

    Raises:
        InputError: There is no such CT, model, fold or label.
        SetupError: The output folder, the device or the trainer's class is missing.
    """
    options, watch = options or Options(), watch or Silent()
    sources = find_sources(inputs)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{output}: cannot be made ({error.strerror}). Choose another folder."
        raise SetupError(msg) from error
    with opened_model(model, folds=folds, checkpoint=checkpoint) as found:
        femur = femur_labels(found.dataset["labels"], options.labels)
        about = _about(found, options)
        settings = hashlib.sha256(json.dumps([about["model"]["sha256"], options.deciding()]).encode()).hexdigest()
        before = {} if overwrite else read_results(output)
        done = {
            source.case: before[source.case]
            for source in sources
            if source.case in before and before[source.case].holds(output, settings=settings, state=_state(source))
        }
        watch.start(len(sources))
        results = dict(before)
        if len(done) < len(sources):
            target = choose_device(device)
            loaded = load_predictor(found, device=target, step_size=options.step_size, mirror=options.mirror)
            precision = precision_of(target, half=options.half)
            about |= {"device": target.type, "precision": precision}
        for source in sources:
            if source.case in done:
                watch.end(done[source.case], skipped=True)
                continue
            watch.case(source.case)
            results[source.case] = replace(
                _one_case(source, loaded, femur, output, settings, options, watch), precision=precision
            )
            _write(output, results.values(), about)
            watch.end(results[source.case], skipped=False)
    asked = tuple(results[source.case] for source in sources)
    return Outcome(output, asked, tuple(done))


def _write(output: Path, results: Iterable[CaseResult], about: dict[str, Any]) -> None:
    try:
        write_results(output, results, about)
    except OSError as error:
        problem = f"the record cannot be written ({error.strerror})"
        msg = f"{output}: {problem}. Check its permissions and the space on the disk."
        raise SetupError(msg) from error


def _state(source: Source) -> dict[str, float]:
    try:
        return source.state()
    except OSError:
        return {}


def _about(model: Model, options: Options) -> dict[str, Any]:
    return {
        "model": {"name": model.name, "folds": list(model.folds), "sha256": model.digest()},
        "options": options.as_dict(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _one_case(
    source: Source,
    predictor: nnUNetPredictor,
    femur: tuple[int, ...],
    output: Path,
    settings: str,
    options: Options,
    watch: Watcher,
) -> CaseResult:
    """Return its result, or why there is no result: whatever one case raises, the others go on."""
    start = time.monotonic()
    try:
        state = source.state()
        found = segment(source, predictor, femur=femur, options=options, on_window=watch.window)
        names = write_case(
            output, source.case, found.mask_zyx, found.geometry, deviation_zyx=found.deviation_zyx, options=options
        )
        written = sizes(output, names)
    except (FemurError, OSError) as error:
        return CaseResult(source.case, str(source.path), error=str(error), settings=settings)
    except MemoryError:
        problem = f"{source.path}: does not fit into memory. Crop it to the leg, or use a machine with more memory."
        return CaseResult(source.case, str(source.path), error=problem, settings=settings)
    except Exception as error:  # noqa: BLE001
        return CaseResult(source.case, str(source.path), error=_unexpected(error, source, output), settings=settings)
    return CaseResult(
        case=source.case,
        source=str(source.path),
        state=state,
        settings=settings,
        files=written,
        volume_ml=found.verdict.volume_ml,
        pieces=found.verdict.pieces,
        disagreement=found.disagreement,
        seconds=round(time.monotonic() - start, 2),
        warnings=(*found.warnings, *found.verdict.warnings),
    )


def _unexpected(error: Exception, source: Source, output: Path) -> str:
    """Return the message about an exception that no check expects, and keep its traceback in the output folder."""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    log = output / FAILURE_LOG
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{source.case} ({source.path})\n{''.join(traceback.format_exception(error))}\n")
    return f"{source.path}: the prediction failed ({type(error).__name__}: {reason}). The traceback is in {log}."
