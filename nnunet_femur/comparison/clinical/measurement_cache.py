"""Measurements of an earlier run, so that only changed masks are measured again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import written_beside
from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur
from nnunet_femur.records import code_fingerprint, fingerprint

if TYPE_CHECKING:
    from nnunet_femur.comparison.clinical.measured_masks import MeasuredMask
    from nnunet_femur.comparison.score_cache import ScoreCache
    from nnunet_femur.evaluation import Scoring

CACHE_FILE = "measurements-cache.jsonl"
"""Name of the cache in the report's folder; it may be deleted at any time."""


@dataclass
class MeasurementCache:
    """Measurements by everything that determines them: mask, reference grid, CT, options, and the code that measures.

    Attributes:
        masks: Measurements by key.
    """

    masks: dict[str, MeasuredMask] = field(default_factory=dict)
    _used: dict[str, MeasuredMask] = field(default_factory=dict, repr=False)

    def get(self, key: str | None) -> MeasuredMask | None:
        """Return the measurements with a key; None if the cache does not contain them."""
        return self.masks.get(key) if key else None

    def put(self, key: str | None, mask: MeasuredMask) -> None:
        """Keep measurements for the next run."""
        if key:
            self._used[key] = mask

    def write(self, folder: Path) -> None:
        """Write the measurements that this run used to :data:`CACHE_FILE`; others are dropped.

        Raises:
            OSError: The file cannot be written.
        """
        with (
            written_beside(folder / CACHE_FILE, durable=False) as partial,
            partial.open("w", encoding="utf-8", newline="\n") as file,
        ):
            for key, mask in self._used.items():
                file.write(json.dumps({"key": key, "femurs": [asdict(femur) for femur in mask]}) + "\n")

    @classmethod
    def read(cls, folder: Path) -> MeasurementCache:
        """Return the cache of a report's folder; an empty cache if the folder has none or a damaged one."""
        try:
            with (folder / CACHE_FILE).open(encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            return cls({str(line["key"]): tuple(map(_femur, line["femurs"])) for line in lines})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # The cache only saves time: without it, everything is measured.
            return cls()


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
