"""Selections that repeat the masks of another method, which a comparison must count once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.predictions import Predictions


@dataclass(frozen=True)
class _Choice:
    """The choice that a selection made: the method, and its postprocessing.

    Attributes:
        method: The chosen method, as in scores.csv.
        postprocessing: Names of nnU-Net's functions.
        changed: Number of test masks that they changed; None if unknown.
        among: Number of candidates.
    """

    method: str
    postprocessing: tuple[str, ...]
    changed: int | None
    among: int


def repeated_methods(predictions: Sequence[Predictions]) -> dict[str, str]:
    """Return the methods whose masks are those of another compared method, with the name of the other.

    ``nnfemur select`` writes the test set of the method that it chose. Without postprocessing, or if postprocessing
    changed no mask, it is a copy. The best configuration is a copy of its postprocessed method.

    Args:
        predictions: The predictions of all methods.
    """
    choices = {method: choice for method, folder in _folders(predictions) if (choice := _choice(method, folder))}
    parts: dict[str, set[tuple[str, str]]] = {}
    for one in predictions:
        parts.setdefault(one.method, set()).add((one.set, one.fold))
    found: dict[str, str] = {}
    kept: dict[tuple[str, tuple[str, ...]], str] = {}
    # A selection with one candidate has that method's name; the best configuration refers to it.
    for method, choice in sorted(choices.items(), key=lambda item: item[1].among):
        same = choice.method if not choice.postprocessing or choice.changed == 0 else None
        same = same or kept.get((choice.method, choice.postprocessing))
        if same in parts and parts[method] <= parts[same]:
            found[method] = same
        else:
            kept.setdefault((choice.method, choice.postprocessing), method)
    return found


def _folders(predictions: Sequence[Predictions]) -> Iterator[tuple[str, Path]]:
    yield from {one.method: one.method_folder for one in predictions}.items()


def _choice(method: str, folder: Path) -> _Choice | None:
    """Return the choice that the record of a method contains; None for methods that are not selections."""
    record = read_json(folder / "run.json")
    recipe = record.get("recipe") if isinstance(record, dict) else None
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("chosen"), str):
        return None
    dataset = method.rpartition("/")[0]
    return _Choice(
        method=f"{dataset}/{recipe['chosen']}" if dataset else recipe["chosen"],
        postprocessing=tuple(_texts(recipe.get("postprocessing"))),
        changed=record.get("changed_test_masks"),
        among=len(_texts(recipe.get("best of"))),
    )


def _texts(listed: Any) -> list[str]:
    return [str(each) for each in listed] if isinstance(listed, list) else []
