"""Published figures to print beside ours: data in ``reference_NAME.json`` beside this module."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PublishedFigures:
    """Figures of one publication.

    Attributes:
        name: What ``--reference`` calls it.
        source: Where the figures stand.
        methods: The publication's name of a method, by our trainer or by ``TRAINER__PLANS__CONFIGURATION``.
        tables: The figures by table, method and score: [mean, standard deviation], or the minutes of the training.
    """

    name: str
    source: str
    methods: Mapping[str, str]
    tables: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def figure(self, table: str, method: str, score: str) -> str:
        """The published figure as printed, or nothing where none was published.

        Args:
            table: One of :attr:`tables`.
            method: Our method as in scores.csv, with or without ``DatasetNNN_NAME/`` before it.
            score: A metric's name, or "minutes".
        """
        row = self._row(method)
        found = self.tables.get(table, {}).get(row, {}).get(score) if row else None
        if found is None:
            return ""
        return f"{found[0]:.3f} ± {found[1]:.3f}" if isinstance(found, list) else f"{found:g}"

    def _row(self, method: str) -> str | None:
        own = method.rpartition("/")[2]
        return self.methods.get(own) or self.methods.get(own.partition("__")[0])


def published_names() -> list[str]:
    """The names of what can be printed beside our figures."""
    return sorted(path.stem.removeprefix("reference_") for path in _FOLDER.glob("reference_*.json"))


def read_published(name: str) -> PublishedFigures:
    """The figures of a publication.

    Raises:
        InputError: There are none of this name.
    """
    if name not in published_names():
        msg = f"{name}: no published figures of this name. There are: {', '.join(published_names())}."
        raise InputError(msg)
    return PublishedFigures(**json.loads((_FOLDER / f"reference_{name}.json").read_text(encoding="utf-8")))
