"""Score one prediction or a folder of predictions without a dataset, and print or write the scores."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.arguments import require_one_of
from nnunet_femur.atomic_files import write_text
from nnunet_femur.comparison.grouping import values_by_measure
from nnunet_femur.comparison.predictions import Predictions, Traits, Unscored
from nnunet_femur.comparison.reference_masks import ReferenceMasks
from nnunet_femur.comparison.scoring import score_predictions
from nnunet_femur.errors import InputError
from nnunet_femur.evaluation import EMPTY_KINDS, METRICS, PLANES, REGIONS, REGIONS_TEXT, Measure, Scoring, find_policy
from nnunet_femur.imaging.dicom import is_dicom_folder
from nnunet_femur.imaging.sources import find_masks, mask_case
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from os import PathLike

    import pandas as pd
    from rich.table import Table

    from nnunet_femur.evaluation import EmptyPolicy

FORMATS = ("table", "csv", "json")
"""Forms in which scores can be printed."""

COLUMNS = ("case", "protocol", "plane", "region", "metric", "value", "unit")
"""Columns of the CSV, and keys of the JSON."""


@dataclass(frozen=True)
class FileScores:
    """Scores of predictions in files.

    Attributes:
        scores: One row per number, with :data:`COLUMNS`.
        policy: Scores of empty masks.
        unscored: Cases that could not be scored, ordered by case.
        warnings: Assumptions about masks, a sentence each.

    Example:
        >>> outcome = score_files("prediction.nrrd", "reference.nrrd")
        >>> outcome.write("csv", Path("one_case.csv"))
        >>> len(outcome.scores), outcome.unscored
        (289, ())
    """

    scores: pd.DataFrame
    policy: EmptyPolicy
    unscored: tuple[Unscored, ...] = ()
    warnings: tuple[str, ...] = ()

    def write(self, form: str = "table", path: Path | None = None) -> None:
        """Print the scores, or write them to a file; a file is complete or not written at all.

        Args:
            form: One of :data:`FORMATS`; a table contains the main scores, the others contain all scores.
            path: File to write. Default: standard output.

        Raises:
            InputError: The form is unknown (code "invalid-option"), or the file cannot be written (code
                "cannot-write").
        """
        require_one_of("--format", form, FORMATS)
        text = self._as_table() if form == "table" else self._as_csv() if form == "csv" else self._as_json()
        if path is None:
            sys.stdout.write(text)
            return
        try:
            write_text(path, text, durable=False)
        except OSError as error:
            msg = f"{path}: cannot be written ({error.strerror}). Choose another file with --output."
            raise InputError(msg, code="cannot-write") from error

    def _as_csv(self) -> str:
        return self.scores.to_csv(index=False, lineterminator="\n")

    def _as_json(self) -> str:
        records = json.loads(self.scores.to_json(orient="records", double_precision=15))
        content = {
            "empty_masks": {"policy": self.policy.name, "meaning": self.policy.meaning},
            "metrics": {name: {"label": one.label, "formula": one.formula} for name, one in METRICS.items()},
            "scores": records,
            "unscored": [{"case": one.case, "reason": one.reason} for one in self.unscored],
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def _as_table(self) -> str:
        from rich.console import Console

        console = Console(highlight=False)
        with console.capture() as captured:
            for case, rows in self.scores.groupby("case", sort=False):
                values = values_by_measure(rows)
                console.print(_volume_table(str(case), values))
                console.print(_slice_table(values))
                console.print(f"Scores set by the policy for empty masks: {_substituted(values)}.\n", style="dim")
            lines = [f"{metric.label} = {metric.formula}" for metric in METRICS.values()]
            lines += [f"Regions: {REGIONS_TEXT}."]
            lines += [f"Empty masks ({self.policy.name}): {self.policy.meaning}"]
            console.print("\n".join(lines), style="dim", markup=False)
        return captured.get()


def score_files(
    prediction: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    policy: str | EmptyPolicy = "strict",
    slice_surfaces: bool = False,
    in_slices: bool = False,
    segments: Collection[str] = (),
    labels: Collection[int] = (),
    progress: Progress = SILENT,
) -> FileScores:
    """Score a mask against its reference, or every mask of a folder against the reference of the same name.

    A case of a folder that cannot be scored does not stop the others.

    Args:
        prediction: A mask, or a folder of masks.
        reference: The reference mask, or a folder of reference masks.
        policy: Scores of empty masks: a policy or its name in :data:`~nnunet_femur.evaluation.POLICIES`.
        slice_surfaces: Compute surface metrics in slices as well.
        in_slices: True if the method predicts slice by slice; the protocol `paper` scores such methods differently.
        segments: Names of the segments of segmentations that are femur; empty: the only one, or those named femur.
        labels: Values of masks that are femur; empty: 1, or the only value above 0.
        progress: Receives the progress.

    Raises:
        InputError: No case can be scored (code "unscorable"), a path does not exist (code "not-found"), a folder
            contains no masks (code "no-predictions"), or one path is a mask and the other a folder of masks (code
            "invalid-option").

    Example:
        >>> scores = score_files("prediction.nrrd", "reference.nrrd").scores
        >>> scores.query("protocol == 'volume' and region == 'whole' and metric == 'dice'")
                case protocol plane region metric     value unit
        0  prediction   volume   all  whole   dice  0.972161    1
    """
    scoring = Scoring(find_policy(policy), slice_surfaces, tuple(segments), tuple(labels))
    prediction, reference = Path(prediction), Path(reference)
    predictions, references, problems = _pairs(prediction, reference)
    found = Predictions(
        dataset=ReferenceMasks(reference, train={}, test=references),
        method="prediction",
        set="test",
        fold="none",
        folder=prediction,
        files=predictions,
        traits=Traits(in_slices=in_slices),
        refused=problems,
    )
    scored = score_predictions([found], scoring=scoring, progress=progress if len(predictions) > 1 else SILENT)
    unscored = tuple(sorted((*found.unscored, *scored.unscored), key=lambda one: one.case))
    if scored.scores.empty:
        raise InputError("\n".join(one.reason for one in unscored), code="unscorable")
    return FileScores(scored.scores[list(COLUMNS)], scoring.policy, unscored, scored.warnings)


def _pairs(prediction: Path, reference: Path) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """Return predictions and references by case, and the reasons, by case, for which a case has no pair."""
    for path in (prediction, reference):
        if not path.exists():
            msg = f"{path}: not found. Check the path."
            raise InputError(msg, code="not-found")
    several = [path.is_dir() and not is_dicom_folder(path, outputs=False) for path in (prediction, reference)]
    if several[0] != several[1]:
        folder, file = (prediction, reference) if several[0] else (reference, prediction)
        msg = f"{folder} is a folder of masks, but {file} is one mask. Pass two masks, or two folders of masks."
        raise InputError(msg, code="invalid-option")
    if not several[0]:
        name = mask_case(prediction) or prediction.name
        return {name: prediction}, {name: reference}, {}
    (predictions, twice), (references, reference_twice) = find_masks(prediction), find_masks(reference)
    if not predictions and not twice:
        msg = f"{prediction}: contains no masks. Pass the folder that contains the masks themselves."
        raise InputError(msg, code="no-predictions")
    problems = {**twice, **reference_twice}
    for case in sorted(references.keys() - predictions.keys() - problems.keys()):
        problems[case] = f"{references[case]}: {prediction} contains no prediction of this case. Predict it."
    for case in sorted(predictions.keys() - references.keys() - problems.keys()):
        problems[case] = f"{predictions[case]}: {reference} contains no reference of this case. Add it."
    kept = predictions.keys() & references.keys() - problems.keys()
    return {case: path for case, path in predictions.items() if case in kept}, references, problems


def _volume_table(case: str, values: Mapping[Measure, float]) -> Table:
    grid = _grid(f"{case}, 3D")
    grid.add_column("score")
    regions = [region for region in REGIONS if Measure("volume", "all", region, "dice") in values]
    for region in regions:
        grid.add_column(region, justify="right")
    volumes = {
        f"{name}_volume": (f"{label} volume", "ml")
        for name, label in (("truth", "reference"), ("prediction", "prediction"))
    }
    rows = {name: (metric.label, metric.unit) for name, metric in METRICS.items()} | volumes
    for name, (label, unit) in rows.items():
        digits = 3 if unit == "1" else 2
        cells = [f"{values[Measure('volume', 'all', region, name)]:.{digits}f}" for region in regions]
        grid.add_row(label if unit == "1" else f"{label} [{unit}]".replace("[", "\\["), *cells)
    return grid


def _slice_table(values: Mapping[Measure, float]) -> Table:
    grid = _grid("slices of the whole bone, mean ± SD over slices")
    for heading in ("plane", "slices", *(METRICS[name].label for name in ("dice", "iou", "vs"))):
        grid.add_column(heading, justify="left" if heading == "plane" else "right")
    for plane in PLANES:
        in_plane = partial(Measure, "slices", plane, "whole")
        cells = [
            f"{values[in_plane(name)]:.3f} ± {values[in_plane(f'{name}_sd')]:.3f}" for name in ("dice", "iou", "vs")
        ]
        grid.add_row(plane, f"{values[in_plane('slices')]:.0f}", *cells)
    return grid


def _grid(title: str) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    return Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _substituted(values: Mapping[Measure, float]) -> str:
    in_volume, in_slices = (
        round(sum(values[Measure(protocol, plane, "whole", kind)] for plane in planes for kind in EMPTY_KINDS))
        for protocol, planes in (("volume", ("all",)), ("slices", PLANES))
    )
    return f"{in_volume} in 3D, {in_slices} in slices of three planes"
