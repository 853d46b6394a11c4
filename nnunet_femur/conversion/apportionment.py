"""Assign patients to sets of given sizes, every set with its share of sides and of small, middle and large femurs.

Patients are assigned one by one, as in just-in-time apportionment: a patient goes to the set that is furthest behind
its share of the cases assigned so far, summed over the strata of the patient. Patients with several cases, and those of
rare strata, are assigned first. All arithmetic is on integers, so that the result is the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_THIRDS = 3
_FEWEST_IN_A_THIRD = 5


@dataclass(frozen=True)
class Patient:
    """A patient to be assigned to a set, with all cases.

    Attributes:
        name: Identifies the patient; its hash decides about the set.
        cases: Ids of the cases, sorted.
        sides: Side of each case, sorted.
        mean_volume_ml: Mean volume of the femurs in millilitres; None if it is not known.
        set: The set that the source gives, or None.
    """

    name: str
    cases: tuple[str, ...]
    sides: tuple[str, ...]
    mean_volume_ml: float | None
    set: str | None

    @property
    def size(self) -> int:
        """Number of cases."""
        return len(self.cases)


def apportion(
    patients: Sequence[Patient],
    quotas: Sequence[int],
    *,
    salt: str,
    most_patients: Sequence[int] | None = None,
    may_be_empty: bool = False,
) -> list[list[Patient]]:
    """Assign patients to sets.

    Args:
        patients: The patients, in any order.
        quotas: Number of cases that each set should get. The sum is the number of all cases.
        salt: Start of the text whose hash orders patients of equal strata.
        most_patients: Largest number of patients of each set; None for no limit.
        may_be_empty: Allow sets without patients.

    Returns:
        The patients of each set.
    """

    def rank(patient: Patient) -> bytes:
        """Return the place of a patient in the order of the seed."""
        return hashlib.sha256(f"{salt}:{patient.name}".encode()).digest()

    strata_of = _strata(patients)
    alike: dict[tuple[str, ...], list[Patient]] = defaultdict(list)
    for patient in sorted(patients, key=rank):
        alike[strata_of[patient]].append(patient)
    numbers = _numbers_per_set(
        {strata: len(group) for strata, group in alike.items()},
        quotas,
        most_patients or [len(patients)] * len(quotas),
        fewest=0 if may_be_empty else 1,
    )
    sets: list[list[Patient]] = [[] for _ in quotas]
    for strata, group in alike.items():
        following = iter(group)
        for chosen, number in zip(sets, numbers[strata], strict=True):
            chosen.extend(islice(following, number))
    return sets


def _strata(patients: Iterable[Patient]) -> dict[Patient, tuple[str, ...]]:
    """Return the strata of each patient: side and third by volume of every case, so two words per case, sorted."""
    kinds: dict[tuple[str, ...], list[Patient]] = defaultdict(list)
    for patient in patients:
        kinds[patient.sides].append(patient)
    strata = {}
    for sides, alike in kinds.items():
        ranked = sorted(alike, key=lambda patient: (patient.mean_volume_ml or 0.0, patient.name))
        known = any(patient.mean_volume_ml is not None for patient in alike)
        groups = max(1, min(_THIRDS, len(ranked) // _FEWEST_IN_A_THIRD)) if known else 1
        for rank, patient in enumerate(ranked):
            third = f"{'+'.join(sides)}:{rank * groups // len(ranked)}"
            strata[patient] = tuple(sorted((*sides, *(third for _ in sides))))
    return strata


def _numbers_per_set(
    groups: dict[tuple[str, ...], int], quotas: Sequence[int], most_patients: Sequence[int], *, fewest: int
) -> dict[tuple[str, ...], list[int]]:
    """Return, for each group of patients with equal strata, the number of patients that go to each set.

    Args:
        groups: Number of patients by their strata.
        quotas: Number of cases of each set.
        most_patients: Largest number of patients of each set.
        fewest: Smallest number of patients of each set.
    """
    counts: Counter[str] = Counter()
    for strata, number in groups.items():
        counts.update(strata * number)
    total = sum(quotas)
    assigned: Counter[str] = Counter()
    held: list[Counter[str]] = [Counter() for _ in quotas]
    room, taken = list(quotas), [0] * len(quotas)
    numbers = {strata: [0] * len(quotas) for strata in groups}

    def order(strata: tuple[str, ...]) -> tuple[int, int, tuple[str, ...]]:
        """Return the place of a group of patients: many cases first, then rare strata."""
        # Patients with several cases go first; single cases fill the remaining places.
        return -len(strata), min(counts[stratum] for stratum in strata), strata

    waiting = [strata for strata in sorted(groups, key=order) for _ in range(groups[strata])]
    for left, strata in zip(range(len(waiting), 0, -1), waiting, strict=True):
        brought, cases = Counter(strata), len(strata) // 2
        assigned.update(brought)
        # Distance of a set to its share of the cases assigned so far, in units of 1/total of a case: integers.
        behind = [
            sum(assigned[stratum] * quota - total * has[stratum] for stratum in brought)
            for quota, has in zip(quotas, held, strict=True)
        ]
        open_sets = [i for i in range(len(quotas)) if taken[i] < most_patients[i]]
        empty = [i for i in open_sets if taken[i] < fewest]
        fitting = [i for i in open_sets if room[i] >= cases]
        candidates = empty if left <= len(empty) else fitting or open_sets
        _, _, chosen = max((behind[i], room[i], i) for i in candidates)
        numbers[strata][chosen] += 1
        taken[chosen] += 1
        room[chosen] -= cases
        held[chosen].update(brought)
    return numbers
