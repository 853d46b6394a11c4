"""Scores of an earlier run, so that only what changed is scored again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.atomic_files import written_beside
from nnunet_femur.evaluation import AxisProfile, Overlap, SliceScores
from nnunet_femur.imaging.geometry import volume_ending
from nnunet_femur.imaging.header_text import is_detached
from nnunet_femur.records import code_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nnunet_femur.evaluation import CaseScores, EmptyPolicy, Scoring

CACHE_FILE = "scores-cache.jsonl"
"""Name of the cache in the report's folder: it may be deleted at any time."""

_DETACHED = (".nhdr", ".mhd")
"""Headers whose voxels lie in another file, so that they tell nothing about a change."""

Label = tuple[str, str, str, str, str]
"""Protocol, plane, region, metric and unit of a score."""


@dataclass(frozen=True)
class CachedCase:
    """What is kept of the scores of one prediction.

    Attributes:
        labels: Protocol, plane, region, metric and unit of each score.
        values: The scores, shape (n,).
        index: The axial slices that hold reference or prediction.
        axial: Their voxel counts.
        profile: Agreement along the bone's long axis; None for an empty reference.
        warnings: What was assumed about the two masks.
    """

    labels: tuple[Label, ...]
    values: NDArray[np.float64]
    index: NDArray[np.int64]
    axial: Overlap
    profile: AxisProfile | None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, case: CaseScores, warnings: Iterable[str] = ()) -> CachedCase:
        """What is kept of a case."""
        labels = tuple((one.protocol, one.plane, one.region, one.metric, one.unit) for one in case.scores)
        values = np.array([one.value for one in case.scores])
        axial = case.slices["axial"]
        return cls(_interned(labels), values, axial.index, axial.overlap, case.profile, tuple(warnings))

    def slices(self, policy: EmptyPolicy) -> SliceScores:
        """The scores of the axial slices."""
        return SliceScores.of(self.index, self.axial, policy)


@lru_cache(maxsize=64)
def _interned(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """One and the same object for equal labels, so that thousands of cases hold them once."""
    return labels


@dataclass
class ScoreCache:
    """Scores by what they rest on: the content of both masks, the options and the code that scores.

    A file is read to take its fingerprint only if its size or its times have changed since it was taken.

    Attributes:
        cases: What is kept, by key.
        fingerprints: Size, time of modification, time of change and fingerprint of every mask, by path.
    """

    cases: dict[str, CachedCase] = field(default_factory=dict)
    fingerprints: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    _used: dict[str, CachedCase] = field(default_factory=dict, repr=False)
    _seen: dict[str, tuple[int, int, int, str]] = field(default_factory=dict, repr=False)

    def key(self, reference: Path, prediction: Path, scoring: Scoring, *, in_slices: bool) -> str | None:
        """What the score of a prediction rests on; None if a mask cannot be fingerprinted, and so is always scored."""
        masks = [self._fingerprint(path) for path in (reference, prediction)]
        if None in masks:
            return None
        options = [scoring.policy.name, scoring.slice_surfaces, in_slices, scoring.segments, scoring.labels]
        return hashlib.blake2b(json.dumps([*masks, *options, _code()]).encode(), digest_size=20).hexdigest()

    def get(self, key: str | None) -> CachedCase | None:
        """The scores of this key, or None if they are not known."""
        return self.cases.get(key) if key else None

    def put(self, key: str | None, case: CachedCase) -> None:
        """Keep scores for the next run."""
        if key:
            self._used[key] = case

    def write(self, folder: Path) -> None:
        """Write what this run has used to :data:`CACHE_FILE`; what it did not use is forgotten.

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
        """The cache of a report's folder; an empty one if there is none, or if it cannot be used."""
        path = folder / CACHE_FILE
        try:
            with path.open(encoding="utf-8") as file:
                head = json.loads(next(file))
                labels = [_interned(tuple((p, q, r, m, u) for p, q, r, m, u in one)) for one in head["labels"]]
                cases = dict(_from_json(json.loads(line), labels) for line in file)
            fingerprints = {name: (int(a), int(b), int(c), str(d)) for name, (a, b, c, d) in head["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration, AttributeError):
            # It only saves time: without it, everything is scored.
            return cls()
        return cls(cases, fingerprints)

    def _fingerprint(self, path: Path) -> str | None:
        if volume_ending(path) in _DETACHED or not path.is_file():
            return None
        name = str(path)
        if name in self._seen:
            return self._seen[name][3]
        try:
            state = path.stat()
            known = self.fingerprints.get(name)
            times = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            if volume_ending(path) in (".nrrd", ".mha") and is_detached(path):
                return None
            fingerprint = known[3] if known and known[:3] == times else _content(path)
        except OSError:
            return None
        self._seen[name] = (*times, fingerprint)
        return fingerprint


def _content(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _code() -> str:
    """Return the fingerprint of the code that scores: another version of it scores anew."""
    import nnunet_femur.evaluation
    import nnunet_femur.imaging

    modules = (nnunet_femur.evaluation, nnunet_femur.imaging)
    return code_fingerprint(*(Path(str(module.__file__)).parent for module in modules))


def _as_json(key: str, case: CachedCase, labels: int) -> dict[str, Any]:
    counts = {"index": case.index, "shared": case.axial.shared, "reference": case.axial.reference}
    slices = {name: of.tolist() for name, of in (counts | {"prediction": case.axial.prediction}).items()}
    profile = case.profile and [of.tolist() for of in _profile_columns(case.profile)]
    kept = {"key": key, "labels": labels, "values": case.values.tolist(), "axial": slices, "profile": profile}
    return kept | ({"warnings": list(case.warnings)} if case.warnings else {})


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


def _profile_columns(profile: AxisProfile) -> Iterable[NDArray[np.int64]]:
    return profile.shared, profile.reference, profile.prediction
