"""Which of TotalSegmentator's models hold the femur, read from TotalSegmentator's own tables.

Only its tables are imported here, which load neither torch nor nnU-Net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnunet_femur.errors import SetupError

FEMURS = ("femur_left", "femur_right")
"""TotalSegmentator's names of the two classes."""

TASK = "total"
"""TotalSegmentator's task that segments the femur."""


@dataclass(frozen=True)
class ModelEntry:
    """One model of TotalSegmentator, as its tables describe it.

    Attributes:
        task_id: TotalSegmentator's number of the model, which is also nnU-Net's number of its dataset.
        dataset: Name of the dataset's folder, as ``Dataset294_...``.
        trainer: Name of the trainer that made it.
        spacing_mm: Edge of the voxels that CTs are resampled to for it, in mm.
        classes: Row of the network's output by the name of the class; row 0 is background.
    """

    task_id: int
    dataset: str
    trainer: str
    spacing_mm: float
    classes: dict[str, int]

    @property
    def folder(self) -> str:
        """nnU-Net's folder of the model below the weights folder: dataset/TRAINER__PLANS__CONFIGURATION."""
        from totalsegmentator.map_tasks_config import DEFAULT_CONFIG

        return f"{self.dataset}/{self.trainer}__nnUNetPlans__{DEFAULT_CONFIG['model']}"

    @property
    def rows(self) -> int:
        """Number of rows of the network's output, background included."""
        return max(self.classes.values()) + 1


def femur_entry(*, fast: bool = False) -> ModelEntry:
    """The model that segments the femur.

    Args:
        fast: The 3 mm model of all classes instead of the 1.5 mm model of a part of them.

    Raises:
        SetupError: The installed TotalSegmentator has no such model.
    """
    mode = "fast" if fast else "default"
    for entry in _entries(mode):
        if set(FEMURS) <= entry.classes.keys():
            return entry
    msg = (
        f"The installed TotalSegmentator has no model with the classes {' and '.join(FEMURS)} (task {TASK!r}, mode "
        f"{mode!r}). Install the version that nnunet_femur asks for."
    )
    raise SetupError(msg)


def crop_entry() -> ModelEntry:
    """The 6 mm model by which TotalSegmentator finds the region of a class, before it segments there."""
    return _entries("fastest")[0]


def entries() -> tuple[ModelEntry, ...]:
    """All models that are of use here: the femur's at 1.5 mm and 3 mm, and that of the rough crop."""
    return femur_entry(), femur_entry(fast=True), crop_entry()


def other_parts() -> tuple[str, ...]:
    """Dataset folders of the 1.5 mm models without a femur; TotalSegmentator wants to see these folders too."""
    femur = femur_entry()
    return tuple(entry.dataset for entry in _entries("default") if entry.task_id != femur.task_id)


def _entries(mode: str) -> list[ModelEntry]:
    from totalsegmentator.map_tasks_config import TASK_CONFIGS, TASK_ID_WEIGHTS_CONFIGS

    settings = TASK_CONFIGS[TASK]["sub_modes"][mode]
    ids = settings["task_id"] if isinstance(settings["task_id"], list) else [settings["task_id"]]
    return [
        ModelEntry(
            task_id=task_id,
            dataset=TASK_ID_WEIGHTS_CONFIGS[task_id]["foldername"],
            trainer=settings["trainer"],
            spacing_mm=float(settings["resample"]),
            classes={name: row for row, name in _class_map(task_id).items()},
        )
        for task_id in ids
    ]


def _class_map(task_id: int) -> dict[int, str]:
    """Names by output row: those of the part that a model segments, or of the whole task."""
    from totalsegmentator import map_to_binary as tables

    parts: dict[int, Any] = tables.map_taskid_to_partname_ct
    if task_id in parts:
        return tables.class_map_5_parts[parts[task_id]]
    return tables.class_map[TASK]
