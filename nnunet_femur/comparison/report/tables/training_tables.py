"""Table of the trainings: their length, their last losses, and whether the loss was still falling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nnunet_femur.comparison.predictions import method_names
from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.tables.model import GAP, Cell, Column, Row, Table, count, number
from nnunet_femur.comparison.training_curves import EPOCHS_JUDGED, FALLING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.report.report_data import ReportData
    from nnunet_femur.comparison.training_curves import TrainingCurve, Values

_COLUMNS = (
    Column("epochs", "Training"),
    Column("steps", "Training"),
    Column("minutes", "Training", unit="min"),
    Column("training", "Loss, last epoch"),
    Column("validation", "Loss, last epoch"),
    Column("last epoch", "Pseudo Dice"),
    Column("highest", "Pseudo Dice"),
    Column("fall per epoch (%)", unit="%"),
    Column("state", unit=""),
)


def training_tables(data: ReportData) -> Iterator[Table]:
    """Yield one table with a row for every trained network, if any training is recorded."""
    if not data.curves:
        return
    names = method_names(data.scored.scores["method"].unique())
    several = len({curve.method.rpartition("/")[0] for curve in data.curves}) > 1
    yield Table(
        name="training",
        section=sections.TRAINING,
        title="Length and end of each training",
        columns=_COLUMNS,
        rows=tuple(
            Row(
                " · ".join(filter(None, (curve.method.rpartition("/")[0] if several else "", names[curve.method]))),
                _cells(curve),
                f"fold {curve.fold}",
            )
            for curve in data.curves
            if curve.method in names
        ),
        note=(
            "Validation loss and pseudo Dice: on random patches of the validation cases after each epoch, as nnU-Net "
            "logs them. They are not the scores of whole volumes. Fall per epoch: mean relative fall of the training "
            f"loss in the last {EPOCHS_JUDGED} epochs, of the loss above its lowest possible value (0 for "
            f"cross-entropy, −1 for Dice loss and cross-entropy). Still falling: {100 * FALLING:g} % per epoch or more."
        ),
    )


def _cells(curve: TrainingCurve) -> tuple[Cell, ...]:
    steps = curve.steps and curve.steps * curve.epochs
    known = [dice for dice in curve.pseudo_dice if not math.isnan(dice)]
    return (
        count(curve.epochs),
        GAP if not steps else count(steps),
        number(curve.minutes, "min"),
        _last(curve.train_loss, places=4),
        _last(curve.validation_loss, places=4),
        _last(curve.pseudo_dice, places=3),
        number(max(known, default=None)),
        number(None if curve.fall is None else 100 * curve.fall, "%"),
        Cell(state_of(curve)),
    )


def _last(values: Values, *, places: int) -> Cell:
    if not values or math.isnan(values[-1]):
        return GAP
    return Cell(f"{values[-1]:.{places}f}".replace("-", "−"), values[-1])


def state_of(curve: TrainingCurve) -> str:
    """Return the state of a training: "5 of 10 epochs", "still falling", "settled", or "–" if it is unknown."""
    if curve.planned is not None and curve.epochs < curve.planned:
        return f"{curve.epochs} of {curve.planned} epochs"
    if curve.fall is None:
        return "–"
    return "still falling" if curve.still_falling else "settled"
