"""Split patients into training, validation and test set, and the first two into five folds.

How many patients each set gets is found in the manner of iterative stratification (K. Sechidis, G. Tsoumakas,
I. Vlahavas: On the Stratification of Multi-label Data, ECML PKDD 2011): every set wishes for its share of each stratum,
and a patient goes to the set whose wish is least fulfilled, those with several femurs and those of rare strata first.
All femurs of a patient go together. All of it is integer arithmetic on counts, so the result is the same everywhere.

Which patients these are says a hash of seed and patient: among patients with the same femurs, those with the smallest
hashes are the test set, the next ones the validation set; the folds have a hash of their own. So the order of the input
does not matter, and a new patient moves no more of the old ones than stand at the borders of the sets.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDS = 5
"""Number of folds of the cross-validation; the fixed split follows them as one more."""

SMALLEST = FOLDS + 1
"""Fewest patients that can be split: one to test on and one to validate each fold on."""


@dataclass(frozen=True)
class Member:
    """A case to be split.

    Attributes:
        case: Its id.
        patient: Cases of one patient stay together.
        stratum: Each set and fold gets its share of every stratum.
    """

    case: str
    patient: str
    stratum: str


@dataclass(frozen=True)
class Split:
    """Who is in which set and fold; every tuple is sorted.

    Attributes:
        train: Cases of the fixed split's training set.
        validation: Cases of the fixed split's validation set.
        test: Cases that no model sees before the end.
        folds: For each fold, the cases it validates on; together they are training and validation set.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """The three sets by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @cached_property
    def set_of(self) -> dict[str, str]:
        """The set of each case."""
        return {case: name for name, cases in self.sets.items() for case in cases}

    @cached_property
    def fold_of(self) -> dict[str, int]:
        """The fold that validates on a case; test cases have none."""
        return {case: number for number, cases in enumerate(self.folds) for case in cases}

    def as_nnunet(self) -> list[dict[str, list[str]]]:
        """The content of ``splits_final.json``: the folds, and the fixed split as one more."""
        return [
            {"train": sorted(self.fold_of.keys() - set(validation)), "val": list(validation)}
            for validation in (*self.folds, self.validation)
        ]


def split(members: Iterable[Member], *, seed: int = 0) -> Split:
    """Deal cases into a training, validation and test set of 60, 20 and 20 %, and the first two into five folds.

    Validation and test set are a fifth each, rounded: 40 cases give 24, 8 and 8. The sizes are exact where every
    patient has one case, and as near as whole patients allow otherwise.

    Args:
        members: The cases, in any order.
        seed: Another seed gives another split.

    Raises:
        InputError: There are too few patients.
    """
    patients = _patients(members)
    if len(patients) < SMALLEST:
        msg = (
            f"A split by patient needs at least {SMALLEST} patients, one to test on and one for each of {FOLDS} folds; "
            f"here are {len(patients)}. Add patients."
        )
        raise InputError(msg)
    cases = sum(patient.size for patient in patients)
    fifth = (cases + 2) // 5
    quotas = (fifth, fifth, cases - 2 * fifth)
    most_patients = (len(patients) - FOLDS, cases, cases)
    test, validation, train = _deal(patients, quotas, most_patients=most_patients, salt=f"{seed}:sets")
    developing = train + validation
    fold_quotas = [len(range(fold, sum(patient.size for patient in developing), FOLDS)) for fold in range(FOLDS)]
    folds = _deal(developing, fold_quotas, most_patients=[cases] * FOLDS, salt=f"{seed}:folds")
    return Split(_ids(train), _ids(validation), _ids(test), tuple(_ids(fold) for fold in folds))


@dataclass(frozen=True)
class _Patient:
    name: str
    cases: tuple[str, ...]
    strata: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.cases)


def _patients(members: Iterable[Member]) -> list[_Patient]:
    grouped: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        grouped[member.patient].append(member)
    return [
        _Patient(
            patient,
            tuple(member.case for member in theirs),
            tuple(sorted(member.stratum for member in theirs)),
        )
        for patient, theirs in grouped.items()
    ]


def _ids(patients: Iterable[_Patient]) -> tuple[str, ...]:
    return tuple(sorted(case for patient in patients for case in patient.cases))


def _deal(
    patients: Sequence[_Patient], quotas: Sequence[int], *, most_patients: Sequence[int], salt: str
) -> list[list[_Patient]]:
    """Deal patients to sets of `quotas` cases, none of which is left empty or takes more than `most_patients`."""

    def rank(patient: _Patient) -> bytes:
        return hashlib.sha256(f"{salt}:{patient.name}".encode()).digest()

    alike: dict[tuple[str, ...], list[_Patient]] = defaultdict(list)
    for patient in sorted(patients, key=rank):
        alike[patient.strata].append(patient)
    numbers = _numbers({strata: len(group) for strata, group in alike.items()}, quotas, most_patients)
    dealt: list[list[_Patient]] = [[] for _ in quotas]
    for strata, group in alike.items():
        following = iter(group)
        for chosen, number in zip(dealt, numbers[strata], strict=True):
            chosen.extend(islice(following, number))
    return dealt


def _numbers(
    groups: dict[tuple[str, ...], int], quotas: Sequence[int], most_patients: Sequence[int]
) -> dict[tuple[str, ...], list[int]]:
    """For patients of the same strata, given their number, how many go to each set."""
    counts: Counter[str] = Counter()
    for strata, number in groups.items():
        counts.update(strata * number)
    total = sum(counts.values())
    # Wishes are counted in total-ths of a case, which keeps them whole numbers.
    wishes = [{stratum: count * quota for stratum, count in counts.items()} for quota in quotas]
    room, taken = list(quotas), [0] * len(quotas)
    numbers = {strata: [0] * len(quotas) for strata in groups}

    def order(strata: tuple[str, ...]) -> tuple[int, int, tuple[str, ...]]:
        # Whoever brings several cases goes first: single cases fill what they leave.
        return -len(strata), min(counts[stratum] for stratum in strata), strata

    waiting = [strata for strata in sorted(groups, key=order) for _ in range(groups[strata])]
    for left, strata in zip(range(len(waiting), 0, -1), waiting, strict=True):
        open_sets = [i for i in range(len(quotas)) if taken[i] < most_patients[i]]
        empty = [i for i in open_sets if not taken[i]]
        fitting = [i for i in open_sets if room[i] >= len(strata)]
        candidates = empty if left <= len(empty) else fitting or open_sets
        _, _, chosen = max((sum(wishes[i][stratum] for stratum in strata), room[i], i) for i in candidates)
        numbers[strata][chosen] += 1
        taken[chosen] += 1
        room[chosen] -= len(strata)
        for stratum in strata:
            wishes[chosen][stratum] -= total
    return numbers
