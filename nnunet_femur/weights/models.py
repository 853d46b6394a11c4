"""TotalSegmentator's models that segment the femur or crop to it: in its tables, and in its weights folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL, PLANS_JSON, fold_folder, model_folder
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.errors import SetupError
from nnunet_femur.records import read_json

FEMURS = ("femur_left", "femur_right")
"""TotalSegmentator's names of the two classes."""

TASK = "total"
"""TotalSegmentator's task that segments the femur."""

CHECKPOINT = f"{fold_folder(0)}/{CHECKPOINT_FINAL}"
"""The checkpoint that TotalSegmentator predicts with, relative to the model's folder."""

DUMMY_NOTE = "DUMMY-WEIGHTS.txt"
"""File in the dataset's folder that marks weights as made by :mod:`nnunet_femur.testing`, not TotalSegmentator's."""

_DUMMY_NOTE_BEFORE = "STAND-IN.txt"
"""Name of that file in version 0.1."""


@dataclass(frozen=True)
class ModelEntry:
    """A model in TotalSegmentator's tables.

    Attributes:
        task_id: TotalSegmentator's number of the model, which is also nnU-Net's number of its dataset.
        dataset: Name of the dataset's folder, such as ``Dataset294_...``.
        trainer: Name of its trainer.
        spacing_mm: Voxel edge that TotalSegmentator resamples CTs to for this model, in mm.
        classes: Output channel of the network by the name of the class; channel 0 is background.

    Example:
        >>> femur_entry().channels
        24
    """

    task_id: int
    dataset: str
    trainer: str
    spacing_mm: float
    classes: dict[str, int]

    @property
    def folder(self) -> str:
        """nnU-Net's folder of the model relative to the weights folder: dataset/TRAINER__PLANS__CONFIGURATION."""
        from totalsegmentator.map_tasks_config import DEFAULT_CONFIG

        return f"{self.dataset}/{model_folder(self.trainer, configuration=DEFAULT_CONFIG['model'])}"

    @property
    def channels(self) -> int:
        """Number of output channels of the network, with background."""
        return max(self.classes.values()) + 1


def femur_entry(*, fast: bool = False) -> ModelEntry:
    """Return the model that segments the femur.

    Args:
        fast: The 3 mm model of all classes instead of the 1.5 mm model of a part of them.

    Raises:
        SetupError: The installed TotalSegmentator has no such model (code "unsupported").

    Example:
        >>> entry = femur_entry()
        >>> entry.dataset, entry.spacing_mm, entry.classes["femur_left"]
        ('Dataset294_TotalSegmentator_part4_muscles_1559subj', 1.5, 7)
    """
    mode = "fast" if fast else "default"
    for entry in _entries(mode):
        if set(FEMURS) <= entry.classes.keys():
            return entry
    msg = (
        f"The installed TotalSegmentator has no model with the classes {' and '.join(FEMURS)} (task {TASK!r}, mode "
        f"{mode!r}). Install the version that nnunet_femur requires."
    )
    raise SetupError(msg, code="unsupported")


def crop_entry() -> ModelEntry:
    """Return the 6 mm model, with which TotalSegmentator finds the region of a class before it segments the class.

    Example:
        >>> crop_entry().spacing_mm
        6.0
    """
    return _entries("fastest")[0]


def entries() -> tuple[ModelEntry, ...]:
    """Return all models that this package uses: the femur's at 1.5 mm and 3 mm, and the one for the crop."""
    return femur_entry(), femur_entry(fast=True), crop_entry()


def other_parts() -> tuple[str, ...]:
    """Return the dataset folders of the 1.5 mm models without a femur; TotalSegmentator requires them to exist."""
    femur = femur_entry()
    return tuple(entry.dataset for entry in _entries("default") if entry.task_id != femur.task_id)


def how_to_install(entry: ModelEntry) -> str:
    """Return a sentence with the command that installs a model.

    Args:
        entry: The model.
    """
    fast = " --fast" if entry.task_id == femur_entry(fast=True).task_id else ""
    return (
        f"Run: nnfemur weights download{fast} (without internet: nnfemur weights download{fast} --from-zip "
        f"{entry.dataset}.zip)"
    )


@dataclass(frozen=True)
class SourceModel:
    """A model of TotalSegmentator on this machine, with its descriptions read and its classes checked.

    Attributes:
        folder: nnU-Net's folder of the model, ``TRAINER__PLANS__CONFIGURATION``.
        dataset: Name of its dataset, such as ``Dataset294_...``.
        task: TotalSegmentator's number of the model.
        plans: Content of ``plans.json``.
        dataset_json: Content of ``dataset.json``.
        checkpoint: The checkpoint of fold 0; :func:`~nnunet_femur.weights.load_checkpoint` reads it.
        classes: Output channel of the network by the name of the class; channel 0 is background.
        spacing_mm: Voxel edge that TotalSegmentator resamples CTs to for this model, in mm.

    Example:
        >>> model = find_model()
        >>> model.configuration, model.femur_channels
        ('3d_fullres', (7, 8))
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
    def femur_channels(self) -> tuple[int, int]:
        """Output channels of the left and the right femur.

        Raises:
            SetupError: The model does not segment the femur (code "invalid-weights").
        """
        if not set(FEMURS) <= self.classes.keys():
            msg = f"{self.folder}: this model has no classes {' and '.join(FEMURS)}."
            raise SetupError(msg, code="invalid-weights")
        left, right = (self.classes[name] for name in FEMURS)
        return left, right

    @property
    def is_dummy(self) -> bool:
        """True for dummy weights for tests and demos, which are not TotalSegmentator's."""
        return any((self.folder.parent / name).is_file() for name in (DUMMY_NOTE, _DUMMY_NOTE_BEFORE))


def weights_folder() -> Path:
    """Return the folder in which TotalSegmentator keeps its models; it need not exist.

    The rules are those of ``totalsegmentator.config.get_weights_dir``, whose imports take seconds:
    ``$TOTALSEG_WEIGHTS_PATH``, ``$TOTALSEG_HOME_DIR/nnunet/results``, ``~/.totalsegmentator/nnunet/results``.

    Example:
        >>> find_model().folder.is_relative_to(weights_folder())
        True
    """
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    if "TOTALSEG_HOME_DIR" in os.environ:
        return Path(os.environ["TOTALSEG_HOME_DIR"]) / "nnunet" / "results"
    home = Path.home()
    return (Path("/tmp") if str(home) == "/" else home) / ".totalsegmentator" / "nnunet" / "results"  # noqa: S108


def find_model(*, fast: bool = False) -> SourceModel:
    """Open the model that segments the femur in TotalSegmentator's weights folder.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Raises:
        SetupError: As :func:`open_model`.

    Example:
        >>> find_model().spacing_mm, find_model(fast=True).spacing_mm
        (1.5, 3.0)
    """
    return open_model(weights_folder(), femur_entry(fast=fast))


def find_crop_model() -> SourceModel:
    """Open the 6 mm model for the crop in TotalSegmentator's weights folder.

    Raises:
        SetupError: As :func:`open_model`.

    Example:
        >>> find_crop_model().spacing_mm
        6.0
    """
    return open_model(weights_folder(), crop_entry())


def open_model(weights: Path, entry: ModelEntry) -> SourceModel:
    """Open a model of TotalSegmentator's tables in a weights folder.

    Args:
        weights: The folder that contains the folders ``DatasetNNN_...``.
        entry: The model.

    Raises:
        SetupError: The model is missing (code "no-weights"), incomplete, or has other classes than TotalSegmentator's
            tables ("invalid-weights").

    Example:
        >>> open_model(weights_folder(), crop_entry()).task
        298
    """
    folder = weights / entry.folder
    remedy = how_to_install(entry)
    if not folder.is_dir():
        msg = f"{folder}: TotalSegmentator's {entry.spacing_mm:g} mm model not found. {remedy}"
        raise SetupError(msg, code="no-weights")
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        msg = f"{checkpoint}: not found, so the model is incomplete. Remove {folder.parent}, then: {remedy}"
        raise SetupError(msg, code="invalid-weights")
    plans, dataset_json = (_read(folder / name, remedy) for name in (PLANS_JSON, DATASET_JSON))
    _require_classes(folder / DATASET_JSON, dataset_json, entry)
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


def _entries(mode: str) -> list[ModelEntry]:
    """Return the models of a mode of TotalSegmentator's task: "default" (1.5 mm), "fast" (3 mm), "fastest" (6 mm)."""
    from totalsegmentator.map_tasks_config import TASK_CONFIGS, TASK_ID_WEIGHTS_CONFIGS

    settings = TASK_CONFIGS[TASK]["sub_modes"][mode]
    ids = settings["task_id"] if isinstance(settings["task_id"], list) else [settings["task_id"]]
    return [
        ModelEntry(
            task_id=task_id,
            dataset=TASK_ID_WEIGHTS_CONFIGS[task_id]["foldername"],
            trainer=settings["trainer"],
            spacing_mm=float(settings["resample"]),
            classes={name: channel for channel, name in _class_map(task_id).items()},
        )
        for task_id in ids
    ]


def _class_map(task_id: int) -> dict[int, str]:
    """Return class names by output channel: those of the part that a model segments, or of the whole task."""
    from totalsegmentator import map_to_binary as tables

    parts: dict[int, Any] = tables.map_taskid_to_partname_ct
    if task_id in parts:
        return tables.class_map_5_parts[parts[task_id]]
    return tables.class_map[TASK]


def _read(path: Path, remedy: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        msg = f"{path}: missing or unreadable, so the model is incomplete. Remove {path.parents[1]}, then: {remedy}"
        raise SetupError(msg, code="invalid-weights")
    return content


def _require_classes(path: Path, dataset_json: dict[str, Any], entry: ModelEntry) -> None:
    """Require the same classes in the same output channels as in TotalSegmentator's tables.

    Raises:
        SetupError: The classes differ.
    """
    labels = dataset_json.get("labels")
    if not isinstance(labels, dict):
        msg = f"{path}: contains no labels, so this is not a model of TotalSegmentator."
        raise SetupError(msg, code="invalid-weights")
    versions = "The installed TotalSegmentator and these weights are of different versions."
    if len(labels) != entry.channels:
        msg = (
            f"{path}: must have {entry.channels} labels as in TotalSegmentator's tables, got {len(labels)}. {versions}"
        )
        raise SetupError(msg, code="invalid-weights")
    for name in FEMURS:
        if name in entry.classes and labels.get(name) != entry.classes[name]:
            msg = (
                f"{path}: {name} must be {entry.classes[name]} as in TotalSegmentator's tables, got "
                f"{labels.get(name, 'no such label')}. {versions}"
            )
            raise SetupError(msg, code="invalid-weights")
