"""Split patients into training, validation and test set, and the first two into five folds.

All cases of a patient go to one set. Sets that the source itself gives are kept. The other patients are assigned by
:mod:`~nnunet_femur.conversion.apportionment`: every set and fold gets its share of left and right femurs, and of small,
middle and large femurs, which are thirds by volume among patients with the same sides.

A hash of seed and patient decides between patients of equal strata: those with the smallest hashes are the test set,
the next ones the validation set. Folds use another hash. The order of the input therefore does not matter, and few
cases move when patients are added later: only those at the borders of the sets, and those who change to another third
by volume. One patient more than 40 with one femur each moves 1 or 2 of them to another set and 5 to another fold (mean
of 100 cohorts; at most 6 and 13). To fix the test cases, name them with ``--test-ids`` or in the table of the source.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

from nnunet_femur.conversion.apportionment import Patient, apportion
from nnunet_femur.conversion.cases import TEST, TRAIN, VALIDATION, set_called
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDS = 5
"""Number of folds of the cross-validation; the fixed split follows as one more fold."""

STUDY_PARTS = (24, 8, 8)
"""Training, validation and test cases of the study; other numbers of cases are split in the same proportion."""


class SplitError(InputError):
    """The patients cannot be split.

    Attributes:
        problem: The reason, a sentence.
        remedy: The fix, a sentence.
    """

    code = "too-few-patients"

    def __init__(self, problem: str = "", remedy: str = "", *, code: str | None = None) -> None:
        super().__init__(f"{problem} {remedy}".rstrip(), code=code)
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True)
class Member:
    """A case to be split.

    Attributes:
        case: Its id.
        patient: Cases of one patient stay together.
        side: "left", "right" or "unknown".
        volume_ml: Volume of the femur in millilitres; None if it is not known.
        set: The set that the source gives, under any of its usual names; None if it gives none.
    """

    case: str
    patient: str
    side: str
    volume_ml: float | None = None
    set: str | None = None


@dataclass(frozen=True)
class Split:
    """The cases of each set and fold; every tuple is sorted.

    Attributes:
        train: Cases of the fixed split's training set.
        validation: Cases of the fixed split's validation set.
        test: Cases of the test set, which no training uses.
        folds: Validation cases of each fold. Together they are the training and the validation set.

    Example:
        >>> split_cases([Member(f"L{n}", str(n), "left") for n in range(6)]).sets
        {'train': ('L0', 'L1', 'L2', 'L3'), 'validation': ('L4',), 'test': ('L5',)}
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
        """The fold that each case is validated in; test cases have no fold."""
        return {case: number for number, cases in enumerate(self.folds) for case in cases}

    def as_nnunet(self) -> list[dict[str, list[str]]]:
        """Return the content of ``splits_final.json``: the folds, then the fixed split as one more fold."""
        return [
            {"train": sorted(self.fold_of.keys() - set(validation)), "val": list(validation)}
            for validation in (*self.folds, self.validation)
        ]


def parse_parts(text: str) -> tuple[int, int, int]:
    """Return the three numbers of an option like ``24/8/8``: parts of training, validation and test set.

    Only the proportion counts: ``24/8/8``, ``60/20/20`` and ``3/1/1`` give the same split.

    Raises:
        InputError: The text is not three integers above 0 (code "invalid-option").

    Example:
        >>> parse_parts("60/20/20")
        (60, 20, 20)
    """
    words = [word.strip() for word in text.split("/")]
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in words):
        msg = (
            "split must be three integers above 0 in the order training/validation/test, as in 24/8/8 or 60/20/20, "
            f"got {text!r}."
        )
        raise InputError(msg, code="invalid-option")
    train, validation, test = map(int, words)
    return train, validation, test


def set_name(given: str) -> str:
    """Return the set that a table means by a name such as ``val`` or ``Training``.

    Raises:
        InputError: No set has this name (code "invalid-file").
    """
    name = set_called(given)
    if not name:
        msg = f"The set of a case must be train, validation or test, got {given!r}."
        raise InputError(msg, code="invalid-file")
    return name


def require_enough(members: Iterable[Member], *, parts: Sequence[int] = STUDY_PARTS) -> None:
    """Check that there are enough patients for every set and fold; volumes need not be known.

    Raises:
        SplitError: There are too few patients, or the source gives one patient to two sets.
    """
    _enough(_patients(members), parts)


def split_cases(members: Iterable[Member], *, seed: int = 0, parts: Sequence[int] = STUDY_PARTS) -> Split:
    """Split cases into training, validation and test set, and the first two into five folds.

    The sizes of validation and test set are rounded, and the training set takes the rest: by default 40 cases give 24,
    8 and 8. The sizes are exact if every patient has one case, and as near as whole patients allow otherwise.

    A test or validation set of which the source names at least one case is complete; the other cases are assigned
    to the other sets. If the source names no validation case, the validation set is chosen outside the test set.

    Args:
        members: The cases, in any order.
        seed: Seed of the split.
        parts: Proportion of training, validation and test set.

    Raises:
        SplitError: There are too few patients, or the source gives one patient to two sets.
    """
    patients = _patients(members)
    _enough(patients, parts)
    test, validation, train = _sets(patients, parts, salt=f"{seed}:sets")
    developing = train + validation
    fold_quotas = [len(range(fold, _cases(developing), FOLDS)) for fold in range(FOLDS)]
    folds = apportion(developing, fold_quotas, salt=f"{seed}:folds")
    return Split(_ids(train), _ids(validation), _ids(test), tuple(_ids(fold) for fold in folds))


def _patients(members: Iterable[Member]) -> list[Patient]:
    grouped: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda member: member.case):
        grouped[member.patient].append(member)
    return [_patient(name, theirs) for name, theirs in grouped.items()]


def _patient(name: str, theirs: Sequence[Member]) -> Patient:
    """Return a patient with all cases.

    Raises:
        SplitError: The source gives cases of the patient to several sets.
    """
    given = {member.case: set_name(member.set) for member in theirs if member.set and member.set.strip()}
    if len(set(given.values())) > 1:
        # The message names cases only, since the patient may be called by a person's name.
        given_to = ", ".join(f"{case} to {chosen}" for case, chosen in given.items())
        problem = f"The source gives cases of one patient to several sets: {given_to}."
        raise SplitError(problem, "Give all cases of a patient to one set.", code="invalid-file")
    volumes_ml = [member.volume_ml for member in theirs if member.volume_ml is not None]
    return Patient(
        name,
        tuple(member.case for member in theirs),
        tuple(sorted(member.side for member in theirs)),
        sum(volumes_ml) / len(volumes_ml) if volumes_ml else None,
        next(iter(given.values()), None),
    )


def _enough(patients: Sequence[Patient], parts: Sequence[int]) -> None:
    """Check that no set, and no fold, would be empty.

    Raises:
        SplitError: There are too few patients, or none for training.
    """
    test_given = any(patient.set == TEST for patient in patients)
    free = [patient for patient in patients if patient.set is None]
    developing = [patient for patient in patients if patient.set != TEST]
    if test_given or not free:
        if len(developing) < FOLDS:
            outside = " outside the given test set" if test_given else ""
            problem = f"{FOLDS} folds need at least {FOLDS} patients{outside}, got {len(developing)}."
            raise SplitError(
                problem, "Add patients, or move some out of the test set." if test_given else "Add patients."
            )
    elif len(patients) < (smallest := _smallest(parts)):
        shown = "/".join(map(str, parts))
        problem = (
            f"A split {shown} into sets and {FOLDS} folds needs at least {smallest} patients, got {len(patients)}."
        )
        raise SplitError(problem, "Add patients.")
    if developing and all(patient.set == VALIDATION for patient in developing):
        problem = "The source gives every case to the validation or test set, so no case is left for training."
        raise SplitError(problem, "Move cases to the training set.")


def _smallest(parts: Sequence[int]) -> int:
    """Return the fewest patients, with one case each, for which no set is empty and each fold has a validation case."""
    return next(number for number in count(FOLDS + 1) if _fits(number, parts))


def _fits(cases: int, parts: Sequence[int]) -> bool:
    validation, test = (_rounded(cases, part, sum(parts)) for part in parts[1:])
    return validation > 0 < test <= cases - FOLDS and validation + test < cases


def _rounded(cases: int, part: int, whole: int) -> int:
    """Return a part of the cases as an integer; half a case is rounded up."""
    return (2 * cases * part + whole) // (2 * whole)


def _sets(patients: Sequence[Patient], parts: Sequence[int], *, salt: str) -> list[list[Patient]]:
    """Return test, validation and training set; sets that the source gives are kept."""
    given = {name: [patient for patient in patients if patient.set == name] for name in (TEST, VALIDATION, TRAIN, None)}
    total, whole = _cases(patients), sum(parts)
    if not any(given[name] for name in (TEST, VALIDATION, TRAIN)):
        quotas = [_rounded(total, part, whole) for part in (parts[2], parts[1])]
        most = (len(patients) - FOLDS, len(patients), len(patients))
        return apportion(patients, (*quotas, total - sum(quotas)), most_patients=most, salt=salt)
    test, free = given[TEST], given[None]
    if not test and free:
        # The source names no test case: the test set is chosen from patients without a given set.
        quota = max(1, min(_rounded(total, parts[2], whole), _cases(free)))
        at_most = (max(1, min(len(free), len(patients) - FOLDS)), len(free))
        test, free = apportion(free, (quota, _cases(free) - quota), most_patients=at_most, salt=salt, may_be_empty=True)
    if given[VALIDATION]:
        return [test, given[VALIDATION], given[TRAIN] + free]
    developing = given[TRAIN] + free
    quota = max(1, _rounded(_cases(developing), parts[1], parts[0] + parts[1]))
    return [test, *apportion(developing, (quota, _cases(developing) - quota), salt=salt)]


def _cases(patients: Iterable[Patient]) -> int:
    return sum(patient.size for patient in patients)


def _ids(patients: Iterable[Patient]) -> tuple[str, ...]:
    return tuple(sorted(case for patient in patients for case in patient.cases))
