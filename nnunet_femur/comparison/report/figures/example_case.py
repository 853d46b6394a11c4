"""The choice of the case that figures of a single case show, and of the predictions to show for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.comparison.report.report_data import DICE
from nnunet_femur.comparison.statistics.analysis import whole_femur_entries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.comparison.grouping import Entry, Group
    from nnunet_femur.comparison.predictions import Predictions
    from nnunet_femur.comparison.report.figures.slice_images import SliceReader
    from nnunet_femur.comparison.report.report_data import ReportData


@dataclass(frozen=True)
class ExampleCase:
    """A case that every method predicted, and the method with the highest 3D Dice.

    Attributes:
        group: The group that the case belongs to.
        case: The case with the median 3D Dice among those of the best method; of two, the lower one.
        best: The method with the highest mean 3D Dice.
        predictions: The predictions of each method, by its name and fold, the best method first. Of several folds it
            is the first one that predicted the case.
    """

    group: Group
    case: str
    best: Entry
    predictions: dict[str, Predictions]

    @property
    def best_label(self) -> str:
        """Name and fold of the best method."""
        return next(iter(self.predictions))

    @property
    def best_predictions(self) -> Predictions:
        """The predictions of the best method."""
        return self.predictions[self.best_label]

    def reference(self, reader: SliceReader) -> NDArray[np.bool_]:
        """Read the reference mask of the case, shape (z, y, x)."""
        return reader.reference(self.best_predictions, self.case).voxels


def choose_example(data: ReportData) -> ExampleCase | None:
    """Return the example case of the first group with predictions, or None without masks."""
    for group in data.groups:
        entries = whole_femur_entries(group)
        values = {entry.label: entry.defined for entry in entries}
        if not all(DICE in frame for frame in values.values()):
            continue
        shared = sorted(set.intersection(*(set(frame.index) for frame in values.values())))
        best = max(entries, key=lambda entry: float(values[entry.label][DICE].mean()))
        dice = values[best.label][DICE].reindex(shared).sort_values(kind="stable")
        if not shared or not data.predictions:
            continue
        case = str(dice.index[(len(dice) - 1) // 2])
        ordered = [best, *(entry for entry in entries if entry is not best)]
        found = [(entry, one) for entry in ordered if (one := predictions_of(data, group, entry, case))]
        if found and found[0][0] is best:
            return ExampleCase(group, case, best, {_label(entry, one): one for entry, one in found})
    return None


def _label(entry: Entry, predictions: Predictions) -> str:
    return entry.label if len(entry.folds) == 1 else f"{entry.name}{predictions.fold_suffix}"


def predictions_of(data: ReportData, group: Group, entry: Entry, case: str) -> Predictions | None:
    """Return the first predictions of a method that include a case, or None."""
    return next(
        (
            one
            for one in data.predictions
            if one.method == entry.method and one.set == group.set and one.fold in entry.folds and case in one.files
        ),
        None,
    )
