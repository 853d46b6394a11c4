"""The raw dataset as a comparison sees it: truth, images, folds and patients."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.folds import SPLITS_FILE, read_folds

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Dataset:
    """One dataset of nnU-Net's raw folder.

    Attributes:
        folder: ``nnUNet_raw/DatasetNNN_NAME``.
        ending: File ending of its volumes.
        train: Truth of the cases for training and validation, by case.
        test: Truth of the test cases, by case.
        folds: The validation cases of fold 0, 1, ... as far as ``splits_final.json`` goes.
        patients: Patient of a case; a case that ``cases.csv`` does not hold is a patient of its own.
    """

    folder: Path
    ending: str
    train: dict[str, Path]
    test: dict[str, Path]
    folds: tuple[frozenset[str], ...]
    patients: dict[str, str]

    def truth(self, case: str) -> Path:
        """The mask of a case."""
        return self.test[case] if case in self.test else self.train[case]

    def image(self, case: str) -> Path | None:
        """The CT of a case, or None if it is not there."""
        images = self.folder / ("imagesTs" if case in self.test else "imagesTr")
        path = images / f"{case}_0000{self.ending}"
        return path if path.is_file() else None


def open_dataset(name: str, *, results: Path, raw: Path | None) -> Dataset:
    """The raw dataset that holds the truth for results.

    Args:
        name: ``DatasetNNN_NAME``.
        results: nnU-Net's results folder.
        raw: nnU-Net's raw folder; None for ``$nnUNet_raw``, and then ``nnUNet_raw`` beside `results`.

    Raises:
        SetupError: No such dataset is found.
        InputError: One of its files cannot be used.
    """
    folder = _find(name, results=results, raw=raw)
    ending = _file_ending(folder / "dataset.json")
    train, test = (_volumes(folder / labels, ending) for labels in ("labelsTr", "labelsTs"))
    if not train and not test:
        msg = f"{folder}: labelsTr and labelsTs hold no {ending} file. Give the raw folder with --raw."
        raise SetupError(msg)
    if both := sorted(train.keys() & test.keys()):
        msg = f"{folder}: {', '.join(both)} stand in labelsTr and in labelsTs. A test case must not be trained on."
        raise InputError(msg)
    return Dataset(folder, ending, train, test, _folds(folder, train), _patients(folder))


def _find(name: str, *, results: Path, raw: Path | None) -> Path:
    beside = results.parent / "nnUNet_raw"
    variable = os.environ.get("nnUNet_raw")
    candidates = [raw] if raw else [Path(variable), beside] if variable else [beside]
    folders = [candidate / name for candidate in candidates]
    for folder in folders:
        if (folder / "dataset.json").is_file():
            return folder
    msg = (
        f"There is no truth for {name}: no dataset.json in {' or '.join(map(str, folders))}. Give nnU-Net's raw "
        'folder with --raw, or run: eval "$(nnfemur env DIR)"'
    )
    raise SetupError(msg)


def _volumes(folder: Path, ending: str) -> dict[str, Path]:
    files = sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []
    return {file.name[: -len(ending)]: file for file in files if not file.name.startswith(".")}


def _folds(folder: Path, cases: Collection[str]) -> tuple[frozenset[str], ...]:
    beside = folder.parent.parent / "nnUNet_preprocessed"
    preprocessed = Path(os.environ.get("nnUNet_preprocessed") or beside)
    homes = (folder, preprocessed / folder.name, beside / folder.name)
    path = next((file for home in homes if (file := home / SPLITS_FILE).is_file()), None)
    return tuple(frozenset(fold.val) for fold in read_folds(path, cases)) if path else ()


def _patients(folder: Path) -> dict[str, str]:
    import pandas as pd

    path = folder / "cases.csv"
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return dict(zip(table["case"], table["patient"], strict=True))
    except (KeyError, ValueError) as error:
        msg = f"{path}: cannot be read as a table with the columns case and patient ({error})."
        raise InputError(msg) from error


def _file_ending(path: Path) -> str:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["file_ending"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is no nnU-Net dataset.json with a file_ending ({error!r}). Convert the dataset again."
        raise InputError(msg) from error
