"""What a layout gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.findings import Finding
    from nnunet_femur.intake.cases import Case


@dataclass(frozen=True)
class Found:
    """The cases of a source.

    Attributes:
        root: The folder that all files of cases and findings are relative to.
        layout: The layout's name.
        cases: The cases, ordered by id.
        findings: What was found that belongs to no case; with an error among it nothing is converted.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
