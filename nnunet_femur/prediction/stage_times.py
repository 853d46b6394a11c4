"""Times of the stages of a prediction."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STAGES = ("read", "preprocess", "network", "export", "checks", "write")
"""Stages of a prediction, in their order.

``read``: the file, its orientation, and the checks of its values. ``preprocess``: cropping, normalization, resampling.
``network``: all windows of all folds. ``export``: resampling to the CT's grid, and postprocessing. ``checks``: sides,
measurements, findings. ``write``: the files.
"""


class StageTimes:
    """Adds up the seconds of each stage, on the clock.

    Args:
        seconds: Seconds so far by stage.

    Example:
        >>> times = StageTimes()
        >>> with times.measuring("read"):
        ...     pass
        >>> list(times.seconds)
        ['read']
        >>> with times.measuring("reading"):
        ...     pass
        Traceback (most recent call last):
        ValueError: stage must be one of read, preprocess, network, export, checks, write, got 'reading'.
    """

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self._seconds = dict(seconds or {})

    @contextmanager
    def measuring(self, stage: str) -> Iterator[None]:
        """Add the seconds of the block to a stage.

        Args:
            stage: One of :data:`STAGES`.

        Raises:
            ValueError: There is no such stage.
        """
        if stage not in STAGES:
            msg = f"stage must be one of {', '.join(STAGES)}, got {stage!r}."
            raise ValueError(msg)
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - start

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of the stages so far, in the order of :data:`STAGES`."""
        return {stage: self._seconds[stage] for stage in STAGES if stage in self._seconds}
