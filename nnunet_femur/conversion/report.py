"""What a person wants to know after a conversion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.findings import Severity, errors_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.conversion.record import Described
    from nnunet_femur.findings import Finding

_WORST_FIRST = list(Severity)


@dataclass(frozen=True)
class Outcome:
    """What a conversion has done, or would do.

    Attributes:
        folder: The dataset.
        dataset: What is in it, or would be; None if errors keep it from being made.
        written: Cases that were converted in this run.
        unchanged: Cases that had been converted before.
        dry_run: Whether nothing was to be written.
        findings: Everything found, where that is not in the dataset's record.
    """

    folder: Path
    dataset: Described | None
    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    dry_run: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def all_findings(self) -> Sequence[Finding]:
        """Everything found, in the order of the cases."""
        return self.findings or (self.dataset.record().all_findings() if self.dataset else ())

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return not errors_of(self.all_findings)

    def print(self) -> None:
        """Print the sets, the findings and what was done."""
        from rich.console import Console

        console = Console()
        if self.dataset is not None:
            console.print(_sets(self.folder.name, self.dataset))
        errors = errors_of(self.all_findings)
        if errors:
            console.print(_errors(errors))
        others = [found for found in self.all_findings if found.severity is not Severity.ERROR]
        if others:
            full = "--report FILE writes all" if self.dry_run else "all in cases.csv and conversion.json"
            console.print(_kinds(others, title=f"Findings ({full})"))
        elif self.dry_run and not errors:
            console.print("No findings.")
        console.print(self._last_line(), markup=False)

    def _last_line(self) -> str:
        if self.dry_run:
            errors = len(errors_of(self.all_findings))
            would = "would be made" if self.usable else f"cannot be made: {errors} error(s)"
            return f"Nothing was written (--dry-run). {self.folder.name} {would}."
        if not self.written:
            return "Nothing to convert: the dataset is up to date."
        kept = f"; {len(self.unchanged)} were converted before" if self.unchanged else ""
        return f"{len(self.written)} cases converted{kept}."


def _sets(title: str, dataset: Described) -> object:
    from rich.table import Table

    counts = dataset.record().counts
    sides = sorted({side for of_set in counts.values() for side in of_set})
    table = Table("Set", "Cases", *sides, title=title)
    for name, of_set in counts.items():
        table.add_row(name, str(sum(of_set.values())), *(str(of_set.get(side, 0)) for side in sides))
    return table


def _kinds(findings: Sequence[Finding], *, title: str) -> object:
    """Return a table with a row for each kind of finding; a dataset of a thousand cases has thousands of notes."""
    from rich.table import Table
    from rich.text import Text

    kinds = Counter((_WORST_FIRST.index(finding.severity), finding.code) for finding in findings)
    examples = {(_WORST_FIRST.index(finding.severity), finding.code): finding for finding in reversed(findings)}
    table = Table("Severity", "Finding", "Files", "For example", title=title)
    for (severity, code), count in sorted(kinds.items()):
        # As plain text: rich would take brackets in a file's name for markup.
        table.add_row(_WORST_FIRST[severity].value, code, str(count), Text(str(examples[severity, code])))
    return table


def _errors(findings: Sequence[Finding]) -> object:
    """Return a table with a row for each error."""
    from rich.table import Table
    from rich.text import Text

    table = Table("Severity", "Finding", "File", "What was found", "What to do", title="Errors")
    for finding in findings:
        cells = (finding.severity.value, finding.code, finding.file, finding.problem, finding.remedy)
        table.add_row(*(Text(cell) for cell in cells))
    return table
