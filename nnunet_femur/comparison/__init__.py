"""Many cases of many methods: discovery, scores, statistics, tables, figures, report."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.comparison.discovery import comparable, discover, require_equal_cases
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report.output import write_all
from nnunet_femur.comparison.report.report import build_report
from nnunet_femur.comparison.report.terminal_tables import print_tables
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.comparison.scoring import score
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.errors import InputError
from nnunet_femur.evaluation import POLICIES, Scoring
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

    from nnunet_femur.comparison.discovery import Found
    from nnunet_femur.comparison.predictions import Unscored
    from nnunet_femur.comparison.report.tables import Table
    from nnunet_femur.comparison.scoring import Scored
    from nnunet_femur.comparison.statistics.analysis import GroupStatistics
    from nnunet_femur.comparison.statistics.paired_tests import TestName

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found and wrote.

    Attributes:
        scores: The tidy table that stands in scores.csv.
        tables: The tables of the report.
        report: The HTML report; Markdown, scores.csv and figures lie beside it.
        complete: Whether every validation and test set that was started is there as a whole, and could be scored.
        warnings: What is missing, wrong or left out, a sentence each.
        notes: What has not been run yet, a sentence each.
        statistics: Summaries, tests and ranks of every group of methods.
        rescored: Number of predictions that were scored anew; those of the others were taken from the last run.
        unscored: Predictions that could not be scored, with the reason.
    """

    scores: pd.DataFrame
    tables: list[Table]
    report: Path
    complete: bool
    warnings: list[str]
    notes: list[str]
    statistics: list[GroupStatistics] = field(default_factory=list)
    rescored: int = 0
    unscored: tuple[Unscored, ...] = ()

    def print(self) -> None:
        """Print the tables and everything that is missing to standard output."""
        print_tables(self.tables, warnings=self.warnings, notes=self.notes, unscored=self.unscored)


def compare(
    results: Path | None,
    *,
    raw: Path | None = None,
    reference: Path | None = None,
    methods: Mapping[str, Path] | None = None,
    in_slices: Collection[str] = (),
    output: Path | None = None,
    intersect: bool = False,
    published: str | None = None,
    policy: str = "strict",
    test: TestName = "wilcoxon",
    slice_surfaces: bool = False,
    segments: Collection[str] = (),
    labels: Collection[int] = (),
    progress: Progress = SILENT,
) -> Comparison:
    """Score every method's fold validations and test predictions from the masks, and write a report.

    A mask that cannot be scored is named in the result and in the report, and the others go on. What has not changed
    since the last report in the same folder is not scored again.

    Args:
        results: nnU-Net's results folder, a ``DatasetNNN_NAME`` folder in it, or the folder of one method; None if
            only `methods` are compared.
        raw: nnU-Net's raw folder with the reference; None for ``$nnUNet_raw``, then ``nnUNet_raw`` beside the results.
        reference: A folder of masks named by case, in place of those of the raw dataset.
        methods: Folders of further predictions, by the name of their method.
        in_slices: Names of methods that work in slices, where their results do not record it.
        output: Folder of scores.csv, report.md, report.html and figures; None for ``results / "comparison"``, or
            ``comparison`` here.
        intersect: Go on with the cases that all methods have, where predictions are missing or cases differ.
        published: Name of published figures to print beside ours, such as ``paper``.
        policy: What empty masks score, one of :data:`~nnunet_femur.evaluation.POLICIES`.
        test: The paired test of all pairs of methods.
        slice_surfaces: Give slices surface scores too, about half a second per case.
        segments: Names of the segments of segmentations that are femur; none: the only one, or those named femur.
        labels: Values of masks that are femur; none: 1, or the only value above 0.
        progress: Receives the progress.

    Raises:
        InputError: A folder cannot be used, predictions are missing, methods rest on different cases, no mask can be
            scored, or `output` cannot be written.
        SetupError: The reference masks are not found.
    """
    if results is None and not methods:
        msg = "There is nothing to compare. Give nnU-Net's results folder, or predictions with --method NAME=FOLDER."
        raise InputError(msg)
    if policy not in POLICIES:
        msg = f"There is no policy for empty masks called {policy!r}. Choose one of: {', '.join(POLICIES)}."
        raise InputError(msg)
    folder = output or (results / "comparison" if results else Path("comparison"))
    _require_writable(folder)
    found = discover(results, raw=raw, reference=reference, methods=methods, in_slices=in_slices)
    require_equal_cases(found, intersect=intersect)
    scoring = Scoring(POLICIES[policy], slice_surfaces, tuple(segments), tuple(labels))
    scored = score(found.predictions, scoring=scoring, cache=ScoreCache.read(folder), progress=progress)
    scored = _leave_out(found, scored, everywhere=intersect)
    found.warnings += scored.warnings
    if scored.scores.empty:
        msg = "No prediction could be scored:\n" + "\n".join(
            f"  {reason}" for reason in dict.fromkeys(one.reason for one in found.unscored)
        )
        raise InputError(msg)
    statistics = analyse_groups(group_scores(scored.scores, ends_only=scored.ends_only), test=test)
    report = build_report(
        scored, found, statistics=statistics, published=published, policy=scoring.policy, earlier=folder
    )
    path = write_all(folder, report, scored.scores)
    if scored.cache:
        try:
            scored.cache.write(folder)
        except OSError as error:
            raise _unwritable(folder, error) from error
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
    )


def _leave_out(found: Found, scored: Scored, *, everywhere: bool) -> Scored:
    """Take what could not be scored out of what was found, and with `everywhere` those cases of other methods too."""
    for place, (one, cases) in enumerate(comparable(found, scored.unscored)):
        mine = {
            bad.case for bad in scored.unscored if (bad.method, bad.set, bad.fold) == (one.method, one.set, one.fold)
        }
        kept = {case: path for case, path in one.files.items() if case not in (cases if everywhere else mine)}
        if left_out := sorted(one.files.keys() - kept.keys() - mine):
            found.warnings.append(
                f"{one.title}: not compared, since not every method could be scored on them: {', '.join(left_out)}."
            )
        found.predictions[place] = replace(one, files=kept)
    found.unscored += scored.unscored
    if not (everywhere and scored.unscored):
        return scored
    kept_keys = {(one.method, one.set, one.fold, case) for one in found.predictions for case in one.files}
    columns = [scored.scores[name] for name in ("method", "set", "fold", "case")]
    return replace(
        scored,
        scores=scored.scores[[key in kept_keys for key in zip(*columns, strict=True)]].reset_index(drop=True),
        slices={key: of for key, of in scored.slices.items() if key in kept_keys},
        profiles={key: of for key, of in scored.profiles.items() if key in kept_keys},
    )


def _require_writable(folder: Path) -> None:
    """Find out before minutes of scoring whether the report could be written."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise _unwritable(folder, NotADirectoryError(20, f"{there} is a file"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(13, "Permission denied"))


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written ({error.strerror}). Choose another folder with --output.")
