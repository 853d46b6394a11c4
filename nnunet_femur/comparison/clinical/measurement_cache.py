"""Measurements of an earlier run, so that only changed masks are measured again."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur
from nnunet_femur.comparison.line_cache import LineCache
from nnunet_femur.records import code_fingerprint, fingerprint

if TYPE_CHECKING:
    from nnunet_femur.comparison.clinical.measured_masks import MeasuredMask
    from nnunet_femur.comparison.score_cache import ScoreCache
    from nnunet_femur.evaluation import Scoring

CACHE_FILE = "measurements-cache.jsonl"
"""Name of the cache in the report's folder; it may be deleted at any time."""


class MeasurementCache(LineCache["MeasuredMask"]):
    """Measurements by everything that determines them: mask, reference grid, CT, options, and the code that measures.

    Args:
        kept: Measurements by key.
    """

    file_name = CACHE_FILE

    @staticmethod
    def as_json(result: MeasuredMask) -> dict[str, Any]:
        """Return measurements as JSON content."""
        return {"femurs": [asdict(femur) for femur in result]}

    @staticmethod
    def from_json(line: dict[str, Any]) -> MeasuredMask:
        """Return the measurements of :meth:`as_json`."""
        return tuple(map(_femur, line["femurs"]))


def measurement_key(
    checksums: ScoreCache, mask: Path, *, reference: Path, ct: Path | None, scoring: Scoring
) -> str | None:
    """Return the key of the measurements of a mask; None if a file has no checksum, so that it is always measured.

    Args:
        checksums: Cache of scores, which keeps the checksums of files.
        mask: The mask.
        reference: The reference mask of its case, along whose axes it is read.
        ct: The CT of the case; None without one.
        scoring: Options that determine which voxels of a mask are femur.
    """
    contents = [checksums.checksum(path) for path in (mask, reference, *([ct] if ct else []))]
    if None in contents:
        return None
    return fingerprint([*contents, scoring.segments, scoring.labels, _code()])


@cache
def _code() -> str:
    """Return the fingerprint of the code that measures, so that another version of it measures again."""
    import nnunet_femur.imaging
    import nnunet_femur.measurement

    modules = (nnunet_femur.measurement, nnunet_femur.imaging)
    folders = [Path(str(module.__file__)).parent for module in modules]
    return code_fingerprint(*folders, Path(__file__).parent)


def _femur(kept: dict[str, Any]) -> MeasuredFemur:
    values = {str(key): _value(value) for key, value in kept["values"].items()}
    center = kept["center_mm"]
    return MeasuredFemur(
        side=str(kept["side"]),
        center_mm=None if center is None else _point(center),
        values=values,
        missing={str(key): str(code) for key, code in kept["missing"].items()},
    )


def _value(kept: Any) -> float | tuple[float, float, float]:
    return _point(kept) if isinstance(kept, list) else float(kept)


def _point(kept: Any) -> tuple[float, float, float]:
    x, y, z = map(float, kept)
    return x, y, z
