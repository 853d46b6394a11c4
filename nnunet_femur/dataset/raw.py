"""A raw dataset of nnU-Net: the names of its files, its cases, images, masks, patients and folds."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.folds import SPLITS_FILE, Fold, read_folds
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES_TR = "imagesTr"
"""Folder of the images of cases for training and validation."""

LABELS_TR = "labelsTr"
"""Folder of the masks of cases for training and validation."""

IMAGES_TS = "imagesTs"
"""Folder of the images of test cases."""

LABELS_TS = "labelsTs"
"""Folder of the masks of test cases."""

DATASET_JSON = "dataset.json"
"""File with the labels, the channels and the file ending of a dataset."""

CASES_CSV = "cases.csv"
"""File with the patient, the set and the volume of each case, written by this package."""

FILE_ENDING = ".nrrd"
"""Ending of the volumes that this package writes; datasets of others may have another one."""

Part = Literal["training", "test"]
"""Part of a dataset: cases for training and validation (``imagesTr``), or test cases (``imagesTs``)."""

IMAGES: dict[Part, str] = {"training": IMAGES_TR, "test": IMAGES_TS}
"""Folder of the images by part."""

LABELS: dict[Part, str] = {"training": LABELS_TR, "test": LABELS_TS}
"""Folder of the masks by part."""


def require_dataset_id(dataset_id: object) -> None:
    """Refuse anything but a number that nnU-Net's datasets can have.

    Args:
        dataset_id: The number, from 1 to 999.

    Raises:
        InputError: It is not a whole number, or is too small or too large (code "invalid-option").
    """
    if not isinstance(dataset_id, int) or not 1 <= dataset_id <= 999:
        msg = f"dataset_id must be an integer from 1 to 999, got {dataset_id!r}."
        raise InputError(msg, code="invalid-option")


def image_file(case: str, part: Part = "training", *, channel: int = 0, ending: str = FILE_ENDING) -> str:
    """Return the path of an image relative to its dataset.

    Args:
        case: Identifier of the case.
        part: Part of the dataset that the case belongs to.
        channel: Number of the channel, from 0; a CT has one.
        ending: File ending of the dataset.

    Example:
        >>> image_file("L001")
        'imagesTr/L001_0000.nrrd'
    """
    return f"{IMAGES[part]}/{case}_{channel:04d}{ending}"


def mask_file(case: str, part: Part = "training", *, ending: str = FILE_ENDING) -> str:
    """Return the path of a mask relative to its dataset.

    Args:
        case: Identifier of the case.
        part: Part of the dataset that the case belongs to.
        ending: File ending of the dataset.

    Example:
        >>> mask_file("L001", "test", ending=".nii.gz")
        'labelsTs/L001.nii.gz'
    """
    return f"{LABELS[part]}/{case}{ending}"


@dataclass(frozen=True, repr=False)
class RawDataset:
    """A raw dataset of nnU-Net, ``nnUNet_raw/DatasetNNN_Name``.

    Open one with :meth:`open` or :meth:`find`. Its folders are listed anew with each call, so that the answers follow
    changes on the disk.

    Attributes:
        folder: Folder of the dataset.
        description: Content of ``dataset.json``.

    Example:
        >>> dataset = RawDataset.find(7, raw="nnUNet_raw")
        >>> dataset
        RawDataset(nnUNet_raw/Dataset007_Example: 6 training cases, 2 test cases)
        >>> dataset.labels
        {'background': 0, 'femur': 1}
        >>> dataset.cases()[:2]
        ['L104', 'L121']
        >>> dataset.mask("L104").name
        'L104.nrrd'
        >>> dataset.patient("L104")
        '104'
    """

    folder: Path
    description: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> RawDataset:
        """Open the dataset in a folder.

        Args:
            folder: The folder that contains ``dataset.json``.

        Raises:
            InputError: ``dataset.json`` is missing, is damaged, or lacks ``file_ending`` (code "invalid-dataset").
        """
        path = Path(folder) / DATASET_JSON
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            msg = f"{path}: not found. Check the folder, or run nnfemur convert."
            raise InputError(msg, code="invalid-dataset") from error
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read as JSON ({error}). Run nnfemur convert again."
            raise InputError(msg, code="invalid-dataset") from error
        if not isinstance(description, dict) or not isinstance(description.get("file_ending"), str):
            msg = f"{path}: contains no file_ending, so it does not describe a dataset. Run nnfemur convert again."
            raise InputError(msg, code="invalid-dataset")
        return cls(Path(folder), description)

    @classmethod
    def find(cls, dataset_id: int, *, raw: str | Path | None = None) -> RawDataset:
        """Open the dataset with a number.

        Args:
            dataset_id: nnU-Net's dataset number, the NNN of ``DatasetNNN_Name``.
            raw: nnU-Net's raw folder. Default: ``$nnUNet_raw``.

        Raises:
            SetupError: ``$nnUNet_raw`` is needed but not set.
            InputError: `dataset_id` is not a whole number (code "invalid-option"), no dataset or several datasets have
                it (code "no-dataset"), or as :meth:`open`.
        """
        require_dataset_id(dataset_id)
        folder = require("nnUNet_raw", create=False) if raw is None else Path(raw)
        found = sorted(path for path in folder.glob(f"Dataset{dataset_id:03d}_*") if path.is_dir())
        if not found:
            msg = f"{folder}: contains no dataset {dataset_id:03d}. Run: nnfemur convert SRC --dataset-id {dataset_id}"
            raise InputError(msg, code="no-dataset")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            msg = f"{folder}: contains several datasets {dataset_id:03d}: {names}. Move all but one away."
            raise InputError(msg, code="no-dataset")
        return cls.open(found[0])

    @property
    def name(self) -> str:
        """Name of the dataset, ``DatasetNNN_Name``."""
        return self.folder.name

    @property
    def file_ending(self) -> str:
        """Ending of its volumes, such as ".nrrd"."""
        return str(self.description["file_ending"])

    @property
    def labels(self) -> dict[str, Any]:
        """Values of the masks by name; a region has a list of values.

        Raises:
            InputError: ``dataset.json`` contains no labels (code "invalid-dataset").
        """
        return self._mapping("labels")

    @property
    def channels(self) -> dict[str, str]:
        """Names of the channels by number, such as ``{"0": "CT"}``.

        Raises:
            InputError: ``dataset.json`` contains no channels (code "invalid-dataset").
        """
        return self._mapping("channel_names")

    def _mapping(self, key: str) -> dict[str, Any]:
        content = self.description.get(key)
        if not isinstance(content, dict):
            msg = f"{self.folder / DATASET_JSON}: contains no {key}. Run nnfemur convert again."
            raise InputError(msg, code="invalid-dataset")
        return content

    def masks(self, part: Part = "training") -> dict[str, Path]:
        """Return the masks of a part by case, ordered by file name."""
        return dict(self._files(LABELS[part], self.file_ending))

    def images(self, part: Part = "training") -> dict[str, Path]:
        """Return the first channel of the images of a part by case, ordered by file name."""
        return dict(self._files(IMAGES[part], f"_0000{self.file_ending}"))

    def cases(self, part: Part = "training") -> list[str]:
        """Return the identifiers of the cases of a part that have a mask, in alphabetical order."""
        return sorted(self.masks(part))

    def _files(self, name: str, ending: str) -> Iterator[tuple[str, Path]]:
        folder = self.folder / name
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.endswith(ending) and not path.name.startswith("."):
                yield path.name.removesuffix(ending), path

    def image(self, case: str, part: Part = "training", *, channel: int = 0) -> Path:
        """Return the path of an image, which need not exist."""
        return self.folder / image_file(case, part, channel=channel, ending=self.file_ending)

    def mask(self, case: str, part: Part = "training") -> Path:
        """Return the path of a mask, which need not exist."""
        return self.folder / mask_file(case, part, ending=self.file_ending)

    def channel_files(self, case: str, part: Part = "training") -> list[Path]:
        """Return the existing images of a case: channel 0, 1, ... up to the first that is missing."""
        found: list[Path] = []
        while (path := self.image(case, part, channel=len(found))).is_file():
            found.append(path)
        return found

    def case_rows(self) -> list[dict[str, str]]:
        """Return the rows of ``cases.csv`` by name of column; empty if the dataset has no such file.

        Raises:
            InputError: The file cannot be read, or lacks a case or a patient (code "invalid-file").
        """
        path = self.folder / CASES_CSV
        if not path.is_file():
            return []
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                table = csv.DictReader(file, strict=True)
                columns, rows = table.fieldnames or (), list(table)
        except (OSError, ValueError, csv.Error) as error:
            msg = f"{path}: cannot be read as a table ({error}). Run nnfemur convert again."
            raise InputError(msg, code="invalid-file") from error
        for row in rows or [dict.fromkeys(columns, "")]:
            if row.get("case") is None or row.get("patient") is None:
                msg = f"{path}: must have the columns case and patient in every row. Run nnfemur convert again."
                raise InputError(msg, code="invalid-file")
        return rows

    def patients(self) -> dict[str, str]:
        """Return the patient of each case in ``cases.csv``; empty if the dataset has no such file.

        Raises:
            InputError: As :meth:`case_rows`.
        """
        return {row["case"]: row["patient"] for row in self.case_rows()}

    def patient(self, case: str) -> str:
        """Return the patient of a case; a case that ``cases.csv`` does not list counts as a patient itself.

        Raises:
            InputError: As :meth:`case_rows`.
        """
        return self.patients().get(case, case)

    def folds(self, file: Path | None = None) -> list[Fold]:
        """Return the folds, checked against the training cases.

        Args:
            file: Another file than the dataset's own ``splits_final.json``.

        Raises:
            InputError: As :func:`~nnunet_femur.dataset.folds.read_folds` (code "invalid-folds").
        """
        return read_folds(file or self.folder / SPLITS_FILE, self.cases())

    def __repr__(self) -> str:
        """Return the folder and the numbers of cases."""
        numbers = ", ".join(f"{len(self.cases(part))} {part} cases" for part in LABELS)
        return f"{type(self).__name__}({self.folder}: {numbers})"
