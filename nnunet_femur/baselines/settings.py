"""Settings of TotalSegmentator, the cases to segment, and their outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunet_femur.records import sha256
from nnunet_femur.weights import load_checkpoint
from nnunet_femur.weights.models import SourceModel, crop_entry, femur_entry, open_model, weights_folder


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


@dataclass(frozen=True)
class Settings:
    """What decides over the masks, and where they are computed.

    Attributes:
        fast: The 3 mm model instead of the 1.5 mm model.
        sides: Keep the left femur as 1 and the right one as 2, instead of 1 for either.
        robust_crop: Look for the femur with the 3 mm model instead of the 6 mm model, before segmenting there.
        device: TotalSegmentator's name of the device: "cpu", "gpu", "gpu:1", "mps".
        any_values: Segment volumes whose values are not HU, with a warning; they are refused otherwise.
    """

    fast: bool = False
    sides: bool = False
    robust_crop: bool = False
    device: str = "cpu"
    any_values: bool = False

    def models(self) -> tuple[SourceModel, ...]:
        """The models that are run, found where TotalSegmentator keeps them and seen to hold nothing that runs.

        TotalSegmentator loads its checkpoints in a way that runs whatever code is in them, so they are read safely
        first.

        Raises:
            SetupError: A model is not there, not whole, or its checkpoint asks for code to be run.
        """
        crop = femur_entry(fast=True) if self.robust_crop else crop_entry()
        entries = {entry.task_id: entry for entry in (femur_entry(fast=self.fast), crop)}
        models = tuple(open_model(weights_folder(), entry) for entry in entries.values())
        for model in models:
            load_checkpoint(model.checkpoint)
        return models

    def record(self, models: tuple[SourceModel, ...]) -> dict[str, Any]:
        """Everything that decides over the masks: a mask made under the same record is not made again.

        Args:
            models: The models that are run.
        """
        return {
            "fast": self.fast,
            "sides": self.sides,
            "robust_crop": self.robust_crop,
            "versions": {name: version(name) for name in ("nnunet_femur", "TotalSegmentator", "nnunetv2", "torch")},
            "weights": [
                {
                    "dataset": model.dataset,
                    "dummy": model.is_dummy,
                    "checkpoint": str(model.checkpoint),
                    "sha256": sha256(model.checkpoint),
                }
                for model in models
            ],
            # Records of older versions do not have it.
            **({"any_values": True} if self.any_values else {}),
        }


def default_device() -> str:
    """TotalSegmentator's name of this machine's best device; asks torch, which takes seconds to load."""
    import torch

    if torch.cuda.is_available():
        return "gpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"
