"""The raw dataset as a comparison sees it: reference, images, folds and patients."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.folds import SPLITS_FILE, Fold, read_folds
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.imaging.sources import MaskFiles, find_masks

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Dataset:
    """One dataset of nnU-Net's raw folder.

    Attributes:
        folder: ``nnUNet_raw/DatasetNNN_NAME``, or the folder of masks that was given as reference.
        ending: File ending of its volumes.
        train: Reference of the cases for training and validation, by case.
        test: Reference of the test cases, by case.
        folds: The validation cases of fold 0, 1, ... as far as ``splits_final.json`` goes.
        patients: Patient of a case; a case that ``cases.csv`` does not hold is a patient of its own.
        trained_on: The cases that fold 0, 1, ... trains on as far as ``splits_final.json`` goes.
        listed: Whether it is known which case is for training and which for testing; not so for a folder of masks.
        problems: Reason by case why it has no reference that can be used; such cases are in no other attribute.
    """

    folder: Path
    ending: str
    train: dict[str, Path]
    test: dict[str, Path]
    folds: tuple[frozenset[str], ...]
    patients: dict[str, str]
    trained_on: tuple[frozenset[str], ...] = ()
    listed: bool = True
    problems: dict[str, str] = field(default_factory=dict)

    def reference(self, case: str) -> Path:
        """The mask of a case."""
        return self.test[case] if case in self.test else self.train[case]

    def image(self, case: str) -> Path | None:
        """The CT of a case, or None if it is not there."""
        images = self.folder / ("imagesTs" if case in self.test else "imagesTr")
        path = images / f"{case}_0000{self.ending}"
        return path if path.is_file() else None


def open_dataset(name: str | None, *, results: Path, raw: Path | None, reference: Path | None = None) -> Dataset:
    """The raw dataset that holds the reference for results, or a folder of masks in its place.

    Args:
        name: ``DatasetNNN_NAME``; None if there is none.
        results: nnU-Net's results folder.
        raw: nnU-Net's raw folder; None for ``$nnUNet_raw``, and then ``nnUNet_raw`` beside `results`.
        reference: A folder of masks named by case. They take the place of the raw dataset's; without such a dataset they
            are all there is.

    Raises:
        SetupError: No such dataset is found.
        InputError: One of its files cannot be used.
    """
    masks, problems = _masks(reference) if reference else MaskFiles({}, {})
    try:
        folder = _find(name, results=results, raw=raw)
    except SetupError:
        if reference is None:
            raise
        return Dataset(reference, "", masks, masks, (), _patients(reference), listed=False, problems=problems)
    ending = _file_ending(folder / "dataset.json")
    train, test = (_volumes(folder / labels, ending) for labels in ("labelsTr", "labelsTs"))
    if not train and not test:
        msg = f"{folder}: labelsTr and labelsTs hold no {ending} file. Give the raw folder with --raw."
        raise SetupError(msg)
    folds = _folds(folder, train)
    for case in sorted(train.keys() & test.keys()):
        problems[case] = (
            f"{train[case]}: this case is in labelsTs too, but a test case must not be trained on. Delete one of them."
        )
    train, test = (
        {case: masks.get(case, path) for case, path in of.items() if case not in problems} for of in (train, test)
    )
    return Dataset(
        folder=folder,
        ending=ending,
        train=train,
        test=test,
        folds=tuple(frozenset(fold.val) for fold in folds),
        patients=_patients(folder),
        trained_on=tuple(frozenset(fold.train) for fold in folds),
        problems=problems,
    )


def _masks(reference: Path) -> MaskFiles:
    if not reference.is_dir():
        msg = f"{reference}: folder not found. Pass the folder of the reference masks with --truth."
        raise InputError(msg)
    masks = find_masks(reference)
    if not masks.files:
        msg = f"{reference}: contains no masks. Pass the folder that contains the reference masks, such as labelsTs."
        raise InputError(msg)
    return masks


def _find(name: str | None, *, results: Path, raw: Path | None) -> Path:
    if name is None:
        msg = "There is no reference. Give the folder that holds the reference masks with --truth."
        raise SetupError(msg)
    beside = results.parent / "nnUNet_raw"
    variable = os.environ.get("nnUNet_raw")
    candidates = [raw] if raw else [Path(variable), beside] if variable else [beside]
    folders = [candidate / name for candidate in candidates]
    for folder in folders:
        if (folder / "dataset.json").is_file():
            return folder
    msg = (
        f"There is no reference for {name}: no dataset.json in {' or '.join(map(str, folders))}. Give nnU-Net's raw "
        'folder with --raw, or run: eval "$(nnfemur env DIR)"'
    )
    raise SetupError(msg)


def _volumes(folder: Path, ending: str) -> dict[str, Path]:
    files = sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []
    return {file.name[: -len(ending)]: file for file in files if not file.name.startswith(".")}


def _folds(folder: Path, cases: Collection[str]) -> list[Fold]:
    beside = folder.parent.parent / "nnUNet_preprocessed"
    preprocessed = Path(os.environ.get("nnUNet_preprocessed") or beside)
    homes = (folder, preprocessed / folder.name, beside / folder.name)
    path = next((file for home in homes if (file := home / SPLITS_FILE).is_file()), None)
    return read_folds(path, cases) if path else []


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
