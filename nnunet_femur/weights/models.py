"""TotalSegmentator's models that contain the femur, found where TotalSegmentator looks for them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_femur.errors import SetupError
from nnunet_femur.records import read_json

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


CHECKPOINT = "fold_0/checkpoint_final.pth"
"""The checkpoint that TotalSegmentator predicts with, below the model's folder."""

DUMMY_NOTE = "DUMMY-WEIGHTS.txt"
"""File in the dataset's folder that marks weights as made by :mod:`nnunet_femur.testing`, not TotalSegmentator's."""

_DUMMY_NOTE_BEFORE = "STAND-IN.txt"
"""The name of that file in version 0.1."""


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
    def is_dummy(self) -> bool:
        """Whether these are dummy weights for tests and demos, which know nothing of patients."""
        return any((self.folder.parent / name).is_file() for name in (DUMMY_NOTE, _DUMMY_NOTE_BEFORE))


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
