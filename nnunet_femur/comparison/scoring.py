"""Score every prediction that was found, and gather the scores in one tidy table."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.comparison.predictions import Unscored
from nnunet_femur.comparison.score_cache import CachedCase, ScoreCache
from nnunet_femur.errors import FemurError
from nnunet_femur.evaluation import (
    AxisProfile,
    Bone,
    Scoring,
    SliceScores,
    on_one_grid,
    read_mask,
    require_same_grid,
    score_case,
)
from nnunet_femur.findings import Severity
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.comparison.predictions import Predictions

COLUMNS = ("method", "set", "fold", "case", "patient", "protocol", "plane", "region", "metric", "value", "unit")
"""Columns of scores.csv."""

_THREADS = 4
"""Cases scored at once at most: each holds a few masks."""


class CaseKey(NamedTuple):
    """Which prediction of which case, by the names of scores.csv."""

    method: str
    set: str
    fold: str
    case: str


@dataclass(frozen=True)
class Scored:
    """Scores of all predictions.

    Attributes:
        scores: One row per number, with :data:`COLUMNS`.
        slices: The axial slices of the whole bone, by :class:`CaseKey`.
        profiles: Agreement along the bone's long axis, by :class:`CaseKey`; those of empty references are missing.
        rescored: Number of predictions that were scored anew, since the cache did not know them.
        cache: What the next run need not score again.
        unscored: Predictions that could not be scored; the table has no rows of them.
        ends_only: Methods that were trained on the ends of the femur alone.
        warnings: What was assumed about masks, a sentence each.
    """

    scores: pd.DataFrame
    slices: Mapping[tuple[str, str, str, str], SliceScores] = field(default_factory=dict)
    profiles: Mapping[tuple[str, str, str, str], AxisProfile] = field(default_factory=dict)
    rescored: int = 0
    cache: ScoreCache | None = None
    unscored: Sequence[Unscored] = ()
    ends_only: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


class _Job(NamedTuple):
    predictions: Predictions
    case: str

    @property
    def reference(self) -> Path:
        return self.predictions.dataset.reference(self.case)

    @property
    def prediction(self) -> Path:
        return self.predictions.files[self.case]

    @property
    def key(self) -> CaseKey:
        return CaseKey(self.predictions.method, self.predictions.set, self.predictions.fold, self.case)


def score(
    found: Sequence[Predictions],
    *,
    scoring: Scoring | None = None,
    cache: ScoreCache | None = None,
    progress: Progress = SILENT,
) -> Scored:
    """Score predictions against their references, those of one reference together, so that it is read once.

    A mask that cannot be scored does not stop the others: it is named in :attr:`Scored.unscored`.

    Args:
        found: What to score; the order of the table follows it.
        scoring: How to score.
        cache: Scores of an earlier run, which are taken over where neither mask nor anything else has changed.
        progress: Receives the progress.
    """
    how = scoring or Scoring()
    store = cache or ScoreCache()
    jobs = [_Job(predictions, case) for predictions in found for case in predictions.files]
    keys = [store.key(job.reference, job.prediction, how, in_slices=job.predictions.traits.in_slices) for job in jobs]
    results: list[CachedCase | str | None] = [store.get(key) for key in keys]
    pending = [place for place, result in enumerate(results) if result is None]
    by_reference = sorted(pending, key=lambda place: str(jobs[place].reference))
    batches = [list(of) for _, of in groupby(by_reference, key=lambda place: jobs[place].reference)]
    threads = max(1, min(_THREADS, os.cpu_count() or 1, len(batches)))
    with ThreadPoolExecutor(threads) as pool:
        # Searching trees and counting voxels let other threads run; two cores are worth it already.
        outcomes = pool.map(lambda batch: list(_score_batch([jobs[place] for place in batch], how)), batches)
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
        slices={job.key: result.slices(how.policy) for job, result in done},
        profiles={job.key: result.profile for job, result in done if result.profile},
        rescored=len(pending),
        cache=store,
        unscored=tuple(
            Unscored(*job.key, result) for job, result in zip(jobs, results, strict=True) if isinstance(result, str)
        ),
        ends_only=frozenset(one.method for one in found if one.traits.ends_only),
        warnings=tuple(dict.fromkeys(warning for _, result in done for warning in result.warnings)),
    )


def _score_batch(jobs: Sequence[_Job], how: Scoring) -> Iterator[CachedCase | str]:
    """Score predictions of one reference; give the reason in place of the scores where that fails."""
    try:
        reference = read_mask(jobs[0].reference, segments=how.segments, labels=how.labels)
        spacing_mm_zyx = reference.geometry.spacing_mm_zyx
        bone = Bone(reference.voxels, spacing_mm_zyx)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one case must not end the batch
        yield from [_reason(jobs[0].reference, error)] * len(jobs)
        return
    for job in jobs:
        try:
            prediction = read_mask(job.prediction, like=reference.geometry, segments=how.segments, labels=how.labels)
            regridded, prediction = on_one_grid(reference, prediction)
            require_same_grid(regridded, prediction)
            scores = score_case(
                bone if regridded is reference else Bone(regridded.voxels, spacing_mm_zyx),
                Bone(prediction.voxels, spacing_mm_zyx),
                scoring=how,
                predicted_in_slices=job.predictions.traits.in_slices,
            )
            doubts = (
                found for found in (*reference.findings, *prediction.findings) if found.severity is Severity.WARNING
            )
            result: CachedCase | str = CachedCase.of(scores, map(str, doubts))
        except Exception as error:  # noqa: BLE001 - as above
            result = _reason(job.prediction, error)
        yield result


def _reason(path: Path, error: Exception) -> str:
    """Return why a mask could not be scored; of other errors the kind alone, since their text may quote a header."""
    if isinstance(error, FemurError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{path}: does not fit into memory. Score it on a machine with more memory."
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: cannot be read ({error.strerror}). Check the file."
    return f"{path}: cannot be scored ({type(error).__name__}). Write the mask again."


def _table(done: Sequence[tuple[_Job, CachedCase]]) -> pd.DataFrame:
    import pandas as pd

    jobs, results = [job for job, _ in done], [result for _, result in done]
    counts = np.array([len(result.values) for result in results], dtype=np.int64)
    columns: dict[str, object] = {}
    for place, name in enumerate(CaseKey._fields):
        columns[name] = np.repeat(np.array([job.key[place] for job in jobs], dtype=object), counts)
    patients = np.array([job.predictions.patient(job.case) for job in jobs], dtype=object)
    columns["patient"] = np.repeat(patients, counts)
    # Nearly all cases have the same labels, so each distinct set of them is spelled out once.
    labels = {result.labels: np.array(result.labels, dtype=object) for result in results}
    spelled = np.concatenate([labels[result.labels] for result in results]) if results else np.empty((0, 5), object)
    columns |= {name: spelled[:, place] for place, name in enumerate(("protocol", "plane", "region", "metric"))}
    columns["value"] = np.concatenate([result.values for result in results]) if results else np.empty(0)
    columns["unit"] = spelled[:, 4]
    return pd.DataFrame({name: columns[name] for name in COLUMNS}).astype(
        {name: "str" for name in COLUMNS if name != "value"}
    )
