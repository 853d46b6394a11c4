"""Scores of one prediction or of a folder of them, without a dataset: what `nnfemur score` prints."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text
from nnunet_femur.comparison.predictions import Predictions, Unscored
from nnunet_femur.comparison.reference_masks import Dataset
from nnunet_femur.comparison.scoring import score
from nnunet_femur.comparison.traits import Traits
from nnunet_femur.errors import InputError
from nnunet_femur.evaluation import EMPTY_KINDS, METRICS, PLANES, POLICIES, REGIONS, REGIONS_TEXT, Scoring
from nnunet_femur.imaging.dicom import is_dicom_folder
from nnunet_femur.imaging.sources import find_masks, mask_case
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import pandas as pd
    from rich.table import Table

    from nnunet_femur.evaluation import EmptyPolicy

FORMATS = ("table", "csv", "json")
"""How scores can be printed."""

COLUMNS = ("case", "protocol", "plane", "region", "metric", "value", "unit")
"""Columns of the CSV, and keys of the JSON."""


@dataclass(frozen=True)
class FileScores:
    """Scores of some predictions.

    Attributes:
        scores: One row per number, with :data:`COLUMNS`.
        policy: What empty masks scored.
        unscored: Cases that could not be scored, by case.
        warnings: What was assumed about masks, a sentence each.
    """

    scores: pd.DataFrame
    policy: EmptyPolicy
    unscored: tuple[Unscored, ...] = ()
    warnings: tuple[str, ...] = ()

    def write(self, form: str = "table", path: Path | None = None) -> None:
        """Print the scores, or write them to a file, whole or not at all.

        Args:
            form: One of :data:`FORMATS`; a table holds the main scores, the others hold all.
            path: File to write; None for standard output.

        Raises:
            InputError: There is no such form, or the file cannot be written.
        """
        if form not in FORMATS:
            msg = f"There is no format {form!r}. Choose one of: {', '.join(FORMATS)}."
            raise InputError(msg)
        text = self._as_table() if form == "table" else self._as_csv() if form == "csv" else self._as_json()
        if path is None:
            sys.stdout.write(text)
            return
        try:
            write_text(path, text, durable=False)
        except OSError as error:
            msg = f"{path}: cannot be written ({error.strerror}). Choose another file with --output."
            raise InputError(msg) from error

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
                values = rows.set_index(["protocol", "plane", "region", "metric"])["value"]
                console.print(_volume_table(str(case), values))
                console.print(_slice_table(values))
                console.print(f"Scores set by the policy for empty masks: {_substituted(values)}.\n", style="dim")
            lines = [f"{metric.label} = {metric.formula}" for metric in METRICS.values()]
            lines += [f"Regions: {REGIONS_TEXT}."]
            lines += [f"Empty masks ({self.policy.name}): {self.policy.meaning}"]
            console.print("\n".join(lines), style="dim", markup=False)
        return captured.get()


def _volume_table(case: str, values: pd.Series) -> Table:
    grid = _grid(f"{case}, 3D")
    grid.add_column("score")
    regions = [region for region in REGIONS if ("volume", "all", region, "dice") in values.index]
    for region in regions:
        grid.add_column(region, justify="right")
    volumes = {f"{name}_volume": (f"{name} volume", "ml") for name in ("truth", "prediction")}
    rows = {name: (metric.label, metric.unit) for name, metric in METRICS.items()} | volumes
    for name, (label, unit) in rows.items():
        digits = 3 if unit == "1" else 2
        cells = [f"{values['volume', 'all', region, name]:.{digits}f}" for region in regions]
        grid.add_row(label if unit == "1" else f"{label} [{unit}]".replace("[", "\\["), *cells)
    return grid


def _slice_table(values: pd.Series) -> Table:
    grid = _grid("slices of the whole bone, mean ± SD over slices")
    for heading in ("plane", "slices", *(METRICS[name].label for name in ("dice", "iou", "vs"))):
        grid.add_column(heading, justify="left" if heading == "plane" else "right")
    for plane in PLANES:
        place = ("slices", plane, "whole")
        cells = [
            f"{values[(*place, name)]:.3f} ± {values[(*place, f'{name}_sd')]:.3f}" for name in ("dice", "iou", "vs")
        ]
        grid.add_row(plane, f"{values[(*place, 'slices')]:.0f}", *cells)
    return grid


def _grid(title: str) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    return Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)


def _substituted(values: pd.Series) -> str:
    def counted(protocol: str, planes: tuple[str, ...]) -> int:
        return round(sum(values[protocol, plane, "whole", kind] for plane in planes for kind in EMPTY_KINDS))

    return f"{counted('volume', ('all',))} in 3D, {counted('slices', PLANES)} in slices of three planes"


def score_files(
    prediction: Path,
    reference: Path,
    *,
    policy: str = "strict",
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
        reference: The reference mask, or a folder of them.
        policy: What empty masks score, one of :data:`~nnunet_femur.evaluation.POLICIES`.
        slice_surfaces: Give slices surface scores too.
        in_slices: Whether the method works slice by slice, which the protocol `paper` treats differently.
        segments: Names of the segments of segmentations that are femur; none: the only one, or those named femur.
        labels: Values of masks that are femur; none: 1, or the only value above 0.
        progress: Receives the progress.

    Raises:
        InputError: No case can be scored, or one path is a file and the other a folder.
    """
    if policy not in POLICIES:
        msg = f"There is no policy for empty masks called {policy!r}. Choose one of: {', '.join(POLICIES)}."
        raise InputError(msg)
    predictions, references, problems = _pairs(prediction, reference)
    dataset = Dataset(reference, "", {}, references, (), {}, listed=False)
    traits = Traits(in_slices=in_slices)
    found = Predictions(dataset, "prediction", "test", "none", prediction, predictions, (), (), None, traits, problems)
    scoring = Scoring(POLICIES[policy], slice_surfaces, tuple(segments), tuple(labels))
    scored = score([found], scoring=scoring, progress=progress if len(predictions) > 1 else SILENT)
    unscored = tuple(sorted((*found.unscored, *scored.unscored), key=lambda one: one.case))
    if scored.scores.empty:
        raise InputError("\n".join(one.reason for one in unscored))
    return FileScores(scored.scores[list(COLUMNS)], POLICIES[policy], unscored, scored.warnings)


def _pairs(prediction: Path, reference: Path) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """Return predictions and references by case, and by case why there is no pair of them."""
    for path in (prediction, reference):
        if not path.exists():
            msg = f"{path}: there is no such file or folder. Check the path."
            raise InputError(msg)
    several = [path.is_dir() and not is_dicom_folder(path) for path in (prediction, reference)]
    if several[0] != several[1]:
        folder, file = (prediction, reference) if several[0] else (reference, prediction)
        msg = f"{folder} is a folder of masks and {file} is one mask. Give two masks, or two folders of masks."
        raise InputError(msg)
    if not several[0]:
        name = mask_case(prediction) or prediction.name
        return {name: prediction}, {name: reference}, {}
    (predictions, twice), (references, reference_twice) = find_masks(prediction), find_masks(reference)
    if not predictions and not twice:
        msg = f"{prediction}: contains no masks. Give the folder that contains the masks themselves."
        raise InputError(msg)
    problems = {**twice, **reference_twice}
    for case in sorted(references.keys() - predictions.keys() - problems.keys()):
        problems[case] = f"{references[case]}: there is no prediction of this case in {prediction}. Predict it."
    for case in sorted(predictions.keys() - references.keys() - problems.keys()):
        problems[case] = f"{predictions[case]}: there is no reference of this case in {reference}. Add it."
    kept = predictions.keys() & references.keys() - problems.keys()
    return {case: path for case, path in predictions.items() if case in kept}, references, problems
