"""Split patients into training, validation and test set, and the first two into five folds.

Every set and fold gets its share of left and right femurs, and within the patients of one kind (left only, right only,
both) its share of small, middle and large femurs: thirds of these patients by volume. How many patients that is each
time is counted out one by one, as in just-in-time apportionment: a patient goes to the set that is furthest behind its
share of what has been dealt so far, summed over the patient's strata; those with several femurs and those of rare
strata first. All femurs of a patient go together. Sets that the source itself gives are taken as they are. All of it is
integer arithmetic on counts, so the result is the same everywhere.

Which patients these are says a hash of seed and patient: among patients of the same strata, those with the smallest
hashes are the test set, the next ones the validation set; the folds have a hash of their own. So the order of the input
does not matter, and cases that are added later move few of the old ones: only patients at the borders of the sets, and
those who fall into another third by volume because of the new ones. One patient more than 40 with one femur each
moves 1 or 2 of them to another set and 5 to another fold (mean of 100 cohorts; at most 6 and 13). Who needs test cases
that never move names them, by ``--test-ids`` or in the table of the source.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDS = 5
"""Number of folds of the cross-validation; the fixed split follows them as one more."""

TRAIN, VALIDATION, TEST = "train", "validation", "test"

STUDY_PARTS = (24, 8, 8)
"""The study's training, validation and test cases, which other numbers of cases keep in proportion."""

_SET_NAMES = {
    **dict.fromkeys(("train", "training", "tr"), TRAIN),
    **dict.fromkeys(("validation", "val", "valid"), VALIDATION),
    **dict.fromkeys(("test", "testing", "ts"), TEST),
}

_THIRDS = 3
_FEWEST_IN_A_THIRD = FOLDS


@dataclass(frozen=True)
class Member:
    """A case to be split.

    Attributes:
        case: Its id.
        patient: Cases of one patient stay together.
        side: "left", "right" or "unknown".
        volume_ml: Volume of its femur in millilitres; None where it does not matter.
        set: The set that the source gives it, under any of its usual names, or None.
    """

    case: str
    patient: str
    side: str
    volume_ml: float | None = None
    set: str | None = None


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
        return {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}

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


def parse_parts(text: str) -> tuple[int, int, int]:
    """The three parts of an option like ``24/8/8``: training, validation and test set, in proportion.

    Only their proportion counts: ``24/8/8``, ``60/20/20`` and ``3/1/1`` are the same.

    Raises:
        InputError: It is not three whole numbers above 0.

    Example:
        >>> parse_parts("60/20/20")
        (60, 20, 20)
    """
    words = [word.strip() for word in text.split("/")]
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in words):
        msg = f"{text}: is no split. Give training/validation/test in proportion, as in 24/8/8 or 60/20/20."
        raise InputError(msg)
    train, validation, test = map(int, words)
    return train, validation, test


def set_name(given: str) -> str:
    """The set that a table means by a name such as ``val`` or ``Training``.

    Raises:
        InputError: It is the name of no set.
    """
    try:
        return _SET_NAMES[given.strip().lower()]
    except KeyError:
        msg = f"{given!r}: is the name of no set. Write train, validation or test."
        raise InputError(msg) from None


def require_enough(members: Iterable[Member], *, parts: Sequence[int] = STUDY_PARTS) -> None:
    """Check that there are patients enough for every set and fold; volumes need not be known.

    Raises:
        InputError: There are too few, or a patient is given to two sets.
    """
    _enough(_patients(members), parts)


def split(members: Iterable[Member], *, seed: int = 0, parts: Sequence[int] = STUDY_PARTS) -> Split:
    """Deal cases into a training, validation and test set, and the first two into five folds.

    The sizes of validation and test set are rounded, the training set takes the rest: by default 40 cases give 24, 8
    and 8. They are exact where every patient has one case, and as near as whole patients allow otherwise.

    If any case is given to the test set, the test set is complete, and so is the validation set; the other cases
    are dealt to what is left. Where no case is given to the validation set, it is dealt from what is not test.

    Args:
        members: The cases, in any order.
        seed: Another seed gives another split.
        parts: Training, validation and test set in proportion.

    Raises:
        InputError: There are too few patients, or a patient is given to two sets.
    """
    patients = _patients(members)
    _enough(patients, parts)
    test, validation, train = _sets(patients, parts, salt=f"{seed}:sets")
    developing = train + validation
    fold_quotas = [len(range(fold, _cases(developing), FOLDS)) for fold in range(FOLDS)]
    folds = _deal(developing, fold_quotas, salt=f"{seed}:folds")
    return Split(_ids(train), _ids(validation), _ids(test), tuple(_ids(fold) for fold in folds))


@dataclass(frozen=True)
class _Patient:
    name: str
    cases: tuple[str, ...]
    sides: tuple[str, ...]
    mean_volume_ml: float | None
    set: str | None

    @property
    def size(self) -> int:
        return len(self.cases)


def _patients(members: Iterable[Member]) -> list[_Patient]:
    grouped: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: member.case):
        grouped[member.patient].append(member)
    return [_patient(name, theirs) for name, theirs in grouped.items()]


def _patient(name: str, theirs: Sequence[Member]) -> _Patient:
    given = {member.case: set_name(member.set) for member in theirs if member.set and member.set.strip()}
    if len(set(given.values())) > 1:
        # The patient's name may be a person's: the cases say enough.
        said = ", ".join(f"{case} to {chosen}" for case, chosen in given.items())
        msg = f"One patient's cases are given to several sets: {said}. Give all cases of a patient to one set."
        raise InputError(msg)
    volumes_ml = [member.volume_ml for member in theirs if member.volume_ml is not None]
    return _Patient(
        name,
        tuple(member.case for member in theirs),
        tuple(sorted(member.side for member in theirs)),
        sum(volumes_ml) / len(volumes_ml) if volumes_ml else None,
        next(iter(given.values()), None),
    )


def _enough(patients: Sequence[_Patient], parts: Sequence[int]) -> None:
    test_given = any(patient.set == TEST for patient in patients)
    free = [patient for patient in patients if patient.set is None]
    developing = [patient for patient in patients if patient.set != TEST]
    if test_given or not free:
        if len(developing) < FOLDS:
            besides = "Besides the given test set, " if test_given else ""
            remedy = "Add patients, or give fewer of them to the test set." if test_given else "Add patients."
            msg = f"{besides}{FOLDS} folds need at least {FOLDS} patients; here are {len(developing)}. {remedy}"
            raise InputError(msg)
    elif len(patients) < (smallest := _smallest(parts)):
        shown = "/".join(map(str, parts))
        msg = (
            f"A split by patient in proportions {shown} needs at least {smallest} patients, one to test on and one for "
            f"each of {FOLDS} folds; here are {len(patients)}. Add patients."
        )
        raise InputError(msg)
    if developing and all(patient.set == VALIDATION for patient in developing):
        msg = "Every case is given to the validation or test set. Leave cases to train on."
        raise InputError(msg)


def _smallest(parts: Sequence[int]) -> int:
    """Fewest patients with one case each for which no set is empty and each fold has one to validate on."""
    return next(number for number in count(FOLDS + 1) if _fits(number, parts))


def _fits(cases: int, parts: Sequence[int]) -> bool:
    validation, test = (_rounded(cases, part, sum(parts)) for part in parts[1:])
    return validation > 0 < test <= cases - FOLDS and validation + test < cases


def _rounded(cases: int, part: int, whole: int) -> int:
    """The share of the cases, half a case rounded up."""
    return (2 * cases * part + whole) // (2 * whole)


def _sets(patients: Sequence[_Patient], parts: Sequence[int], *, salt: str) -> list[list[_Patient]]:
    """Test, validation and training set, given ones first."""
    given = {name: [patient for patient in patients if patient.set == name] for name in (TEST, VALIDATION, TRAIN, None)}
    total, whole = _cases(patients), sum(parts)
    if not any(given[name] for name in (TEST, VALIDATION, TRAIN)):
        quotas = [_rounded(total, part, whole) for part in (parts[2], parts[1])]
        most = (len(patients) - FOLDS, len(patients), len(patients))
        return _deal(patients, (*quotas, total - sum(quotas)), most_patients=most, salt=salt)
    test, free = given[TEST], given[None]
    if not test and free:
        # The table leaves the test set open: it comes from those about whom it says nothing.
        quota = max(1, min(_rounded(total, parts[2], whole), _cases(free)))
        at_most = (max(1, min(len(free), len(patients) - FOLDS)), len(free))
        test, free = _deal(free, (quota, _cases(free) - quota), most_patients=at_most, salt=salt, may_be_empty=True)
    if given[VALIDATION]:
        return [test, given[VALIDATION], given[TRAIN] + free]
    developing = given[TRAIN] + free
    quota = max(1, _rounded(_cases(developing), parts[1], parts[0] + parts[1]))
    return [test, *_deal(developing, (quota, _cases(developing) - quota), salt=salt)]


def _cases(patients: Iterable[_Patient]) -> int:
    return sum(patient.size for patient in patients)


def _ids(patients: Iterable[_Patient]) -> tuple[str, ...]:
    return tuple(sorted(case for patient in patients for case in patient.cases))


def _strata(patients: Iterable[_Patient]) -> dict[_Patient, tuple[str, ...]]:
    """Of each patient, the side and the third of every case: twice as many words as cases, sorted."""
    kinds: dict[tuple[str, ...], list[_Patient]] = defaultdict(list)
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


def _deal(
    patients: Sequence[_Patient],
    quotas: Sequence[int],
    *,
    salt: str,
    most_patients: Sequence[int] | None = None,
    may_be_empty: bool = False,
) -> list[list[_Patient]]:
    """Deal patients to sets of `quotas` cases, none of which is left empty or takes more than `most_patients`."""

    def rank(patient: _Patient) -> bytes:
        return hashlib.sha256(f"{salt}:{patient.name}".encode()).digest()

    strata_of = _strata(patients)
    alike: dict[tuple[str, ...], list[_Patient]] = defaultdict(list)
    for patient in sorted(patients, key=rank):
        alike[strata_of[patient]].append(patient)
    numbers = _numbers(
        {strata: len(group) for strata, group in alike.items()},
        quotas,
        most_patients or [len(patients)] * len(quotas),
        fewest=0 if may_be_empty else 1,
    )
    dealt: list[list[_Patient]] = [[] for _ in quotas]
    for strata, group in alike.items():
        following = iter(group)
        for chosen, number in zip(dealt, numbers[strata], strict=True):
            chosen.extend(islice(following, number))
    return dealt


def _numbers(
    groups: dict[tuple[str, ...], int], quotas: Sequence[int], most_patients: Sequence[int], *, fewest: int
) -> dict[tuple[str, ...], list[int]]:
    """For patients of the same strata, given their number, how many go to each set."""
    counts: Counter[str] = Counter()
    for strata, number in groups.items():
        counts.update(strata * number)
    total = sum(quotas)
    dealt: Counter[str] = Counter()
    held: list[Counter[str]] = [Counter() for _ in quotas]
    room, taken = list(quotas), [0] * len(quotas)
    numbers = {strata: [0] * len(quotas) for strata in groups}

    def order(strata: tuple[str, ...]) -> tuple[int, int, tuple[str, ...]]:
        # Whoever brings several cases goes first: single cases fill what they leave.
        return -len(strata), min(counts[stratum] for stratum in strata), strata

    waiting = [strata for strata in sorted(groups, key=order) for _ in range(groups[strata])]
    for left, strata in zip(range(len(waiting), 0, -1), waiting, strict=True):
        brought, cases = Counter(strata), len(strata) // 2
        dealt.update(brought)
        # How far a set is behind its share of all dealt so far, in total-ths of a case: whole numbers.
        behind = [
            sum(dealt[stratum] * quota - total * has[stratum] for stratum in brought)
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
