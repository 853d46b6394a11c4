"""The resampling ceiling: the score of the reference itself after resampling to the plans' grid and back."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnunet_femur.dataset.raw import RawDataset

CASES = 8
"""Largest number of cases that are examined, spread evenly over the dataset."""


@dataclass(frozen=True)
class Ceiling:
    """Dice of reference masks that were resampled to the plans' grid and back.

    Attributes:
        spacing_mm: Spacing of the plans' grid along the array axes z, y, x, in mm.
        dice: Dice by case, 0 to 1.
        of: Number of cases of the dataset.

    Example:
        >>> print(Ceiling((1.5, 1.5, 1.5), {"L001": 0.99, "R002": 0.98}, of=40))
        Resampling ceiling: reference masks that are resampled to 1.5 x 1.5 x 1.5 mm and back score Dice 0.9850 ...
    """

    spacing_mm: tuple[float, ...]
    dice: dict[str, float]
    of: int

    @property
    def mean(self) -> float:
        """Mean Dice of the examined cases."""
        return sum(self.dice.values()) / len(self.dice)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ceiling:
        """Return the ceiling that :meth:`as_json` described."""
        return cls(tuple(content["spacing_mm"]), content["dice"], content["of"])

    def as_json(self) -> dict[str, Any]:
        """Return the ceiling as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        """Return two sentences for the terminal."""
        grid = " x ".join(f"{mm:.4g}" for mm in self.spacing_mm)
        return (
            f"Resampling ceiling: reference masks that are resampled to {grid} mm and back score Dice {self.mean:.4f} "
            f"(lowest {min(self.dice.values()):.4f}, {len(self.dice)} of {self.of} cases). A network that learns from "
            "masks on this grid cannot be expected to score higher."
        )


def resampling_ceiling(
    plans: Mapping[str, Any], configuration: str, *, folder: Path, raw: RawDataset
) -> Ceiling | None:
    """Resample preprocessed masks to the grids of the raw masks, with the function that nnU-Net uses for predictions.

    Args:
        plans: nnU-Net's plans.
        configuration: A 3D configuration.
        folder: The preprocessed cases.
        raw: The raw dataset from which they were preprocessed.

    Returns:
        Dice of the resampled masks; None if no examined case contains femur.
    """
    import blosc2
    import numpy as np
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(dict(plans))
    labels = manager.get_label_manager(raw.description)
    reader = manager.image_reader_writer_class()
    records = sorted(folder.glob("*.pkl"))
    chosen = [records[i] for i in np.unique(np.linspace(0, len(records) - 1, CASES).round().astype(int))]
    dice = {}
    for record in chosen:
        with record.open("rb") as file:
            properties = pickle.load(file)  # noqa: S301 - nnU-Net's own, as it reads them itself
        mask = torch.from_numpy(blosc2.open(str(folder / f"{record.stem}_seg.b2nd"), mode="r")[:][0] > 0)
        back = convert_predicted_logits_to_segmentation_with_correct_shape(
            torch.stack([~mask, mask]).float(), manager, manager.get_configuration(configuration), labels, properties
        )
        reference = reader.read_seg(str(raw.mask(record.stem)))[0][0] > 0
        voxels = int(np.sum(reference)) + int(np.sum(back > 0))
        if voxels:
            # Dice is undefined for a case without femur.
            dice[record.stem] = 2 * int(np.sum(reference & (back > 0))) / voxels
    if not dice:
        return None
    return Ceiling(tuple(manager.get_configuration(configuration).spacing), dice, len(records))
