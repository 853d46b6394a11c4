"""Cases to segment, and what became of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One CT to segment.

    Attributes:
        case: Its name.
        ct: A volume, or a folder of DICOM slices.
        output: The mask to write.
    """

    case: str
    ct: Path
    output: Path

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"case": self.case, "ct": str(self.ct), "output": str(self.output)}

    @classmethod
    def from_dict(cls, content: dict[str, str]) -> Job:
        """From JSON."""
        return cls(content["case"], Path(content["ct"]), Path(content["output"]))


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: Its name.
        seconds: How long it took; 0 for a case that ended its process.
        problem: Why there is no mask, and what to do; None if there is one.
        volume_ml: Volume of the mask in millilitres.
        warnings: What is doubtful about the CT, as short texts.
    """

    case: str
    seconds: float = 0.0
    problem: str | None = None
    volume_ml: float = 0.0
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
