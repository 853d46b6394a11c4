"""Scores of an earlier run, so that only changed predictions are scored again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.atomic_files import written_beside
from nnunet_femur.evaluation import AxisProfile, Overlap, SliceScores
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.headers import is_detached
from nnunet_femur.records import code_fingerprint, fingerprint, sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation import CaseScores, EmptyPolicy, Scoring

CACHE_FILE = "scores-cache.jsonl"
"""Name of the cache in the report's folder; it may be deleted at any time."""

_DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in another file, so the header does not show whether they changed."""

Label = tuple[str, str, str, str, str]
"""Protocol, plane, region, metric and unit of a score."""


@dataclass(frozen=True)
class CachedCase:
    """The part of a prediction's scores that is kept.

    Attributes:
        labels: Protocol, plane, region, metric and unit of each score.
        values: The scores, shape (n,).
        index: Axial slices that contain reference or prediction.
        axial: Voxel counts of these slices.
        profile: Agreement along the bone's long axis; None for an empty reference.
        warnings: Assumptions about the two masks.
    """

    labels: tuple[Label, ...]
    values: NDArray[np.float64]
    index: NDArray[np.int64]
    axial: Overlap
    profile: AxisProfile | None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, case: CaseScores) -> CachedCase:
        """Return the part of a case's scores that is kept."""
        labels = tuple((*one.measure, one.unit) for one in case.scores)
        values = np.array([one.value for one in case.scores])
        axial = case.slices["axial"]
        return cls(_interned(labels), values, axial.index, axial.overlap, case.profile, case.warnings)

    def slices(self, policy: EmptyPolicy) -> SliceScores:
        """Return the scores of the axial slices."""
        return SliceScores.of(self.index, self.axial, policy)


@lru_cache(maxsize=64)
def _interned(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """Return one object for equal labels, so that thousands of cases share it."""
    return labels


@dataclass
class ScoreCache:
    """Scores by everything that determines them: the content of both masks, the options, and the scoring code.

    The content of a file is read only if its size or its times have changed since its checksum was computed.

    Attributes:
        cases: Scores by key.
        checksums: Size, time of modification, time of change (both in ns) and SHA-256 of each mask, by path.
    """

    cases: dict[str, CachedCase] = field(default_factory=dict)
    checksums: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    _used: dict[str, CachedCase] = field(default_factory=dict, repr=False)
    _seen: dict[str, tuple[int, int, int, str]] = field(default_factory=dict, repr=False)

    def key(self, reference: Path, prediction: Path, scoring: Scoring, *, in_slices: bool) -> str | None:
        """Return the key of a prediction's scores; None if a mask has no checksum, so that it is always scored."""
        masks = [self.checksum(path) for path in (reference, prediction)]
        if None in masks:
            return None
        options = [scoring.policy.name, scoring.slice_surfaces, in_slices, scoring.segments, scoring.labels]
        return fingerprint([*masks, *options, _code()])

    def get(self, key: str | None) -> CachedCase | None:
        """Return the scores with a key; None if the cache does not contain them."""
        return self.cases.get(key) if key else None

    def put(self, key: str | None, case: CachedCase) -> None:
        """Keep scores for the next run."""
        if key:
            self._used[key] = case

    def write(self, folder: Path) -> None:
        """Write the scores that this run used to :data:`CACHE_FILE`; others are dropped.

        Raises:
            OSError: The file cannot be written.
        """
        labels: dict[tuple[Label, ...], int] = {}
        for case in self._used.values():
            labels.setdefault(case.labels, len(labels))
        head = {"files": self._seen, "labels": list(labels)}
        target = folder / CACHE_FILE
        with (
            written_beside(target, durable=False) as partial,
            partial.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.write(json.dumps(head) + "\n")
            for key, case in self._used.items():
                file.write(json.dumps(_as_json(key, case, labels[case.labels])) + "\n")

    @classmethod
    def read(cls, folder: Path) -> ScoreCache:
        """Return the cache of a report's folder; an empty cache if the folder has none or a damaged one."""
        path = folder / CACHE_FILE
        try:
            with path.open(encoding="utf-8") as file:
                head = json.loads(next(file))
                labels = [_interned(tuple((p, q, r, m, u) for p, q, r, m, u in one)) for one in head["labels"]]
                cases = dict(_from_json(json.loads(line), labels) for line in file)
            checksums = {name: (int(a), int(b), int(c), str(d)) for name, (a, b, c, d) in head["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration, AttributeError):
            # The cache only saves time: without it, everything is scored.
            return cls()
        return cls(cases, checksums)

    def checksum(self, path: Path) -> str | None:
        """Return the SHA-256 of a mask or CT; None for a missing file, and for one whose voxels are in another file."""
        if volume_ending(path) in _DETACHED or not path.is_file():
            return None
        name = str(path)
        if name in self._seen:
            return self._seen[name][3]
        try:
            state = path.stat()
            known = self.checksums.get(name)
            times = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            if volume_ending(path) in (".nrrd", ".mha") and is_detached(path):
                return None
            checksum = known[3] if known and known[:3] == times else sha256(path)
        except OSError:
            return None
        self._seen[name] = (*times, checksum)
        return checksum


@cache
def _code() -> str:
    """Return the fingerprint of the code that scores, so that another version of it scores again."""
    import nnunet_femur.evaluation
    import nnunet_femur.imaging

    modules = (nnunet_femur.evaluation, nnunet_femur.imaging)
    return code_fingerprint(*(Path(str(module.__file__)).parent for module in modules))


def _as_json(key: str, case: CachedCase, labels: int) -> dict[str, Any]:
    counts = {"index": case.index, **_columns(case.axial)}
    profile = case.profile and [of.tolist() for of in _columns(case.profile).values()]
    kept = {
        "key": key,
        "labels": labels,
        "values": case.values.tolist(),
        "axial": {name: of.tolist() for name, of in counts.items()},
        "profile": profile,
    }
    return kept | ({"warnings": list(case.warnings)} if case.warnings else {})


def _columns(counts: Overlap | AxisProfile) -> dict[str, NDArray[np.int64]]:
    return {"shared": counts.shared, "reference": counts.reference, "prediction": counts.prediction}


def _from_json(line: dict[str, Any], labels: list[tuple[Label, ...]]) -> tuple[str, CachedCase]:
    axial = {name: np.array(of, dtype=np.int64) for name, of in line["axial"].items()}
    case = CachedCase(
        labels=labels[line["labels"]],
        values=np.array(line["values"], dtype=float),
        index=axial["index"],
        axial=Overlap(axial["shared"], axial["reference"], axial["prediction"]),
        profile=line["profile"] and AxisProfile(*(np.array(of, dtype=np.int64) for of in line["profile"])),
        warnings=tuple(line.get("warnings", ())),
    )
    if len(case.labels) != len(case.values):
        msg = f"{line['key']}: {len(case.values)} scores for {len(case.labels)} labels"
        raise ValueError(msg)
    return str(line["key"]), case
