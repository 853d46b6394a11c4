"""Result of a conversion, as an object for Python and as tables for the terminal and notebooks."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nnunet_femur.findings import Severity, errors_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import SimpleITK as sitk
    from rich.table import Table

    from nnunet_femur.conversion.case_record import CaseRecord
    from nnunet_femur.conversion.dataset_record import DatasetDescription
    from nnunet_femur.conversion.splits import Split
    from nnunet_femur.findings import Finding

_WORST_FIRST = list(Severity)


class CaseVolumes(NamedTuple):
    """Files of a converted case. Both have the same grid, in RAS orientation.

    Attributes:
        image: The CT, int16 HU.
        mask: The femur mask, uint8, 1 for femur.

    Example:
        >>> import nnunet_femur as nf
        >>> result = nf.convert("source", dataset_id=1, raw="nnUNet_raw")
        >>> volumes = result.volumes[result.split.test[0]]
        >>> volumes.mask.parent.name
        'labelsTs'
        >>> image, mask = volumes.read()
        >>> mask.GetPixelIDTypeAsString()
        '8-bit unsigned integer'
    """

    image: Path
    mask: Path

    def read(self) -> tuple[sitk.Image, sitk.Image]:
        """Read the CT and the mask."""
        from nnunet_femur.imaging.files import read_volume

        return read_volume(self.image), read_volume(self.mask)


@dataclass(frozen=True)
class ConvertedCase:
    """A case of a dataset.

    Attributes:
        id: Name of the case in the dataset.
        patient: Name of the patient in the dataset; all cases of a patient are in one set and fold.
        side: "left", "right", "both" or "unknown".
        set: "train", "validation" or "test".
        fold: The fold that the case is validated in, 0 to 4; None for a test case.
        volume_ml: Volume of the femur in millilitres.
        size_xyz: Number of voxels along x, y, z.
        spacing_mm_xyz: Spacing along x, y, z in mm.
        findings: Findings about the files of the case.

    Example:
        >>> import nnunet_femur as nf
        >>> result = nf.convert("source", dataset_id=1, raw="nnUNet_raw")
        >>> [case.id for case in result.cases if case.set == "test"] == list(result.split.test)
        True
    """

    id: str
    patient: str
    side: str
    set: str
    fold: int | None
    volume_ml: float
    size_xyz: tuple[int, ...]
    spacing_mm_xyz: tuple[float, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, repr=False)
class ConversionResult:
    """A converted dataset, or in a dry run a preview of it.

    Attributes:
        folder: Folder of the dataset.
        cases: The cases, in the order of their ids; empty if errors prevent the conversion.
        findings: All findings, about the source folder and every case.
        split: The cases of each set and fold; None if errors prevent the conversion.
        volumes: Files of each case, by id. In a dry run they do not exist.
        written: Ids of the cases that this run has converted.
        reused: Ids of the cases that an earlier run had converted.
        left_out: Ids of the cases that were left out because of errors.
        dry_run: True if nothing was to be written.

    Example:
        >>> import nnunet_femur as nf
        >>> result = nf.convert("source", dataset_id=1, raw="nnUNet_raw")
        >>> case = result.cases[0]
        >>> image, mask = result.volumes[case.id].read()
        >>> image.GetSize() == case.size_xyz
        True
        >>> len(result.split.train), len(result.split.validation), len(result.split.test)
        (4, 2, 2)
    """

    folder: Path
    cases: tuple[ConvertedCase, ...] = ()
    findings: tuple[Finding, ...] = ()
    split: Split | None = None
    volumes: Mapping[str, CaseVolumes] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def dataset(self) -> str:
        """Name of the dataset, as in ``Dataset001_Femur``."""
        return self.folder.name

    @property
    def usable(self) -> bool:
        """True if none of the findings is an error."""
        return not errors_of(self.findings)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of cases by set and side."""
        sides = sorted({case.side for case in self.cases})
        counted = Counter((case.set, case.side) for case in self.cases)
        sets = self.split.sets if self.split else ()
        return {name: {side: counted[name, side] for side in sides} for name in sets}

    def __repr__(self) -> str:
        """Return the dataset, the sizes of its sets and the numbers of findings, in one line."""
        sets = ", ".join(f"{sum(of_set.values())} {name}" for name, of_set in self.counts().items())
        kinds = Counter(found.severity.value for found in self.findings)
        found = ", ".join(f"{kinds[severity.value]} {severity.value}s" for severity in Severity)
        return f"<ConversionResult {self.dataset}{', dry run' * self.dry_run}: {sets or 'no cases'}; {found}>"

    def _repr_html_(self) -> str:
        """Return tables of the sets and the findings for a notebook."""
        tables = _html_table(_set_rows(self)) if self.cases else ""
        if self.findings:
            tables += _html_table((("Severity", "Finding", "Files", "Example"), *_kind_rows(self.findings)))
        return f"<p><b>{html.escape(self.dataset)}</b>: {html.escape(self.summary())}</p>{tables}"

    def summary(self) -> str:
        """Return what was done, in a sentence."""
        if self.dry_run:
            errors = len(errors_of(self.findings))
            number = "1 error" if errors == 1 else f"{errors} errors"
            outcome = "would be written" if self.usable else f"cannot be written: {number}"
            return f"Dry run: nothing was written. {self.dataset} {outcome}."
        if self.split is None:
            return (
                f"{len(self.written)} cases of this part converted, {len(self.reused)} were done before. A run without "
                f"--shard writes {self.dataset}."
            )
        if not self.written:
            return "Nothing to convert: the dataset is up to date."
        reused = f"; {len(self.reused)} cases of an earlier run reused" if self.reused else ""
        return f"{len(self.written)} cases converted{reused}."

    def print(self) -> None:
        """Print the sets, the findings and the summary."""
        from rich.console import Console

        console = Console()
        if self.cases:
            console.print(_table(_set_rows(self), title=self.dataset))
        errors = errors_of(self.findings)
        if errors:
            rows = [(one.severity.value, one.code, one.file, one.problem, one.remedy) for one in errors]
            console.print(_table((("Severity", "Finding", "File", "Problem", "Remedy"), *rows), title="Errors"))
        others = [found for found in self.findings if found.severity is not Severity.ERROR]
        if others:
            full = "--report FILE writes all" if self.dry_run else "all are in cases.csv and conversion.json"
            head = ("Severity", "Finding", "Files", "Example")
            console.print(_table((head, *_kind_rows(others)), title=f"Findings ({full})"))
        elif self.dry_run and not errors:
            console.print("No findings.")
        console.print(self.summary(), markup=False)


def result_of(
    folder: Path,
    dataset: DatasetDescription | None,
    *,
    findings: Sequence[Finding] | None = None,
    written: Sequence[str] = (),
    reused: Sequence[str] = (),
    left_out: Sequence[str] = (),
    dry_run: bool = False,
) -> ConversionResult:
    """Return the result for a described dataset.

    Args:
        folder: Folder of the dataset.
        dataset: The dataset; None if errors prevent the conversion.
        findings: All findings; None for those of the dataset's record.
        written: Ids of the cases that this run has converted.
        reused: Ids of the cases that an earlier run had converted.
        left_out: Ids of the cases that were left out.
        dry_run: True if nothing was to be written.
    """
    if dataset is None:
        return ConversionResult(folder, findings=tuple(findings or ()), left_out=tuple(left_out), dry_run=dry_run)
    record = dataset.record()
    return ConversionResult(
        folder,
        cases=tuple(_converted(one, record.assigned[one.case]) for one in record.cases),
        findings=tuple(record.all_findings() if findings is None else findings),
        split=dataset.split,
        volumes={one.case: CaseVolumes(folder / one.image, folder / one.mask) for one in record.cases},
        written=tuple(written),
        reused=tuple(reused),
        left_out=tuple(left_out),
        dry_run=dry_run,
    )


def _converted(record: CaseRecord, assigned: Sequence[Any]) -> ConvertedCase:
    patient, set_name, fold = assigned
    sizes = (record.volume_ml, record.size_xyz, record.spacing_mm_xyz)
    return ConvertedCase(record.case, patient, record.side, set_name, fold, *sizes, record.findings)


def _set_rows(result: ConversionResult) -> list[tuple[str, ...]]:
    counts = result.counts()
    sides = sorted({side for of_set in counts.values() for side in of_set})
    rows = [
        (name, str(sum(of_set.values())), *(str(of_set.get(side, 0)) for side in sides))
        for name, of_set in counts.items()
    ]
    return [("Set", "Cases", *sides), *rows]


def _kind_rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return a row for each kind of finding, since a dataset of a thousand cases has thousands of notes."""
    kinds = Counter((_WORST_FIRST.index(found.severity), found.code) for found in findings)
    examples = {(_WORST_FIRST.index(found.severity), found.code): found for found in reversed(findings)}
    return [
        (_WORST_FIRST[severity].value, code, str(count), str(examples[severity, code]))
        for (severity, code), count in sorted(kinds.items())
    ]


def _table(rows: Sequence[tuple[str, ...]], *, title: str) -> Table:
    """Return a table for the terminal; the first row is the heading."""
    from rich.table import Table
    from rich.text import Text

    head, *others = rows
    table = Table(title=title)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in others:
        # As Text: rich would interpret brackets in a file name as markup.
        table.add_row(*(Text(cell) for cell in row))
    return table


def _html_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in HTML; the first row is the heading."""
    head, *others = rows
    lines = [f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in others]
    return f"<table>{''.join(lines)}</table>"
