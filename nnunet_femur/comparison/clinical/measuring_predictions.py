"""Measurements of all masks of a comparison: each reference and each prediction once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nnunet_femur.comparison.clinical.measured_masks import CaseMasks, failed, is_lasting, measure_masks
from nnunet_femur.comparison.clinical.measurement_cache import MeasurementCache, measurement_key
from nnunet_femur.comparison.clinical.measurement_errors import error_table
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from nnunet_femur.comparison.clinical.measured_masks import Engine, MeasuredMask
    from nnunet_femur.comparison.clinical.measurement_errors import Label
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.evaluation import Scoring


MOST_MASKS = 16
"""Largest number of masks that are measured by default.

Scoring a mask takes 0.1 to 0.6 s, measuring it about 1 s on one core, so measuring never takes less time than scoring
alone. It takes less than scoring, tests, tables and figures together, about 10 s and more, up to this number."""


def is_quick(predictions: Sequence[Predictions]) -> bool:
    """Return True if measuring takes less time than the rest of a comparison: for at most :data:`MOST_MASKS` masks.

    Args:
        predictions: The predictions; each of their references is a mask, too.
    """
    return len({mask for pair in _pairs(_whole(predictions)) for mask in pair}) <= MOST_MASKS


def measure_predictions(
    predictions: Sequence[Predictions],
    *,
    scoring: Scoring,
    cache: MeasurementCache | None = None,
    checksums: ScoreCache | None = None,
    jobs: int = 1,
    engine: Engine | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Measure the femurs of predictions and references, and return the table of their errors.

    Methods that predict the ends of the femur only are left out.

    Args:
        predictions: The predictions, in the order of the table.
        scoring: Options that determine which voxels of a mask are femur.
        cache: Measurements of an earlier run, which are reused if nothing has changed; those of this run are added.
        checksums: Cache of scores, which keeps the checksums of files.
        jobs: Number of processes.
        engine: Measures one femur. Default: :func:`nnunet_femur.measurement.measuring.measure_mask`.
        progress: Receives the progress.

    Returns:
        A table with :data:`~nnunet_femur.comparison.clinical.measurement_errors.COLUMNS`.
    """
    whole = _whole(predictions)
    store, states = cache or MeasurementCache(), checksums or ScoreCache()
    cts = {one.dataset.reference(case): one.dataset.image(case) for one in whole for case in one.files}
    keys = {
        (reference, mask): measurement_key(states, mask, reference=reference, ct=cts[reference], scoring=scoring)
        for reference, mask in _pairs(whole)
    }
    measured: dict[tuple[Path, Path], MeasuredMask] = {}
    tasks = []
    twins: dict[str, tuple[Path, Path]] = {}
    for pair, key in keys.items():
        kept = store.get(key)
        if kept is not None:
            measured[pair] = kept
        elif key is None or twins.setdefault(key, pair) == pair:
            tasks.append(pair)
    by_case: dict[tuple[Path, Path | None], list[Path]] = {}
    for pair in tasks:
        by_case.setdefault((pair[0], cts[pair[0]]), []).append(pair[1])
    cases = [CaseMasks(reference, tuple(masks), ct, scoring) for (reference, ct), masks in by_case.items()]
    running = each(partial(measure_masks, engine=engine), cases, jobs=jobs, crashed=failed)
    for place, found in track(running, "Measuring", total=len(cases), progress=progress):
        of_case = cases[place]
        measured |= {(of_case.reference, mask): one for mask, one in zip(of_case.masks, found, strict=True)}
    for pair, key in keys.items():
        if pair not in measured and key is not None:
            measured[pair] = measured[twins[key]]
        if is_lasting(measured[pair]):
            store.put(key, measured[pair])
    return error_table(_labelled(whole, measured))


def _whole(predictions: Sequence[Predictions]) -> list[Predictions]:
    return [one for one in predictions if not one.traits.ends_only]


def _pairs(predictions: Sequence[Predictions]) -> Iterator[tuple[Path, Path]]:
    """Yield the reference of each case with every mask of the case, the reference among them."""
    for one in predictions:
        for case, path in one.files.items():
            reference = one.dataset.reference(case)
            yield reference, reference
            yield reference, path


def _labelled(
    predictions: Sequence[Predictions], measured: dict[tuple[Path, Path], MeasuredMask]
) -> Iterator[tuple[Label, MeasuredMask, MeasuredMask]]:
    for one in predictions:
        for case, path in one.files.items():
            reference = one.dataset.reference(case)
            label = (one.method, one.set, one.fold, case, one.patient(case))
            yield label, measured[reference, reference], measured[reference, path]
