"""Published figures to print beside the scores of a comparison.

To add a publication, add a file ``published_NAME.json`` beside this module, with the keys of :class:`PublishedFigures`.
"""

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
    """Scores and training times of one publication.

    Attributes:
        name: Name for the option ``--published``.
        source: Citation of the publication and its tables.
        methods: The publication's name of each method, by trainer of this package or by
            ``TRAINER__PLANS__CONFIGURATION``.
        tables: The numbers by table, method and score: [mean, standard deviation], or training time in minutes.
    """

    name: str
    source: str
    methods: Mapping[str, str]
    tables: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def figure(self, table: str, method: str, score: str) -> str:
        """Return a published number as printed; an empty text if it was not published.

        Args:
            table: One of :attr:`tables`.
            method: The method as in scores.csv, with or without ``DatasetNNN_NAME/`` before it.
            score: Name of a metric, or "minutes".

        Example:
            >>> read_published("paper").figure("3d_whole", "FemurUnetResNet34Trainer__nnUNetPlans__2d", "dice")
            '0.957 ± 0.020'
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
    """Return the names of all publications.

    Example:
        >>> published_names()
        ['paper']
    """
    return sorted(path.stem.removeprefix("published_") for path in _FOLDER.glob("published_*.json"))


def read_published(name: str) -> PublishedFigures:
    """Return the figures of a publication.

    Args:
        name: One of :func:`published_names`.

    Raises:
        InputError: The name is unknown (code "invalid-option").
    """
    if name not in published_names():
        msg = f"published must be one of {', '.join(published_names())}, got {name!r}."
        raise InputError(msg, code="invalid-option")
    return PublishedFigures(**json.loads((_FOLDER / f"published_{name}.json").read_text(encoding="utf-8")))
