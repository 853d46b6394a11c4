"""Patient, set and fold of cases that are added to a dataset whose sets and folds stay as they are."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import TEST, TRAIN, VALIDATION
from nnunet_femur.conversion.splits import FOLDS, Split
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sides import UNKNOWN, side_called

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.dataset_record import DatasetRecord


class KnownPatients:
    """Patients of a dataset, by which the patient of a further case is found.

    If a table contains a further case and a case of the dataset, it determines if both are of one patient. Otherwise
    their ids do: R442 and L442 are of one patient, and so is a case that the table assigns to patient 442. Of several
    patients that match, one of the test set is chosen.

    Args:
        record: The record of the dataset.
        table: Patient of each case in the user's table; empty without one.
    """

    def __init__(self, record: DatasetRecord, table: Mapping[str, str]) -> None:
        self._pattern = re.compile(record.options["id_pattern"], re.IGNORECASE)
        self._table = table
        by_set = sorted(record.assigned.items(), key=lambda each: (each[1][1] != TEST, each[0]))
        self._shown = {case: str(assigned[0]) for case, assigned in by_set}

    def patient_of(self, case: str) -> str:
        """Return the name of the patient in the dataset; a new name for a patient that is not in it.

        Args:
            case: Id of the case.
        """
        if case in self._shown:
            return self._shown[case]
        known = self._matching(case)
        if known:
            return known[0]
        number = self._number(case)
        plain = case not in self._table and number in case
        # As in a conversion: a name that only a table contains is never written.
        name = number if plain else f"P-{min([case, *(other for other in self._table if self._same(case, other))])}"
        while name in self._shown.values():
            name += "'"
        return name

    def require_comparable(self, cases: Iterable[str]) -> None:
        """Refuse new patients if patients of the dataset are not part of its ids and not in the table.

        Such a dataset was converted with a table of patients. By ids alone, a case of a test patient would become a
        training case.

        Args:
            cases: Ids of the further cases.

        Raises:
            InputError: The table lacks cases of the dataset (code "invalid-option").
        """
        unclear = sorted(
            case for case, shown in self._shown.items() if self._is_hidden(shown) and case not in self._table
        )
        new = sorted(case for case in cases if case not in self._shown and not self._matching(case))
        if unclear and new:
            listed = ", ".join(unclear[:5]) + (f" and {len(unclear) - 5} more" if len(unclear) > 5 else "")
            msg = (
                f"patients: the ids of {listed} in the dataset do not show their patients, so {new[0]} could be of a "
                "test patient. Give --patients with these and the further cases."
            )
            raise InputError(msg, code="invalid-option")

    def side_of(self, case: str) -> str:
        """Return the side that an id states: "left", "right", "both" or "unknown"."""
        match = self._pattern.match(case)
        return side_called((match.groupdict().get("side") if match else "") or "") or UNKNOWN

    def _matching(self, case: str) -> list[str]:
        return [shown for other, shown in self._shown.items() if self._same(case, other, shown)]

    def _is_hidden(self, shown: str) -> bool:
        """Return True if a patient was named after a case because only a table contains its name."""
        return shown.startswith("P-") and shown.removeprefix("P-").rstrip("'") in self._shown

    def _same(self, case: str, other: str, shown: str = "") -> bool:
        if case in self._table and other in self._table:
            return self._table[case] == self._table[other]
        return not self._names(case).isdisjoint({*self._names(other), _plain(shown)} - {""})

    def _names(self, case: str) -> set[str]:
        """Return the names of a case's patient: by its id and, if it is there, in the table."""
        return {self._number(case), *([_plain(self._table[case])] if case in self._table else ())}

    def _number(self, case: str) -> str:
        """Return the patient's part of an id without leading zeros; the whole id if it has no such part."""
        match = self._pattern.match(case)
        found = (match.groupdict().get("patient") or match.group()) if match and match.group() else case
        return _plain(found) or "0"


def _plain(patient: str) -> str:
    return patient.strip().upper().lstrip("0")


def split_with(record: DatasetRecord, added: Iterable[Case]) -> Split:
    """Return the split of a dataset with further cases; no case of the dataset changes its set or fold.

    A further case of a patient of the dataset goes to the patient's set and fold. A new patient goes to the training
    set, and into the fold with the fewest cases of its side, then with the fewest cases; a hash of seed and patient
    decides between equal folds.

    Args:
        record: The record of the dataset.
        added: The new cases, with their patients; not those of test patients.
    """
    assigned = {case: tuple(each) for case, each in record.assigned.items()}
    sides = {case.case: case.side for case in record.cases}
    of_patient = {patient: (set_name, fold) for patient, set_name, fold in assigned.values()}
    seed = record.options["seed"]

    def rank(patient: str, fold: int = -1) -> bytes:
        """Return the place of a patient, or of a fold for a patient, in the order of the seed."""
        return hashlib.sha256(f"{seed}:folds:{patient}:{fold}".encode()).digest()

    new = sorted((case for case in added if case.id not in assigned), key=lambda case: (rank(case.patient), case.id))
    for case in new:
        if case.patient not in of_patient:
            cases = Counter(fold for _, _, fold in assigned.values() if fold is not None)
            alike = Counter(fold for other, (_, _, fold) in assigned.items() if sides[other] == case.side)
            numbers = range(max([FOLDS - 1, *cases]) + 1)
            fold = min(numbers, key=lambda fold: (alike[fold], cases[fold], rank(case.patient, fold)))
            of_patient[case.patient] = (TRAIN, fold)
        assigned[case.id] = (case.patient, *of_patient[case.patient])
        sides[case.id] = case.side
    folds: list[list[str]] = [[] for _ in range(FOLDS)]
    sets: dict[str, list[str]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for name, (_, set_name, fold) in sorted(assigned.items()):
        sets[set_name].append(name)
        if fold is not None:
            folds[fold].append(name)
    return Split(tuple(sets[TRAIN]), tuple(sets[VALIDATION]), tuple(sets[TEST]), tuple(map(tuple, folds)))
