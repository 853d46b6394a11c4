"""Calibration of all predictions that have a file of probabilities beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.comparison.calibration.case_reliability import CaseFiles, crashed, measure_reliability
from nnunet_femur.comparison.calibration.probability_files import probability_file
from nnunet_femur.comparison.calibration.reliability import Reliability
from nnunet_femur.comparison.line_cache import LineCache
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.comparison.scoring import COLUMNS, CaseKey, text_dtype
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.records import code_fingerprint, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nnunet_femur.comparison.calibration.case_reliability import CaseReliability
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.evaluation import Scoring

PROTOCOL = "calibration"
"""Protocol of calibration scores in scores.csv."""

METRICS = ("ece", "brier", "bias")
"""Calibration scores of a case: attributes of :class:`Reliability`."""

CACHE_FILE = "calibration-cache.jsonl"
"""Name of the cache in the report's folder; it may be deleted at any time."""


@dataclass(frozen=True)
class Calibrated:
    """Calibration of all predictions with probabilities.

    Attributes:
        cases: Reliability by method, set, fold and case.
        patients: Patient of each of them.
        problems: Reasons for files of probabilities that could not be used, a sentence each.
    """

    cases: Mapping[CaseKey, CaseReliability] = field(default_factory=dict)
    patients: Mapping[CaseKey, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def with_scores(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return a table of scores with the calibration scores as further rows.

        Args:
            scores: The table, with the columns of scores.csv.
        """
        import pandas as pd

        rows = [
            (*key, self.patients[key], PROTOCOL, "all", region, metric, getattr(one, metric), "1")
            for key, regions in self.cases.items()
            for region, one in regions.items()
            for metric in METRICS
        ]
        if not rows:
            return scores
        types = {name: text_dtype() for name in COLUMNS if name != "value"}
        added = pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)
        return pd.concat([scores, added], ignore_index=True)


class CalibrationCache(LineCache["CaseReliability"]):
    """Reliability of an earlier run, by everything that determines it: the files, the options, and the code.

    Args:
        kept: Reliability by key.
    """

    file_name = CACHE_FILE

    @staticmethod
    def as_json(result: CaseReliability) -> dict[str, Any]:
        """Return the reliability of a case as JSON content."""
        return {"regions": {name: _as_json(one) for name, one in result.items()}}

    @staticmethod
    def from_json(line: dict[str, Any]) -> CaseReliability:
        """Return the reliability of :meth:`as_json`."""
        return {str(name): _from_json(one) for name, one in line["regions"].items()}


def calibrate_predictions(
    predictions: Sequence[Predictions],
    *,
    scoring: Scoring,
    checksums: ScoreCache | None = None,
    cache: CalibrationCache | None = None,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Calibrated:
    """Return the calibration of the predictions that have a file of probabilities beside them.

    Second readers and methods that predict the ends of the femur only are left out.

    Args:
        predictions: The predictions.
        scoring: Options that determine which voxels of a mask are femur.
        checksums: Cache of scores, which keeps the checksums of files.
        cache: Reliability of an earlier run; that of this run is added.
        jobs: Number of processes.
        progress: Receives the progress.
    """
    store, states = cache or CalibrationCache(), checksums or ScoreCache()
    files: dict[CaseKey, CaseFiles] = {}
    patients = {}
    for one in (one for one in predictions if not (one.rater or one.traits.ends_only)):
        for case, mask in one.files.items():
            path = probability_file(mask)
            if path is not None:
                key = CaseKey(one.method, one.set, one.fold, case)
                files[key] = CaseFiles(one.dataset.reference(case), mask, path, scoring)
                patients[key] = one.patient(case)
    keys = {key: _key(states, of) for key, of in files.items()}
    found: dict[CaseKey, CaseReliability | str] = {}
    for key, of_files in keys.items():
        kept = store.get(of_files)
        if kept is not None:
            found[key] = kept
    missing = [key for key in files if key not in found]
    running = each(measure_reliability, [files[key] for key in missing], jobs=jobs, crashed=crashed)
    for place, result in track(running, "Calibration", total=len(missing), progress=progress):
        found[missing[place]] = result
    # In the order of the predictions, whatever finished first.
    cases = {key: of for key in files if not isinstance(of := found[key], str)}
    for key, one_case in cases.items():
        store.put(keys[key], one_case)
    problems = dict.fromkeys(of for key in files if isinstance(of := found[key], str))
    return Calibrated(cases, {key: patients[key] for key in cases}, tuple(problems))


def _key(checksums: ScoreCache, files: CaseFiles) -> str | None:
    contents = [checksums.checksum(path) for path in (files.reference, files.mask, files.probabilities)]
    if None in contents:
        return None
    return fingerprint([*contents, files.scoring.segments, files.scoring.labels, _code()])


@cache
def _code() -> str:
    """Return the fingerprint of the code that reads and compares, so that another version of it starts again."""
    import nnunet_femur.evaluation
    import nnunet_femur.imaging

    modules = (nnunet_femur.evaluation, nnunet_femur.imaging)
    return code_fingerprint(*(Path(str(module.__file__)).parent for module in modules), Path(__file__).parent)


def _as_json(one: Reliability) -> dict[str, Any]:
    return {
        "voxels": one.voxels.tolist(),
        "probabilities": one.probabilities.tolist(),
        "femur": one.femur.tolist(),
        "squares": one.squares,
    }


def _from_json(kept: dict[str, Any]) -> Reliability:
    return Reliability(
        voxels=np.array(kept["voxels"], np.int64),
        probabilities=np.array(kept["probabilities"], np.float64),
        femur=np.array(kept["femur"], np.int64),
        squares=float(kept["squares"]),
    )
