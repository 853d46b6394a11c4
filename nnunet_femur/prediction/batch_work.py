"""The work on the cases of a batch: read, find the mask, check and write it; a failure becomes a result."""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import FemurError
from nnunet_femur.prediction.mask_files import require_references
from nnunet_femur.prediction.pipeline import Pipeline, is_out_of_memory
from nnunet_femur.prediction.results import CaseResult
from nnunet_femur.prediction.stage_times import StageTimes
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from nnunet_femur.imaging.sources import Source
    from nnunet_femur.prediction.network_input import NetworkInput
    from nnunet_femur.prediction.prediction_options import Options
    from nnunet_femur.prediction.segmented_femur import Femur
    from nnunet_femur.prediction.segmenter import FoundMask, Segmenter

FAILURE_LOG = "failures.log"
"""File in the output folder with the tracebacks of cases that failed for an unexpected reason."""

TASK = "Predict"
"""Name of the task that counts the cases."""


class BatchWork:
    """Predicts the cases of a batch, side by side; see :class:`~nnunet_femur.prediction.pipeline.Work`.

    Args:
        segmenter: The model.
        output: The folder to write to.
        options: The files to write.
        record: Receives the result of each case.
        progress: Receives the task :data:`TASK`, and one for each case, all in the caller's thread.
        side_by_side: False to predict one case after the other.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        output: Path,
        options: Options,
        record: Callable[[CaseResult], None],
        *,
        progress: Progress = SILENT,
        side_by_side: bool = True,
    ) -> None:
        self._segmenter, self._output, self._options = segmenter, output, options
        self._record, self._progress = record, progress
        self._pipeline: Pipeline[Source, _Read, _Found, CaseResult] = Pipeline(self, side_by_side=side_by_side)
        self._done = 0

    def run(self, sources: Sequence[Source], *, skipped: int = 0) -> None:
        """Predict all cases.

        Args:
            sources: The CTs.
            skipped: Number of cases that were done before, for the progress.
        """
        self._done, total = skipped, skipped + len(sources)
        self._progress.begin(TASK, total)
        self._progress.advance(TASK, skipped, total=total)
        try:
            self._pipeline.run(sources)
        finally:
            self._progress.end(TASK)

    def begin(self, item: Source) -> None:
        """Begin the task of a case."""
        self._progress.begin(_task(item))

    def read(self, item: Source) -> _Read:
        """Return the state of the CT's files, and the preprocessed CT."""
        require_references(item.path, self._options.formats)
        return item.state(), self._segmenter.read(item)

    def room_bytes(self, read: _Read) -> int:
        """Return the memory that a CT of the same size needs while it is read and preprocessed."""
        return read[1].reading_bytes

    def find(self, item: Source, read: _Read) -> _Found:
        """Run the network, and settle the case before as soon as it is finished."""
        state, seen = read
        return state, self._segmenter.find(seen, on_window=partial(self._note_window, item))

    def _note_window(self, item: Source, done: int, total: int) -> None:
        self._progress.advance(_task(item), done, total=total)
        self._pipeline.poll()

    def finish(self, item: Source, found: _Found) -> CaseResult:
        """Check a mask and write its files."""
        state, mask = found
        femur = self._segmenter.check(mask)
        times = StageTimes(femur.stage_seconds)
        with times.measuring("write"):
            paths = femur.save(self._output, formats=self._options.formats, stl=self._options.stl)
        return replace(
            _result(item),
            state=state,
            files={path.name: path.stat().st_size for path in paths},
            seconds=round(sum(times.seconds.values()), 2),
            stage_seconds={stage: round(value, 3) for stage, value in times.seconds.items()},
            **_measures(femur),
        )

    def settle(self, item: Source, outcome: Future[CaseResult]) -> None:
        """Record the result of a case, or the reason of its failure."""
        error = outcome.exception()
        result = outcome.result() if error is None else _failed(item, error, self._output)
        self._done += 1
        self._progress.end(_task(item), f"failed {item.case}: {result.error}" if result.error else "")
        self._record(result)
        self._progress.advance(TASK, self._done)


if TYPE_CHECKING:
    _Read = tuple[dict[str, Any], NetworkInput]
    _Found = tuple[dict[str, Any], FoundMask]


def _task(source: Source) -> str:
    return f"  {source.case}"


def _result(source: Source) -> CaseResult:
    return CaseResult(source.case, str(source.path))


def _failed(source: Source, error: BaseException, output: Path) -> CaseResult:
    """Return the result of a case that an exception has ended.

    Raises:
        BaseException: It was to end the batch, such as KeyboardInterrupt.
    """
    if isinstance(error, FemurError | OSError):
        reason, code = str(error), getattr(error, "code", "unreadable")
    elif is_out_of_memory(error):
        reason = f"{source.path}: out of memory. Crop the CT to the leg, or use a machine with more memory."
        code = "too-large"
    elif isinstance(error, Exception):
        reason, code = _unexpected(error, source, output), ""
    else:
        raise error
    return replace(_result(source), error=reason, code=code, review_score=1.0)


def _measures(femur: Femur) -> dict[str, Any]:
    names = (
        "volume_ml",
        "pieces",
        "disagreement",
        "warnings",
        "side",
        "side_source",
        "review_score",
        "precision",
        "backend",
    )
    codes = tuple(dict.fromkeys(found.code for found in femur.findings))
    search = {} if femur.search is None else femur.search.as_dict()
    return {**{name: getattr(femur, name) for name in names}, "findings": codes, "search": search}


def _unexpected(error: Exception, source: Source, output: Path) -> str:
    """Return a message about an unexpected exception, and write its traceback to the output folder."""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    log = output / FAILURE_LOG
    with suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(f"{source.case} ({source.path})\n{''.join(traceback.format_exception(error))}\n")
    return f"{source.path}: the prediction failed ({type(error).__name__}: {reason}). The traceback is in {log}."
