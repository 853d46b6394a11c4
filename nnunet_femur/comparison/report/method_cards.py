"""Method cards: recipe, training time, hardware and software of each method, from the records beside its models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.final_networks import final_network
from nnunet_femur.comparison.plain_values import plain
from nnunet_femur.comparison.predictions import RECORDS, method_names, read_record
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

from nnunet_femur.comparison.predictions import Predictions

_FOLD_WORD = 3
"""Position of the fold in the command ``nnUNetv2_train DATASET CONFIGURATION FOLD``."""


@dataclass(frozen=True)
class MethodCard:
    """The records of a method.

    Attributes:
        name: Short name of the method.
        folder: Name of its folder, ``TRAINER__PLANS__CONFIGURATION``, or the name that the user gave.
        facts: Pairs of a heading and its value; values that differ between folds are listed by fold.
        runs: Number of records found.
    """

    name: str
    folder: str
    facts: tuple[tuple[str, str], ...]
    runs: int


def method_cards(predictions: Sequence[Predictions]) -> list[MethodCard]:
    """Return a card for every method, in the order of the predictions. A method without records has no facts."""
    names = method_names(one.method for one in predictions if not one.rater)
    cards = []
    for method, name in names.items():
        folders = dict.fromkeys(one.method_folder for one in predictions if one.method == method)
        records = [record for path in _record_files(folders) if (record := _read(path))]
        cards.append(MethodCard(name, method, tuple(_facts(records)), len(records)))
    return cards


def _record_files(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for pattern in RECORDS for path in sorted(folder.glob(pattern))]


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a record; an empty one if it is damaged, which the search for predictions reports."""
    try:
        return read_record(path)
    except InputError:
        return {}


def _facts(records: Sequence[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """Yield the facts of a method that its records contain."""

    def listed(key: str) -> list[tuple[str, Any]]:
        """Return the value of each record that has one, with the fold of the record."""
        return [(_fold(record), record[key]) for record in records if record.get(key) not in (None, "", [], {})]

    facts = {
        "Recipe": [(fold, _pairs(recipe)) for fold, recipe in listed("recipe")],
        "Epochs": [
            (fold, f"{done}{_iterations(record)}")
            for record in records
            for fold, done in [(_fold(record), record.get("epochs_done"))]
            if done is not None
        ],
        "Final network": [(_fold(record), text) for record in records if (text := final_network(record))],
        "Slice by slice": [(fold, plain(value)) for fold, value in listed("works_in_slices")],
        "Parameters": [(fold, f"{value / 1e6:.1f} million") for fold, value in _numbers(listed("parameters"))],
        "Time": [(fold, _duration(value)) for fold, value in _numbers(listed("seconds"))],
        "Peak memory": [(fold, f"{value / 1024:.1f} GiB") for fold, value in _numbers(listed("peak_memory_mib"))],
        "Peak GPU memory": [
            (fold, f"{value / 1024:.1f} GiB") for fold, value in _numbers(listed("peak_device_memory_mib"))
        ],
        "Device": [(fold, str(value)) for fold, value in listed("device")],
        "Platform": [(fold, str(value)) for fold, value in listed("platform")],
        "Python": [(fold, str(value)) for fold, value in listed("python")],
        "Versions": [(fold, _versions(value)) for fold, value in listed("versions")],
        "Command": [(fold, _command(value, fold.removeprefix("fold "))) for fold, value in listed("command")],
    }
    for heading, values in facts.items():
        if values:
            yield heading, _merged(values)


def _numbers(values: Iterable[tuple[str, Any]]) -> list[tuple[str, float]]:
    return [(fold, value) for fold, value in values if isinstance(value, int | float)]


def _fold(record: dict[str, Any]) -> str:
    fold = record.get("fold")
    return f"fold {fold}" if fold is not None else ""


def _iterations(record: dict[str, Any]) -> str:
    iterations = record.get("iterations_per_epoch")
    return f" with {iterations} iterations each" if iterations else ""


def _merged(values: Sequence[tuple[str, str]]) -> str:
    """Return the common text of all folds, or the texts by fold."""
    if len({text for _, text in values}) == 1:
        return values[0][1]
    return "; ".join(f"{fold}: {text}" if fold else text for fold, text in values)


def _pairs(content: Any) -> str:
    if not isinstance(content, dict):
        return str(content)
    # A comma separates the pairs already.
    return ", ".join(
        f"{str(key).replace('_', ' ')} {plain(value, words='/', numbers=' × ')}" for key, value in content.items()
    )


def _versions(content: Any) -> str:
    """Return the versions of packages by their names, which keep their underscores."""
    if not isinstance(content, dict):
        return str(content)
    return ", ".join(f"{package} {number}" for package, number in content.items())


def _command(command: Any, fold: str) -> str:
    """Return a command with FOLD in place of the number of the fold, so that the commands of all folds are equal."""
    if not isinstance(command, list):
        return str(command)
    words = [str(word) for word in command]
    # Only at its position: a dataset may have the same number.
    if len(words) > _FOLD_WORD and words[_FOLD_WORD] == fold:
        words[_FOLD_WORD] = "FOLD"
    return " ".join(words)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
