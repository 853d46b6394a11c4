"""Score all predictions of a comparison, and collect the scores in one tidy table."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnunet_femur.comparison.predictions import Unscored
from nnunet_femur.comparison.score_cache import CachedCase, ScoreCache
from nnunet_femur.errors import FemurError
from nnunet_femur.evaluation import AxisProfile, Scorer, Scoring, SliceScores
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.comparison.predictions import Predictions

COLUMNS = ("method", "set", "fold", "case", "patient", "protocol", "plane", "region", "metric", "value", "unit")
"""Columns of scores.csv."""

_THREADS = 4
"""Most cases that are scored at a time; each occupies memory for a few masks."""


class CaseKey(NamedTuple):
    """Method, set, fold and case of a prediction, as in scores.csv."""

    method: str
    set: str
    fold: str
    case: str


@dataclass(frozen=True)
class Scored:
    """Scores of all predictions.

    Attributes:
        scores: One row per number, with :data:`COLUMNS`.
        slices: Scores of the axial slices of the whole bone, by :class:`CaseKey`.
        profiles: Agreement along the bone's long axis, by :class:`CaseKey`; those of empty references are missing.
        rescored: Number of predictions that were scored now, because the cache does not contain them.
        cache: Scores that the next run can reuse.
        unscored: Predictions that could not be scored; the table has no rows of them.
        ends_only: Methods that were trained on the ends of the femur only.
        warnings: Assumptions about masks, a sentence each.
        raters: Second readers among the methods of the table.
    """

    scores: pd.DataFrame
    slices: Mapping[tuple[str, str, str, str], SliceScores] = field(default_factory=dict)
    profiles: Mapping[tuple[str, str, str, str], AxisProfile] = field(default_factory=dict)
    rescored: int = 0
    cache: ScoreCache | None = None
    unscored: Sequence[Unscored] = ()
    ends_only: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    raters: frozenset[str] = frozenset()

    def only(self, keys: Collection[tuple[str, str, str, str]]) -> Scored:
        """Return the scores of some predictions.

        Args:
            keys: Method, set, fold and case of each.
        """
        columns = [self.scores[name] for name in CaseKey._fields]
        return replace(
            self,
            scores=self.scores[[key in keys for key in zip(*columns, strict=True)]].reset_index(drop=True),
            slices={key: of for key, of in self.slices.items() if key in keys},
            profiles={key: of for key, of in self.profiles.items() if key in keys},
        )


class _Job(NamedTuple):
    predictions: Predictions
    case: str

    @property
    def reference(self) -> Path:
        """File of the reference mask."""
        return self.predictions.dataset.reference(self.case)

    @property
    def prediction(self) -> Path:
        """File of the predicted mask."""
        return self.predictions.files[self.case]

    @property
    def key(self) -> CaseKey:
        """Method, set, fold and case."""
        return CaseKey(self.predictions.method, self.predictions.set, self.predictions.fold, self.case)


def score_predictions(
    found: Sequence[Predictions],
    *,
    scoring: Scoring | None = None,
    cache: ScoreCache | None = None,
    progress: Progress = SILENT,
) -> Scored:
    """Score predictions against their references; each reference is read once for all predictions of its case.

    A mask that cannot be scored does not stop the others; :attr:`Scored.unscored` names it.

    Args:
        found: Predictions to score, in the order of the table.
        scoring: Options.
        cache: Scores of an earlier run, which are reused if neither the masks nor anything else has changed.
        progress: Receives the progress.
    """
    options = scoring or Scoring()
    store = cache or ScoreCache()
    jobs = [_Job(predictions, case) for predictions in found for case in predictions.files]
    keys = [
        store.key(job.reference, job.prediction, options, in_slices=job.predictions.traits.in_slices) for job in jobs
    ]
    results: list[CachedCase | str | None] = [store.get(key) for key in keys]
    pending = [place for place, result in enumerate(results) if result is None]
    by_reference = sorted(pending, key=lambda place: str(jobs[place].reference))
    batches = [list(of) for _, of in groupby(by_reference, key=lambda place: jobs[place].reference)]
    threads = max(1, min(_THREADS, os.cpu_count() or 1, len(batches)))
    with ThreadPoolExecutor(threads) as pool:
        # Threads suffice: searching trees and counting voxels release Python's lock.
        outcomes = pool.map(lambda batch: list(_score_batch([jobs[place] for place in batch], options)), batches)
        try:
            for batch, cases in zip(
                batches, track(outcomes, "Scoring", total=len(batches), progress=progress), strict=True
            ):
                for place, case in zip(batch, cases, strict=True):
                    results[place] = case
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    done = [(job, result) for job, result in zip(jobs, results, strict=True) if isinstance(result, CachedCase)]
    for key, result in zip(keys, results, strict=True):
        if isinstance(result, CachedCase):
            store.put(key, result)
    return Scored(
        scores=_table(done),
        slices={job.key: result.slices(options.policy) for job, result in done},
        profiles={job.key: result.profile for job, result in done if result.profile},
        rescored=len(pending),
        cache=store,
        unscored=tuple(
            Unscored(*job.key, result) for job, result in zip(jobs, results, strict=True) if isinstance(result, str)
        ),
        ends_only=frozenset(one.method for one in found if one.traits.ends_only),
        warnings=tuple(dict.fromkeys(warning for _, result in done for warning in result.warnings)),
        raters=frozenset(one.method for one in found if one.rater),
    )


def _score_batch(jobs: Sequence[_Job], options: Scoring) -> Iterator[CachedCase | str]:
    """Score predictions of one reference; yield the reason in place of the scores if that fails."""
    try:
        scorer = Scorer(jobs[0].reference, options)
    except Exception as error:  # noqa: BLE001 - no problem of one case may end the batch
        yield from [_reason(jobs[0].reference, error)] * len(jobs)
        return
    for job in jobs:
        try:
            scores = scorer.score(job.prediction, in_slices=job.predictions.traits.in_slices)
            result: CachedCase | str = CachedCase.of(scores)
        except Exception as error:  # noqa: BLE001 - as above
            result = _reason(job.prediction, error)
        yield result


def _reason(path: Path, error: Exception) -> str:
    """Return why a mask could not be scored; of unknown errors only the class, since their text may quote a header."""
    if isinstance(error, FemurError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{path}: out of memory. Score it on a machine with more memory."
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: cannot be read ({error.strerror}). Check the file."
    return f"{path}: cannot be scored ({type(error).__name__}). Write the mask again."


def _table(done: Sequence[tuple[_Job, CachedCase]]) -> pd.DataFrame:
    import pandas as pd

    jobs, results = [job for job, _ in done], [result for _, result in done]
    counts = np.array([len(result.values) for result in results], dtype=np.int64)
    columns: dict[str, Any] = {}
    for place, name in enumerate(CaseKey._fields):
        columns[name] = np.repeat(np.array([job.key[place] for job in jobs], dtype=object), counts)
    patients = np.array([job.predictions.patient(job.case) for job in jobs], dtype=object)
    columns["patient"] = np.repeat(patients, counts)
    # Nearly all cases have the same labels, so an array is made only once of each distinct set of labels.
    labels = {result.labels: np.array(result.labels, dtype=object) for result in results}
    repeated = np.concatenate([labels[result.labels] for result in results]) if results else np.empty((0, 5), object)
    columns |= {name: repeated[:, place] for place, name in enumerate(("protocol", "plane", "region", "metric"))}
    columns["value"] = np.concatenate([result.values for result in results]) if results else np.empty(0)
    columns["unit"] = repeated[:, 4]
    dtype = text_dtype()
    values = columns.pop("value")
    # One column after the other, since all of them twice are more than everything else in a comparison.
    texts = {name: pd.array(columns.pop(name), dtype=dtype, copy=False) for name in COLUMNS if name != "value"}
    return pd.DataFrame({name: values if name == "value" else texts[name] for name in COLUMNS}, copy=False)


def text_dtype() -> Any:
    """Return the type of texts in tables of scores, whose rows share one object for equal texts.

    The type that pandas chooses where pyarrow is installed stores the characters of every row: a GiB for a few million
    scores.

    Example:
        >>> import pandas as pd
        >>> pd.Series(["dice"], dtype=text_dtype()).tolist()
        ['dice']
    """
    import pandas as pd

    # Older versions of pandas store texts as objects.
    return object if pd.__version__ < "3" else pd.StringDtype("python", na_value=np.nan)
