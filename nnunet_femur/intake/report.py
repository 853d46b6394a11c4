"""What a person wants to know after a conversion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from nnunet_femur.findings import Finding
    from nnunet_femur.intake.record import Described

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
        return all(finding.severity is not Severity.ERROR for finding in self.all_findings)

    def print(self) -> None:
        """Print the sets, the findings and what was done."""
        from rich.console import Console

        console = Console()
        if self.dataset is not None:
            console.print(_sets(self.folder.name, self.dataset))
        if self.dry_run:
            _print_each(console, self.all_findings)
        else:
            _print_kinds(console, self.all_findings)
        console.print(self._last_line(), markup=False)

    def _last_line(self) -> str:
        if self.dry_run:
            errors = sum(finding.severity is Severity.ERROR for finding in self.all_findings)
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


def _print_kinds(console: Console, findings: Sequence[Finding]) -> None:
    """A line for each kind of finding; a dataset of a thousand cases has thousands of notes."""
    from rich.table import Table
    from rich.text import Text

    if not findings:
        return
    kinds = Counter((_WORST_FIRST.index(finding.severity), finding.code) for finding in findings)
    examples = {finding.code: finding for finding in reversed(findings)}
    table = Table("Severity", "Finding", "Files", "For example", title="Findings (all in cases.csv)")
    for (severity, code), count in sorted(kinds.items()):
        # As plain text: rich would take brackets in a file's name for markup.
        table.add_row(_WORST_FIRST[severity].value, code, str(count), Text(str(examples[code])))
    console.print(table)


def _print_each(console: Console, findings: Sequence[Finding]) -> None:
    """Every finding of a dry run, the worst first: nothing keeps them but this table."""
    from rich.table import Table
    from rich.text import Text

    if not findings:
        console.print("No findings.")
        return
    table = Table("Severity", "Finding", "File", "What was found", "What to do", title="Findings")
    for finding in sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.severity)):
        cells = (finding.severity.value, finding.code, finding.file, finding.problem, finding.remedy)
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
