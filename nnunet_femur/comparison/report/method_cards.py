"""Method cards: what was trained how, for how long, on what, from the records beside the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.predictions import RECORDS, read_record
from nnunet_femur.comparison.traits import method_names
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.predictions import Predictions

_FOLD_WORD = 3


@dataclass(frozen=True)
class Card:
    """What is known of a method.

    Attributes:
        name: Short name of the method.
        folder: Its folder, ``TRAINER__PLANS__CONFIGURATION``, or wherever its predictions lie.
        facts: Pairs of a heading and what is recorded, the same in all folds or listed by fold.
        runs: Number of records that were found.
    """

    name: str
    folder: str
    facts: tuple[tuple[str, str], ...]
    runs: int


def method_cards(predictions: Sequence[Predictions]) -> list[Card]:
    """Return a card for every method, in the order of the predictions; without records it holds the folder alone."""
    names = method_names(one.method for one in predictions)
    cards = []
    for method, name in names.items():
        mine = [one for one in predictions if one.method == method]
        folders = list(dict.fromkeys(_home(one.folder, method) for one in mine))
        records = [record for path in _records(folders) if (record := _read(path))]
        cards.append(Card(name, method, tuple(_facts(records)), len(records)))
    return cards


def _home(folder: Path, method: str) -> Path:
    """The method's own folder: predictions lie one or two levels below it, or in it."""
    own = method.rpartition("/")[2]
    return next((path for path in (folder, *folder.parents[:2]) if path.name == own), folder)


def _records(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders for place in RECORDS for path in sorted(folder.glob(place))]


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a record; nothing of a broken one, which the search for predictions has named."""
    try:
        return read_record(path)
    except InputError:
        return {}


def _facts(records: Sequence[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    def listed(key: str) -> list[tuple[str, Any]]:
        return [(_fold(record), record[key]) for record in records if record.get(key) not in (None, "", [], {})]

    made = {
        "Recipe": [(fold, _pairs(recipe)) for fold, recipe in listed("recipe")],
        "Epochs": [
            (fold, f"{done}{_times(record)}")
            for record in records
            for fold, done in [(_fold(record), record.get("epochs_done"))]
            if done is not None
        ],
        "Works in slices": [(fold, _plain(value)) for fold, value in listed("works_in_slices")],
        "Parameters": [(fold, f"{value / 1e6:.1f} million") for fold, value in _numbers(listed("parameters"))],
        "Time": [(fold, _duration(value)) for fold, value in _numbers(listed("seconds"))],
        "Memory": [(fold, f"{value / 1024:.1f} GiB") for fold, value in _numbers(listed("peak_memory_mib"))],
        "Memory of the device": [
            (fold, f"{value / 1024:.1f} GiB") for fold, value in _numbers(listed("peak_device_memory_mib"))
        ],
        "Device": [(fold, str(value)) for fold, value in listed("device")],
        "Platform": [(fold, str(value)) for fold, value in listed("platform")],
        "Python": [(fold, str(value)) for fold, value in listed("python")],
        "Versions": [(fold, _pairs(value)) for fold, value in listed("versions")],
        "Command": [(fold, _words(value, fold.removeprefix("fold "))) for fold, value in listed("command")],
    }
    for heading, values in made.items():
        if values:
            yield heading, _merged(values)


def _numbers(values: Iterable[tuple[str, Any]]) -> list[tuple[str, float]]:
    return [(fold, value) for fold, value in values if isinstance(value, int | float)]


def _fold(record: dict[str, Any]) -> str:
    fold = record.get("fold")
    return f"fold {fold}" if fold is not None else ""


def _times(record: dict[str, Any]) -> str:
    iterations = record.get("iterations_per_epoch")
    return f" of {iterations} iterations" if iterations else ""


def _merged(values: Sequence[tuple[str, str]]) -> str:
    """One text where all folds agree, else each fold's."""
    if len({text for _, text in values}) == 1:
        return values[0][1]
    return "; ".join(f"{fold}: {text}" if fold else text for fold, text in values)


def _pairs(content: Any) -> str:
    if not isinstance(content, dict):
        return str(content)
    return ", ".join(f"{str(key).replace('_', ' ')} {_plain(value)}" for key, value in content.items())


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(command: Any, fold: str) -> str:
    """A command, with FOLD for its number, since those of all folds are the same otherwise."""
    if not isinstance(command, list):
        return str(command)
    words = [str(word) for word in command]
    # nnUNetv2_train DATASET CONFIGURATION FOLD: a dataset may have the same number.
    if len(words) > _FOLD_WORD and words[_FOLD_WORD] == fold:
        words[_FOLD_WORD] = "FOLD"
    return " ".join(words)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
