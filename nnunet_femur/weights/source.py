"""A model of TotalSegmentator on this machine, found where TotalSegmentator looks for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError
from nnunet_femur.records import read_json
from nnunet_femur.weights.tables import FEMURS, crop_entry, femur_entry

if TYPE_CHECKING:
    from nnunet_femur.weights.tables import ModelEntry

CHECKPOINT = "fold_0/checkpoint_final.pth"
"""The checkpoint that TotalSegmentator predicts with, below the model's folder."""

STANDIN_NOTE = "STAND-IN.txt"
"""File in the dataset's folder that marks weights as made by :mod:`nnunet_femur.testing`, not TotalSegmentator's."""


@dataclass(frozen=True)
class SourceModel:
    """A model folder of TotalSegmentator, its descriptions read and its classes checked.

    Attributes:
        folder: nnU-Net's folder of the model, ``TRAINER__PLANS__CONFIGURATION``.
        dataset: Name of its dataset, as ``Dataset294_...``.
        task: TotalSegmentator's number of the model.
        plans: Content of ``plans.json``.
        dataset_json: Content of ``dataset.json``.
        checkpoint: The checkpoint of fold 0; read it with :func:`~nnunet_femur.weights.load_checkpoint`.
        classes: Row of the network's output by the name of the class; row 0 is background.
        spacing_mm: Edge of the voxels that TotalSegmentator resamples a CT to before this model, in mm.
    """

    folder: Path
    dataset: str
    task: int
    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    checkpoint: Path
    classes: dict[str, int]
    spacing_mm: float

    @property
    def trainer(self) -> str:
        """Name of the trainer, from the folder's name."""
        return self.folder.name.split("__")[0]

    @property
    def configuration(self) -> str:
        """Name of nnU-Net's configuration, from the folder's name."""
        return self.folder.name.rpartition("__")[2]

    @property
    def femur_rows(self) -> tuple[int, int]:
        """Rows of the output for the left and the right femur.

        Raises:
            SetupError: The model does not segment the femur.
        """
        if not set(FEMURS) <= self.classes.keys():
            msg = f"{self.folder}: this model has no classes {' and '.join(FEMURS)}."
            raise SetupError(msg)
        left, right = (self.classes[name] for name in FEMURS)
        return left, right

    @property
    def is_standin(self) -> bool:
        """Whether these are stand-in weights for tests and demos, which know nothing of patients."""
        return (self.folder.parent / STANDIN_NOTE).is_file()


def weights_folder() -> Path:
    """The folder in which TotalSegmentator keeps its models; it need not exist.

    The same rules as ``totalsegmentator.config.get_weights_dir``, without the seconds that its imports take:
    ``$TOTALSEG_WEIGHTS_PATH``, ``$TOTALSEG_HOME_DIR/nnunet/results``, ``~/.totalsegmentator/nnunet/results``.
    """
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    if "TOTALSEG_HOME_DIR" in os.environ:
        return Path(os.environ["TOTALSEG_HOME_DIR"]) / "nnunet" / "results"
    home = Path.home()
    return (Path("/tmp") if str(home) == "/" else home) / ".totalsegmentator" / "nnunet" / "results"  # noqa: S108


def find_model(*, fast: bool = False) -> SourceModel:
    """The model that segments the femur, in TotalSegmentator's weights folder.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Raises:
        SetupError: It is not there, is not whole, or its classes are not TotalSegmentator's.
    """
    return open_model(weights_folder(), femur_entry(fast=fast))


def find_crop_model() -> SourceModel:
    """The 6 mm model that TotalSegmentator crops by, in TotalSegmentator's weights folder.

    Raises:
        SetupError: As :func:`find_model`.
    """
    return open_model(weights_folder(), crop_entry())


def open_model(weights: Path, entry: ModelEntry) -> SourceModel:
    """The model of TotalSegmentator's table in a weights folder.

    Args:
        weights: The folder that holds ``DatasetNNN_...`` folders.
        entry: Which model.

    Raises:
        SetupError: It is not there, is not whole, or its classes are not TotalSegmentator's.
    """
    folder = weights / entry.folder
    remedy = how_to_install(entry)
    if not folder.is_dir():
        msg = f"{folder}: TotalSegmentator's {entry.spacing_mm:g} mm model is not there. {remedy}"
        raise SetupError(msg)
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        msg = f"{checkpoint}: missing, so the model is not whole. Remove {folder.parent}, then: {remedy}"
        raise SetupError(msg)
    plans, dataset_json = (_read(folder / name, remedy) for name in ("plans.json", "dataset.json"))
    _require_classes(folder / "dataset.json", dataset_json, entry)
    return SourceModel(
        folder=folder,
        dataset=entry.dataset,
        task=entry.task_id,
        plans=plans,
        dataset_json=dataset_json,
        checkpoint=checkpoint,
        classes=dict(entry.classes),
        spacing_mm=entry.spacing_mm,
    )


def how_to_install(entry: ModelEntry) -> str:
    """The command that brings a model here, in words."""
    fast = " --fast" if entry.task_id == femur_entry(fast=True).task_id else ""
    return (
        f"Run: nnfemur weights download{fast} (without internet: nnfemur weights download{fast} --from-zip "
        f"{entry.dataset}.zip)"
    )


def _read(path: Path, remedy: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        msg = f"{path}: missing or unreadable, so the model is not whole. Remove {path.parents[1]}, then: {remedy}"
        raise SetupError(msg)
    return content


def _require_classes(path: Path, dataset_json: dict[str, Any], entry: ModelEntry) -> None:
    """See that the folder means the same classes by its rows as TotalSegmentator's tables do.

    Raises:
        SetupError: It does not.
    """
    labels = dataset_json.get("labels")
    if not isinstance(labels, dict):
        msg = f"{path}: has no labels. This is no model of TotalSegmentator."
        raise SetupError(msg)
    if len(labels) != entry.rows:
        msg = (
            f"{path}: has {len(labels)} labels, but TotalSegmentator's tables give this model {entry.rows}. The "
            "installed TotalSegmentator and these weights are of different versions."
        )
        raise SetupError(msg)
    for name in FEMURS:
        if name in entry.classes and labels.get(name) != entry.classes[name]:
            msg = (
                f"{path}: {name} is {labels.get(name, 'missing')}, but {entry.classes[name]} in TotalSegmentator's "
                "tables. The installed TotalSegmentator and these weights are of different versions."
            )
            raise SetupError(msg)
