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
        case: Name of the case.
        ct: A volume, or a folder of DICOM slices.
        output: The mask to write.
        also: Further files of the same mask, such as DICOM files.
    """

    case: str
    ct: Path
    output: Path
    also: tuple[Path, ...] = ()

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files to write."""
        return (self.output, *self.also)

    def as_dict(self) -> dict[str, Any]:
        """Return the job as JSON content."""
        also = [str(path) for path in self.also]
        return {"case": self.case, "ct": str(self.ct), "output": str(self.output), "also": also}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Job:
        """Return the job of JSON content."""
        also = tuple(map(Path, content.get("also", ())))
        return cls(content["case"], Path(content["ct"]), Path(content["output"]), also)


@dataclass(frozen=True)
class Outcome:
    """Outcome of a case.

    Attributes:
        case: Name of the case.
        seconds: Time that it took, in s; 0 for a case at which the process ended.
        problem: Reason why there is no mask, and the fix; None if there is a mask.
        volume_ml: Volume of the mask in ml.
        warnings: Short texts about what is doubtful about the CT.
        code: Code of the problem, of :data:`nnunet_femur.errors.CODES` or of a finding; empty if there is a mask.
    """

    case: str
    seconds: float = 0.0
    problem: str | None = None
    volume_ml: float = 0.0
    warnings: tuple[str, ...] = ()
    code: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON content."""
        return asdict(self)


@dataclass(frozen=True)
class Settings:
    """Settings that determine the masks, and the device.

    Attributes:
        fast: Use the 3 mm model instead of the 1.5 mm model.
        sides: Write the left femur as 1 and the right one as 2, instead of 1 for either.
        robust_crop: Locate the femur with the 3 mm model instead of the 6 mm model, before it is segmented.
        device: TotalSegmentator's name of the device: "cpu", "gpu", "gpu:1", "mps"; see :func:`device_name`.
        any_values: Segment volumes whose values are not HU, with a warning, instead of refusing them.
    """

    fast: bool = False
    sides: bool = False
    robust_crop: bool = False
    device: str = "cpu"
    any_values: bool = False

    def models(self) -> tuple[SourceModel, ...]:
        """Return the models that are run, from TotalSegmentator's folder, after checking that they contain no code.

        TotalSegmentator loads its checkpoints in a way that runs any code in them, so they are read safely first.

        Raises:
            SetupError: A model is missing or damaged, or its checkpoint contains code.
        """
        crop = femur_entry(fast=True) if self.robust_crop else crop_entry()
        entries = {entry.task_id: entry for entry in (femur_entry(fast=self.fast), crop)}
        models = tuple(open_model(weights_folder(), entry) for entry in entries.values())
        for model in models:
            load_checkpoint(model.checkpoint)
        return models

    def record(self, models: tuple[SourceModel, ...]) -> dict[str, Any]:
        """Return everything that determines the masks, as JSON content.

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


def device_name(device: str = "auto") -> str:
    """Return TotalSegmentator's name of a device.

    Args:
        device: "auto" for a GPU if there is one (this imports torch, which takes seconds), PyTorch's "cuda" or
            "cuda:1", or a name of TotalSegmentator: "cpu", "gpu", "gpu:1", "mps".

    Example:
        >>> device_name("cuda:1")
        'gpu:1'
    """
    if device != "auto":
        return device.replace("cuda", "gpu", 1)
    import torch

    if torch.cuda.is_available():
        return "gpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"
