"""What planning needs of the raw dataset: where it is, its cases, its folds, and whether it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_json
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.folds import SPLITS_FILE
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from pathlib import Path


def find_dataset(folder: Path, dataset_id: int) -> Path:
    """The folder ``DatasetNNN_Name`` of this number.

    Raises:
        InputError: There is none, or more than one.
    """
    found = sorted(path for path in folder.glob(f"Dataset{dataset_id:03d}_*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        msg = (
            f"{folder}: there must be one dataset {dataset_id:03d}, but there is {names}. "
            f"Run: nnfemur convert SRC --dataset-id {dataset_id}"
        )
        raise InputError(msg)
    return found[0]


def training_cases(raw: Path) -> list[str]:
    """Identifiers of the cases of a raw dataset that are trained or validated on.

    Raises:
        InputError: The dataset has no readable ``dataset.json``.
    """
    description = read_json(raw / "dataset.json")
    if description is None:
        msg = f"{raw / 'dataset.json'}: missing or unreadable. Run nnfemur convert again."
        raise InputError(msg)
    ending = description["file_ending"]
    return sorted(path.name.removesuffix(ending) for path in (raw / "labelsTr").glob(f"[!.]*{ending}"))


def replace_folds(raw: Path, preprocessed: Path) -> None:
    """Put the dataset's folds where the trainers read them; nnU-Net would stop with a bare AssertionError.

    Raises:
        SetupError: Networks were trained on other folds, so their validation cases may be training cases now.
    """
    current, new = read_json(preprocessed / SPLITS_FILE), read_json(raw / SPLITS_FILE)
    if current is not None and current != new:
        trained = sorted((require("nnUNet_results") / raw.name).glob("*/fold_*/checkpoint_*.pth"))
        if trained:
            folder = require("nnUNet_results") / raw.name
            msg = (
                f"{folder}: holds networks that were trained on other folds than {raw / SPLITS_FILE} has now. "
                "Move that folder away, or convert with the seed that it was trained under."
            )
            raise SetupError(msg)
    write_json(preprocessed / SPLITS_FILE, new)
