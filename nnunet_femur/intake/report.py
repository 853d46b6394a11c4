"""What a person wants to know after a conversion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.intake.record import read_record

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a conversion has done.

    Attributes:
        folder: The dataset.
        written: Cases that were converted in this run.
        unchanged: Cases that had been converted before.
    """

    folder: Path
    written: tuple[str, ...]
    unchanged: tuple[str, ...]

    def print(self) -> None:
        """Print the sets, the kinds of findings and what was done."""
        from rich.console import Console
        from rich.table import Table

        console = Console()
        record = read_record(self.folder)
        if record is None:
            return
        sides = sorted({side for counts in record.counts.values() for side in counts})
        sets = Table("Set", "Cases", *sides, title=self.folder.name)
        for name, counts in record.counts.items():
            sets.add_row(name, str(sum(counts.values())), *(str(counts.get(side, 0)) for side in sides))
        console.print(sets)
        found = record.all_findings()
        if found:
            kinds = Counter((finding.severity.value, finding.code) for finding in found)
            examples = {finding.code: finding for finding in reversed(found)}
            findings = Table("Severity", "Finding", "Files", "For example", title="Findings (all in conversion.json)")
            for (severity, code), count in sorted(kinds.items()):
                findings.add_row(severity, code, str(count), str(examples[code]))
            console.print(findings)
        if self.written:
            kept = f"; {len(self.unchanged)} were converted before" if self.unchanged else ""
            console.print(f"{len(self.written)} cases converted{kept}.")
        else:
            console.print("Nothing to convert: the dataset is up to date.")
