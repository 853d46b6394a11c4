"""What the reference itself scores after resampling to the plans' grid and back."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CASES = 8
"""At most so many cases are looked at, spread evenly over the dataset."""


@dataclass(frozen=True)
class Ceiling:
    """Dice of reference -> plan grid -> reference.

    Attributes:
        spacing_mm: Spacing of the plan grid along the array axes.
        dice: Dice by case, 0 to 1.
        of: Number of cases of the dataset.
    """

    spacing_mm: tuple[float, ...]
    dice: dict[str, float]
    of: int

    def __str__(self) -> str:
        """One sentence for the terminal."""
        values = list(self.dice.values())
        grid = " x ".join(f"{mm:.4g}" for mm in self.spacing_mm)
        return (
            f"Resampling ceiling: reference taken to {grid} mm and back to the CTs' own grids scores Dice "
            f"{sum(values) / len(values):.4f} (lowest {min(values):.4f}, {len(values)} of {self.of} cases). "
            "No network that learns from masks on this grid should be expected to score higher."
        )


def resampling_ceiling(plans: Mapping[str, Any], configuration: str, *, folder: Path, raw: Path) -> Ceiling | None:
    """Take the preprocessed masks back to the grids of the raw ones, by nnU-Net's own way for predictions.

    None if no case that is looked at contains femur.

    Args:
        plans: nnU-Net's plans.
        configuration: A 3D configuration.
        folder: The preprocessed cases.
        raw: The raw dataset with the masks that they were made of.
    """
    import blosc2
    import numpy as np
    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_femur.records import read_json

    manager = PlansManager(dict(plans))
    description = read_json(raw / "dataset.json")
    labels = manager.get_label_manager(description)
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
        reference = reader.read_seg(str(raw / "labelsTr" / (record.stem + description["file_ending"])))[0][0] > 0
        voxels = int(np.sum(reference)) + int(np.sum(back > 0))
        if voxels:
            # A case without femur has no Dice.
            dice[record.stem] = 2 * int(np.sum(reference & (back > 0))) / voxels
    if not dice:
        return None
    return Ceiling(tuple(manager.get_configuration(configuration).spacing), dice, len(records))
