"""Reference masks of a comparison: those of a raw dataset, of a folder of masks, or both."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.environment import set_up_command
from nnunet_femur.dataset.folds import SPLITS_FILE, Fold
from nnunet_femur.dataset.raw import DATASET_JSON, LABELS_TR, LABELS_TS, RawDataset
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import AxisOrder, Geometry
from nnunet_femur.imaging.sources import MaskFiles, find_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.evaluation import Mask


@dataclass(frozen=True)
class ReferenceMasks:
    """The reference of each case, and what the raw dataset records about the cases.

    Attributes:
        folder: Folder of the raw dataset; without a dataset the folder of the masks.
        train: Reference of the cases for training and validation, by case.
        test: Reference of the test cases, by case.
        raw: The raw dataset. None if the masks come from a folder alone; then it is unknown which cases are for
            training and which for testing.
        folds: Cases that fold 0, 1, ... trains and validates on, as far as ``splits_final.json`` lists them.
        patients: Patient of each case in ``cases.csv``; any other case counts as a patient itself.
        problems: Reasons, by case, for which a case has no usable reference; `train` and `test` lack these cases.
    """

    folder: Path
    train: dict[str, Path]
    test: dict[str, Path]
    raw: RawDataset | None = None
    folds: tuple[Fold, ...] = ()
    patients: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def listed(self) -> bool:
        """True if it is known which cases are for training and which for testing."""
        return self.raw is not None

    def reference(self, case: str) -> Path:
        """Return the reference mask of a case."""
        return self.test[case] if case in self.test else self.train[case]

    def image(self, case: str) -> Path | None:
        """Return the CT of a case; None if the dataset does not contain it."""
        if self.raw is None:
            return None
        path = self.raw.image(case, "test" if case in self.test else "training")
        return path if path.is_file() else None


def open_references(
    name: str | None, *, results: Path, raw: Path | None, reference: Path | None = None
) -> ReferenceMasks:
    """Find the reference masks for results.

    Args:
        name: Name of the dataset, ``DatasetNNN_NAME``; None without one.
        results: nnU-Net's results folder.
        raw: nnU-Net's raw folder. Default: ``$nnUNet_raw``, then ``nnUNet_raw`` beside `results`.
        reference: Folder of masks named by case, which replace those of the raw dataset. Without a raw dataset they are
            the only reference.

    Raises:
        SetupError: No reference masks are found (code "no-reference").
        InputError: A file of the dataset or the folder `reference` cannot be used.
    """
    masks, problems = _masks(reference) if reference else MaskFiles({}, {})
    try:
        folder = _find(name, results=results, raw=raw)
    except SetupError:
        if reference is None:
            raise
        patients = RawDataset(reference, {}).patients()
        return ReferenceMasks(reference, masks, masks, patients=patients, problems=problems)
    dataset = RawDataset.open(folder)
    train, test = dataset.masks("training"), dataset.masks("test")
    if not train and not test:
        msg = f"{folder}: {LABELS_TR} and {LABELS_TS} contain no {dataset.file_ending} file. Pass --raw."
        raise SetupError(msg, code="no-reference")
    splits = _splits_file(folder)
    for case in sorted(train.keys() & test.keys()):
        problems[case] = (
            f"{train[case]}: this case is in {LABELS_TS}, too, but no test case may be trained on. Delete one of them."
        )
    train, test = (
        {case: masks.get(case, path) for case, path in of.items() if case not in problems} for of in (train, test)
    )
    return ReferenceMasks(
        folder=folder,
        train=train,
        test=test,
        raw=dataset,
        folds=tuple(dataset.folds(splits)) if splits else (),
        patients=dataset.patients(),
        problems=problems,
    )


def read_ct_like(path: Path, reference: Mask) -> NDArray[Any] | None:
    """Return the CT of a case along the axes of its reference mask in HU, shape (z, y, x); None if its grid differs.

    Args:
        path: The CT in the raw dataset.
        reference: The reference mask.

    Raises:
        InputError: The CT cannot be read.
    """
    import SimpleITK as sitk

    image = read_volume(path)
    stored = Geometry.of(image)
    order = AxisOrder.between(stored, reference.geometry)
    if order.of_geometry(stored).differences(reference.geometry):
        return None
    return order.of_array(sitk.GetArrayFromImage(image))


def _masks(reference: Path) -> MaskFiles:
    if not reference.is_dir():
        msg = f"{reference}: folder not found. Pass the folder of the reference masks with --reference-masks."
        raise InputError(msg, code="not-found")
    masks = find_masks(reference)
    if not masks.files:
        msg = f"{reference}: contains no masks. Pass the folder that contains the reference masks, such as {LABELS_TS}."
        raise InputError(msg, code="no-reference")
    return masks


def _find(name: str | None, *, results: Path, raw: Path | None) -> Path:
    if name is None:
        msg = "No reference masks given. Pass their folder with --reference-masks."
        raise SetupError(msg, code="no-reference")
    beside = results.parent / "nnUNet_raw"
    variable = os.environ.get("nnUNet_raw")
    candidates = [raw] if raw else [Path(variable), beside] if variable else [beside]
    folders = [candidate / name for candidate in candidates]
    for folder in folders:
        if (folder / DATASET_JSON).is_file():
            return folder
    msg = (
        f"No reference masks found for {name}: {' or '.join(map(str, folders))} contains no {DATASET_JSON}. Pass "
        f"nnU-Net's raw folder with --raw, or run: {set_up_command()}"
    )
    raise SetupError(msg, code="no-reference")


def _splits_file(folder: Path) -> Path | None:
    """Return the file with the folds, which may be in the raw or in the preprocessed dataset."""
    beside = folder.parent.parent / "nnUNet_preprocessed"
    preprocessed = Path(os.environ.get("nnUNet_preprocessed") or beside)
    homes = (folder, preprocessed / folder.name, beside / folder.name)
    return next((file for home in homes if (file := home / SPLITS_FILE).is_file()), None)
