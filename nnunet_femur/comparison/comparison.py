"""Compare methods: score every prediction, test the differences, and write tables, figures and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, get_args

from nnunet_femur.arguments import require_one_of, require_type, several
from nnunet_femur.comparison.calibration.calibrating_predictions import (
    Calibrated,
    CalibrationCache,
    calibrate_predictions,
)
from nnunet_femur.comparison.clinical.endpoints import MAIN
from nnunet_femur.comparison.clinical.measurement_cache import MeasurementCache
from nnunet_femur.comparison.clinical.measurement_errors import with_errors
from nnunet_femur.comparison.clinical.measuring_predictions import is_quick, measure_predictions
from nnunet_femur.comparison.comparison_result import Comparison
from nnunet_femur.comparison.covariates import Covariates
from nnunet_femur.comparison.discovery import discover, leave_out_unscored, require_equal_cases
from nnunet_femur.comparison.grouping import Measure, group_scores
from nnunet_femur.comparison.raters import add_raters, copies_of_reference, score_against_raters
from nnunet_femur.comparison.report.output import require_writable, write_all, write_caches
from nnunet_femur.comparison.report.published import read_published
from nnunet_femur.comparison.report.report import build_report
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.comparison.statistics.endpoint_statistics import analyse_endpoints
from nnunet_femur.comparison.statistics.margins import DEFAULT_METRIC, Margins
from nnunet_femur.comparison.statistics.paired_tests import TestName
from nnunet_femur.comparison.statistics.subgroups import analyse_subgroups
from nnunet_femur.comparison.supplement.study_facts import gather_facts
from nnunet_femur.comparison.supplement.supplement_files import FOLDER, read_answers, write_supplement
from nnunet_femur.errors import InputError
from nnunet_femur.evaluation import Scoring, find_policy
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from os import PathLike

    import pandas as pd

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.endpoint_statistics import GroupEndpoints
    from nnunet_femur.evaluation import EmptyPolicy

_BY_SUBGROUP = tuple(Measure("volume", "all", "whole", metric) for metric in ("dice", "hd95"))
"""Measures that are divided by subgroup."""


def compare(
    results: str | PathLike[str] | None,
    *,
    raw: str | PathLike[str] | None = None,
    reference: str | PathLike[str] | None = None,
    methods: Mapping[str, str | PathLike[str]] | None = None,
    raters: Mapping[str, str | PathLike[str]] | None = None,
    in_slices: str | Collection[str] = (),
    without: str | Collection[str] = (),
    output: str | PathLike[str] | None = None,
    intersect: bool = False,
    published: str | None = None,
    policy: str | EmptyPolicy = "strict",
    test: TestName = "wilcoxon",
    against: str | None = None,
    margin: float | Mapping[str, float] | None = None,
    covariates: str | PathLike[str] | None = None,
    slice_surfaces: bool = False,
    segments: str | Collection[str] = (),
    labels: int | Collection[int] = (),
    measurements: bool | None = None,
    calibration: bool = True,
    supplement: bool = False,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> Comparison:
    """Score the fold validations and test predictions of all methods from their masks, and write a report.

    A mask that cannot be scored is named in the result and in the report; the others are scored. Predictions that have
    not changed since the last report in the same folder are not scored again.

    Args:
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method; None to
            compare only `methods`.
        raw: nnU-Net's raw folder with the reference masks. Default: ``$nnUNet_raw``, then ``nnUNet_raw`` beside the
            results.
        reference: Folder of reference masks named by case, which replace those of the raw dataset.
        methods: Folders of further predictions by name of the method.
        raters: Folders of masks of second readers by name of the reader. They are scored against the reference, and
            shown apart: neither tested nor ranked. They may lack cases.
        in_slices: Names of methods that predict slice by slice, for results that do not record it.
        without: Names of methods in `results` to leave out.
        output: Folder of scores.csv, report.md, report.html, tables and figures. Default: ``comparison`` in `results`,
            or in the current folder.
        intersect: Go on with the cases that all methods have if predictions are missing or cases differ.
        published: Name of published figures to print beside ours, such as ``paper``.
        policy: Scores of empty masks: a policy or its name in :data:`~nnunet_femur.evaluation.POLICIES`.
        test: Paired test for all pairs of methods.
        against: Name of a method or of a second reader, or a part of it, such as "TotalSegmentator": every other method
            is tested for being not worse than it, and equivalent to it, up to `margin`.
        margin: Largest loss that does not count: a number for 3D Dice, or numbers by name of a metric of the whole
            volume or of a main clinical measurement, such as ``{"dice": 0.01, "hd95": 1.0}``, in their units.
        covariates: CSV file with a column case and further columns such as side, sex, scanner or implant: 3D Dice and
            HD95 are reported for each subgroup, and tested where there are enough patients.
        slice_surfaces: Compute surface metrics in slices as well, about half a second per case.
        segments: Names of the segments of segmentations that are femur; empty: the only one, or those named femur.
        labels: Values of masks that are femur; empty: 1, or the only value above 0.
        measurements: Measure every femur, and compare head centre, angles, lengths, volume and HU with those of the
            reference. Default: if it takes less time than scoring, see
            :func:`~nnunet_femur.comparison.clinical.measuring_predictions.is_quick`.
        calibration: Measure how well probabilities agree with the reference, where nnU-Net's file of probabilities
            (``CASE.npz``, from ``--save_probabilities`` or ``--npz``) is beside the mask.
        supplement: Write what a publication needs to the folder ``supplement`` of the report: the checklist CLAIM 2024,
            a methods paragraph and a model card per method, filled in from the files of the study.
        jobs: Number of processes that measure. With more than 1, a script needs ``if __name__ == "__main__"``.
        progress: Receives the progress.

    Returns:
        Scores, tables and statistics, and the path of the report.

    Raises:
        InputError: A folder cannot be used, predictions are missing or methods have different cases (code
            "no-predictions"), a margin or a name is invalid (code "invalid-option"), `covariates` is not a table or
            does not divide the cases (code "invalid-file"), no mask can be scored (code "unscorable"), or `output`
            cannot be written (code "cannot-write").
        SetupError: The reference masks are not found (code "no-reference").

    Example:
        >>> comparison = compare("results", output="report")
        >>> comparison.report.name, comparison.complete
        ('report.html', True)
        >>> rows = comparison.scores.query("protocol == 'volume' and region == 'whole' and metric == 'dice'")
        >>> rows.groupby("method")["value"].mean().round(3).to_dict()
        {'FemurScratchTrainer__nnUNetPlans__3d_fullres': 0.98, 'TotalSegmentator__total__1.5mm': 1.0}
    """
    _require_usable(results, methods=methods, raters=raters, jobs=jobs)
    require_one_of("test", test, get_args(TestName))
    margins = _margins(against, margin)
    scoring = Scoring(find_policy(policy), slice_surfaces, several(segments), several(labels))
    results = None if results is None else Path(results)
    folder = Path(output) if output else (results or Path()) / "comparison"
    if published is not None:
        read_published(published)  # an unknown name is refused before hours of scoring
    require_writable(folder)
    if supplement:
        read_answers(folder / FOLDER)  # damaged answers are refused before hours of scoring
    found = discover(
        results,
        raw=Path(raw) if raw else None,
        reference=Path(reference) if reference else None,
        methods={name: Path(of) for name, of in (methods or {}).items()},
        in_slices=several(in_slices),
        without=several(without),
    )
    require_equal_cases(found, intersect=intersect)
    add_raters(found, {name: Path(of) for name, of in (raters or {}).items()})
    if margins is not None:
        margins.require_among(one.method for one in found.predictions)
    of_cases = _covariates(covariates, found)
    scored = score_predictions(found.predictions, scoring=scoring, cache=ScoreCache.read(folder), progress=progress)
    scored = leave_out_unscored(found, scored, everywhere=intersect)
    found.warnings += [*scored.warnings, *copies_of_reference(scored)]
    if scored.scores.empty:
        reasons = dict.fromkeys(one.reason for one in found.unscored)
        msg = "No prediction could be scored:\n" + "\n".join(f"  {reason}" for reason in reasons)
        raise InputError(msg, code="unscorable")
    reader_scores = score_against_raters(found.predictions, scoring=scoring, cache=scored.cache, progress=progress)
    reliability, known = CalibrationCache.read(folder), MeasurementCache.read(folder)
    shared: _Shared = {"scoring": scoring, "checksums": scored.cache, "jobs": jobs, "progress": progress}
    calibrated = Calibrated()
    if calibration:
        calibrated = calibrate_predictions(found.predictions, cache=reliability, **shared)
        found.warnings += calibrated.problems
        scored = replace(scored, scores=calibrated.with_scores(scored.scores))
    measured = _measured(found, measurements, known, shared)
    if measured is not None:
        scored = replace(scored, scores=with_errors(scored.scores, measured))
    groups = group_scores(scored.scores, ends_only=scored.ends_only, raters=scored.raters)
    statistics = analyse_groups(groups, test=test, margins=margins)
    endpoints = [] if measured is None else analyse_endpoints(groups, measured, test=test, margins=margins)
    found.warnings += _unused(margins, statistics, endpoints)
    report = build_report(
        scored, found, statistics=statistics, published=published, policy=scoring.policy, earlier=folder,
        endpoints=endpoints, measurements=measured, subgroups=analyse_subgroups(groups, of_cases, _BY_SUBGROUP),
        reader_scores=reader_scores, calibrated=calibrated,
    )  # fmt: skip
    path = write_all(folder, report, scored.scores, measured)
    caches = (scored.cache, None if measured is None else known, reliability if calibrated.cases else None)
    write_caches(folder, *caches)
    written = write_supplement(
        folder, gather_facts(found, report, statistics=statistics, endpoints=endpoints, test=test, covariates=of_cases)
    ) if supplement else None  # fmt: skip
    return Comparison(
        scores=scored.scores,
        tables=list(report.tables),
        report=path,
        complete=report.complete,
        warnings=list(report.warnings),
        notes=list(report.notes),
        statistics=statistics,
        rescored=scored.rescored,
        unscored=tuple(found.unscored),
        measurements=measured,
        endpoints=tuple(endpoints),
        headlines=tuple(report.headlines),
        reader_scores=reader_scores,
        supplement=written,
    )


class _Shared(TypedDict):
    """Arguments of everything that is computed from masks besides the scores."""

    scoring: Scoring
    checksums: ScoreCache | None
    jobs: int
    progress: Progress


def _measured(found: Found, wanted: bool | None, cache: MeasurementCache, shared: _Shared) -> pd.DataFrame | None:  # noqa: FBT001
    """Return the table of measurements; None if nothing is measured, with a note if that takes too long."""
    if wanted is None and not is_quick(found.predictions):
        found.notes.append("The femurs were not measured, which takes longer than scoring. Pass --measurements.")
        return None
    return None if wanted is False else measure_predictions(found.predictions, cache=cache, **shared)


def _require_usable(
    results: str | PathLike[str] | None,
    *,
    methods: Mapping[str, str | PathLike[str]] | None,
    raters: Mapping[str, str | PathLike[str]] | None,
    jobs: int,
) -> None:
    """Check the arguments that need no search for predictions.

    Raises:
        InputError: There is nothing to compare, or an argument is invalid (code "invalid-option"), or `results` is a
            file (code "not-found").
    """
    if results is None and not methods:
        msg = "Nothing to compare. Pass nnU-Net's results folder, or predictions with --method NAME=FOLDER."
        raise InputError(msg, code="invalid-option")
    for name, folders in (("methods", methods), ("raters", raters)):
        if folders is not None:
            require_type(name, folders, Mapping, "a mapping from names to folders")
    if jobs < 1:
        msg = f"jobs must be 1 or more, got {jobs}."
        raise InputError(msg, code="invalid-option")
    if results is not None and Path(results).is_file():
        msg = f"{results}: is a file. Pass nnU-Net's results folder, or a part of it."
        raise InputError(msg, code="not-found")


def _margins(against: str | None, margin: float | Mapping[str, float] | None) -> Margins | None:
    """Return the margins of a comparison with a named method; None if none is named.

    Raises:
        InputError: One of both arguments is missing, or a margin is invalid (code "invalid-option").
    """
    if against is None:
        if margin is not None:
            msg = "margin needs the method to compare with. Pass --against TotalSegmentator, or another method's name."
            raise InputError(msg, code="invalid-option")
        return None
    if isinstance(margin, Mapping):
        return Margins(against, margin)
    return Margins(against, {} if margin is None else {DEFAULT_METRIC: margin})


def _covariates(file: str | PathLike[str] | None, found: Found) -> pd.DataFrame | None:
    """Return the covariates that divide the cases, None without a file; add a warning for what cannot be used.

    Raises:
        InputError: The file cannot be used (codes "unreadable", "invalid-file").
    """
    if file is None:
        return None
    table, problems = Covariates.read(Path(file)).of_cases({case for one in found.predictions for case in one.files})
    found.warnings += problems
    return table


def _unused(
    margins: Margins | None, statistics: Sequence[GroupStatistics], endpoints: Sequence[GroupEndpoints]
) -> Iterator[str]:
    """Yield a sentence for each margin that nothing was compared with."""
    if margins is None:
        return
    measures = [one for group in statistics for one in group.measures.values()]
    measures += [one.statistics for group in endpoints for one in group.main.values()]
    used = {one.measure.metric for one in measures if one.margins}
    for name in margins.by_name:
        if name not in used:
            measure = " Pass --measurements." if name in MAIN and not endpoints else ""
            yield f"The margin of {name} was not used: no method can be compared with {margins.against}.{measure}"
