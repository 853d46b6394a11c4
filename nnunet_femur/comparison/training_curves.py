"""Training curves of the compared methods, from the records of their trainings or from nnU-Net's logs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.planned_recipes import planned_recipe
from nnunet_femur.comparison.predictions import read_record
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.predictions import Predictions

FALLING = 0.05
"""Relative fall of the training loss per epoch from which a training counts as unfinished."""

EPOCHS_JUDGED = 3
"""Number of last epochs whose mean fall is judged. The loss of an epoch is a mean over random batches, so the fall of a
single epoch is often chance."""

_LOWEST = {"cross_entropy": 0.0, "dice_cross_entropy": -1.0}
"""Lowest possible value of each loss of the recipes; nnU-Net's Dice loss is -1 for a perfect prediction."""

Values = tuple[float, ...]
"""A value per epoch; NaN where it is not known."""


@dataclass(frozen=True)
class TrainingCurve:
    """Curves of the training of one network.

    Attributes:
        method: The method as in scores.csv.
        fold: Its fold, such as "0" or "all".
        train_loss: Mean training loss of each epoch.
        validation_loss: Mean loss of each epoch on random patches of the validation cases.
        pseudo_dice: Dice of each epoch on these patches, over all their voxels; the mean of all classes.
        seconds: Duration of each epoch in seconds.
        steps: Training steps of an epoch; None if unknown.
        planned: Number of epochs that were planned; None if unknown.
        lowest: Lowest possible value of the loss.

    Example:
        The loss halves in each epoch, so the training has not finished.

        >>> TrainingCurve("A", "0", (0.4, 0.2, 0.1), (), (), (), lowest=0).fall
        0.5
    """

    method: str
    fold: str
    train_loss: Values
    validation_loss: Values
    pseudo_dice: Values
    seconds: Values
    steps: int | None = None
    planned: int | None = None
    lowest: float = -1.0

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.train_loss)

    @property
    def minutes(self) -> float | None:
        """Duration of the epochs in minutes; None if no duration is known."""
        known = [one for one in self.seconds if not math.isnan(one)]
        return sum(known) / 60 if known else None

    def above_lowest(self, losses: Values) -> Values:
        """Return losses as differences from the lowest possible value; NaN where there is no difference."""
        return tuple(loss - self.lowest if loss > self.lowest else math.nan for loss in losses)

    @cached_property
    def fall(self) -> float | None:
        """Relative fall of the training loss per epoch at the end of the training, 0.05 for 5 %; None if unknown.

        It is the mean fall of the last :data:`EPOCHS_JUDGED` epochs, 1 - (last / earlier) ** (1 / epochs), of the loss
        above its lowest possible value: nnU-Net's Dice loss passes 0, where a share of the loss itself means nothing.
        Below 0, the loss rises.
        """
        left = self.above_lowest(self.train_loss)
        epochs = min(EPOCHS_JUDGED, len(left) - 1)
        if epochs < 1 or not (left[-1] > 0 and left[-1 - epochs] > 0):
            return None
        return 1 - (left[-1] / left[-1 - epochs]) ** (1 / epochs)

    @property
    def still_falling(self) -> bool:
        """True if the loss falls by :data:`FALLING` or more per epoch at the end, so more training would help."""
        return self.fall is not None and self.fall >= FALLING


def training_curves(predictions: Sequence[Predictions]) -> list[TrainingCurve]:
    """Return the curves of every trained network, in the order of the methods and of the folds' names.

    They come from ``run.json``, or from ``training_log_*.txt`` where the record lacks them, as that of a training by a
    trainer of nnU-Net's.

    Args:
        predictions: The compared predictions; their methods' folders are searched.
    """
    found = []
    for method in dict.fromkeys(one.method for one in predictions):
        folders = dict.fromkeys(one.method_folder for one in predictions if one.method == method)
        for folder in folders:
            for fold in sorted(folder.glob("fold_*")):
                curve = read_curve(method, fold)
                if curve.epochs:
                    found.append(curve)
    return found


def read_curve(method: str, fold: Path) -> TrainingCurve:
    """Return the curves of one training; without any epoch if nothing is recorded.

    Args:
        method: The method as in scores.csv.
        fold: Folder of the trained fold.
    """
    try:
        record = read_record(fold / "run.json")
    except InputError:
        record = {}
    curves = record.get("curves")
    curves = curves if isinstance(curves, dict) else _logged(fold)
    recorded = record.get("recipe")
    recipe = recorded if isinstance(recorded, dict) else planned_recipe(fold.parent)
    return TrainingCurve(
        method=method,
        fold=fold.name.removeprefix("fold_"),
        train_loss=_values(curves, "train_loss"),
        validation_loss=_values(curves, "validation_loss"),
        pseudo_dice=_values(curves, "pseudo_dice"),
        seconds=_values(curves, "seconds"),
        steps=_whole(record.get("iterations_per_epoch", recipe.get("iterations_per_epoch"))),
        planned=_whole(record.get("epochs_planned", recipe.get("epochs"))),
        lowest=_LOWEST.get(str(recipe.get("loss")), -1.0),
    )


def _values(curves: Mapping[str, Any], name: str) -> Values:
    listed = curves.get(name)
    if not isinstance(listed, list):
        return ()
    return tuple(float(value) if isinstance(value, int | float) else math.nan for value in listed)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


_NUMBER = r"-?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|nan|inf)"
_LINE = re.compile(
    rf"^\S+ \S+: +(?:(Epoch) (\d+)|(train_loss|val_loss|Epoch time:) ({_NUMBER})(?: s)?|(Pseudo dice) (\[.*\])) *$"
)
_DICE = re.compile(rf"(?:\(|\[|, )({_NUMBER})(?=[)\],])")
_LOGGED = {"train_loss": "train_loss", "val_loss": "validation_loss", "Epoch time:": "seconds"}


def _logged(fold: Path) -> dict[str, list[float]]:
    """Return the curves in nnU-Net's logs of a fold, without epochs that were not finished.

    Each start of the training has a log. A continued training repeats the epochs after its last checkpoint, and those
    of the later log count.
    """
    epochs: dict[int, dict[str, float]] = {}
    epoch: dict[str, float] = {}
    for log in sorted(fold.glob("training_log_*.txt"), key=_started):
        for name, text in _lines(log):
            if name == "Epoch":
                epochs = {number: one for number, one in epochs.items() if number < int(text)}
                epoch = epochs[int(text)] = {}
            elif name == "Pseudo dice":
                dice = [value for value in map(float, _DICE.findall(text)) if not math.isnan(value)]
                epoch["pseudo_dice"] = sum(dice) / len(dice) if dice else math.nan
            else:
                epoch[_LOGGED[name]] = float(text)
    done = [epoch for epoch in epochs.values() if "seconds" in epoch]
    return {
        name: [epoch.get(name, math.nan) for epoch in done]
        for name in ("train_loss", "validation_loss", "pseudo_dice", "seconds")
    }


def _started(log: Path) -> list[int]:
    """Return the start in the name of a log; nnU-Net writes months and days without leading zeros."""
    return [int(number) for number in re.findall(r"\d+", log.name)]


def _lines(log: Path) -> Iterator[tuple[str, str]]:
    """Yield name and value of the lines of a log that are about epochs."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                match = _LINE.match(line)
                if match:
                    name, text = filter(None, match.groups())
                    yield name, text
    except OSError:
        return
