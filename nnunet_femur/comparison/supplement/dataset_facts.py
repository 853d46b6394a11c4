"""Facts about a dataset for the supplement: numbers of cases and patients by set, voxels, conversion and division."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nnunet_femur.comparison.reference_masks import ReferenceMasks

_SETS = ("train", "validation", "test")
"""Sets of cases.csv, in the order of the supplement."""

Range = tuple[float, float, float]
"""Lowest value, median and highest value."""


@dataclass(frozen=True)
class SetFacts:
    """The cases of one set.

    Attributes:
        name: "train", "validation" or "test".
        cases: Number of cases.
        patients: Number of patients.
        sides: Number of cases by side; empty if unknown.
        volume_ml: Range of the volume of the femur in ml; None if unknown.
        slice_mm: Range of the spacing of axial slices in mm; None if unknown.
        pixel_mm: Range of the larger spacing within axial slices in mm; None if unknown.
    """

    name: str
    cases: int
    patients: int
    sides: Mapping[str, int]
    volume_ml: Range | None
    slice_mm: Range | None
    pixel_mm: Range | None


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset of the comparison.

    Attributes:
        name: Its name, ``DatasetNNN_Name``.
        sets: Its sets that have cases.
        conversion: Content of its ``conversion.json``; empty if nnunet_femur did not convert it.
        description: Content of its ``dataset.json``; empty for a folder of masks.
        listed: True if it is known which cases are for training and which for testing.
        patients_known: True if ``cases.csv`` lists the patient of every case.
        shared_patients: Patients with cases in two sets that must be disjoint, a sentence each.
        phantoms: True if all cases are synthetic phantoms of nnunet_femur.
        folds: Numbers of cases for training and for validation of each fold.
    """

    name: str
    sets: tuple[SetFacts, ...]
    conversion: Mapping[str, Any]
    description: Mapping[str, Any]
    listed: bool
    patients_known: bool
    shared_patients: tuple[str, ...]
    phantoms: bool
    folds: tuple[tuple[int, int], ...]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(each.cases for each in self.sets)

    @property
    def left_out(self) -> int:
        """Number of cases that the conversion left out because of their voxels."""
        return len(self.conversion.get("left_out", ()))

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the conversion; empty if unknown."""
        found: Mapping[str, Any] = self.conversion.get("options", {})
        return found


def dataset_facts(dataset: ReferenceMasks) -> DatasetFacts:
    """Return the facts about a dataset that its files contain.

    Args:
        dataset: Its reference masks.
    """
    rows = _rows(dataset)
    conversion = read_json(dataset.folder / "conversion.json")
    return DatasetFacts(
        name=dataset.folder.name,
        sets=tuple(_sets(dataset, rows)),
        conversion=conversion if isinstance(conversion, dict) else {},
        description={} if dataset.raw is None else dataset.raw.description,
        listed=dataset.listed,
        patients_known=all(case in dataset.patients for case in (*dataset.train, *dataset.test)),
        shared_patients=tuple(_shared(dataset)),
        phantoms=_are_phantoms(dataset),
        folds=tuple((len(fold.train), len(fold.val)) for fold in dataset.folds),
    )


def _rows(dataset: ReferenceMasks) -> list[dict[str, str]]:
    if dataset.raw is None:
        return []
    try:
        return dataset.raw.case_rows()
    except InputError:
        # Reading the dataset has reported it already.
        return []


def _sets(dataset: ReferenceMasks, rows: Sequence[Mapping[str, str]]) -> Iterator[SetFacts]:
    """Yield the sets of cases.csv, or training and test cases if it does not list every case."""
    by_case = {row["case"]: row for row in rows}
    set_of = {case: "validation" if _set_in(by_case, case) == "validation" else "train" for case in dataset.train}
    set_of |= dict.fromkeys(dataset.test, "test")
    for name in _SETS:
        cases = [case for case, of in set_of.items() if of == name]
        if not cases:
            continue
        known = [by_case[case] for case in cases if case in by_case]
        spacings = [found for row in known if len(found := _numbers(row.get("spacing_mm"))) == 3]
        yield SetFacts(
            name=name,
            cases=len(cases),
            patients=len({dataset.patients.get(case, case) for case in cases}),
            sides=dict(sorted(Counter(row["side"] for row in known if row.get("side")).items())),
            volume_ml=_range(value for row in known for value in _numbers(row.get("volume_ml"))),
            slice_mm=_range(z for _, _, z in spacings),
            pixel_mm=_range(max(x, y) for x, y, _ in spacings),
        )


def _set_in(by_case: Mapping[str, Mapping[str, str]], case: str) -> str | None:
    return by_case.get(case, {}).get("set")


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(part) for part in (text or "").split()]
    except ValueError:
        return []


def _range(values: Iterable[float]) -> Range | None:
    found = sorted(values)
    return (found[0], median(found), found[-1]) if found else None


def _shared(dataset: ReferenceMasks) -> Iterator[str]:
    """Yield a sentence for each pair of sets that share a patient; folds are compared by training and validation."""
    if not (dataset.patients and dataset.listed):
        return

    def patients(cases: Iterable[str]) -> set[str]:
        """Return the patients of cases."""
        return {dataset.patients.get(case, case) for case in cases}

    if shared := sorted(patients(dataset.train) & patients(dataset.test)):
        yield f"training and test cases share the patients {', '.join(shared)}"
    for number, fold in enumerate(dataset.folds):
        if shared := sorted(patients(fold.train) & patients(fold.val)):
            yield f"training and validation cases of fold {number} share the patients {', '.join(shared)}"


def _are_phantoms(dataset: ReferenceMasks) -> bool:
    """Return True if the study that the dataset belongs to has made all its cases, as its folder of phantoms shows."""
    record = read_json(dataset.folder.parent.parent / "drop" / "phantoms.json")
    made = record.get("cases") if isinstance(record, dict) else None
    cases = {*dataset.train, *dataset.test}
    return isinstance(made, list) and bool(cases) and cases <= set(map(str, made))
