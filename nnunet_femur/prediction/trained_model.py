"""A trained model: its folder or zip file, its folds, and its labels of the femur."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.archives import unpack
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL, PLANS_JSON, fold_folder
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.records import read_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_NEEDED = (".json", ".pth")
"""Endings of the files that prediction reads of an exported model: plans, dataset and checkpoints."""

_FEMUR = re.compile(r"(?<![a-z])(femur|femora)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Model:
    """A folder ``TRAINER__PLANS__CONFIGURATION`` with trained folds.

    Attributes:
        folder: The folder.
        folds: The folds to use, "0", "1", ... or "all".
        checkpoint: Name of the checkpoint in each fold's folder.
        plans: Content of its ``plans.json``.
        dataset: Content of its ``dataset.json``.
    """

    folder: Path
    folds: tuple[str, ...]
    checkpoint: str
    plans: dict[str, Any] = field(repr=False)
    dataset: dict[str, Any] = field(repr=False)

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """The checkpoint of each fold."""
        return tuple(self.folder / fold_folder(fold) / self.checkpoint for fold in self.folds)

    @property
    def name(self) -> str:
        """Dataset, trainer, plans, configuration and folds in one line."""
        dataset = self.plans.get("dataset_name", self.folder.parent.name)
        return f"{dataset}/{self.folder.name}, fold {', '.join(self.folds)}"

    def digest(self) -> str:
        """Return the SHA-256 of everything that determines the model's predictions, independent of its location."""
        files = [self.folder / PLANS_JSON, self.folder / DATASET_JSON, *self.checkpoints]
        return hashlib.sha256("\n".join(sha256(file) for file in files).encode()).hexdigest()


@contextmanager
def opened_model(path: Path, *, folds: Sequence[str] = (), checkpoint: str = CHECKPOINT_FINAL) -> Iterator[Model]:
    """Open the model in a folder or in an exported zip file; unpacked files are removed afterwards.

    Args:
        path: A folder ``TRAINER__PLANS__CONFIGURATION``, a folder ``fold_K`` in it, a folder that contains one such
            model further down, or a file that ``nnUNetv2_export_model_to_zip`` wrote.
        folds: The folds to use. Default: all that have the checkpoint.
        checkpoint: Name of the checkpoint.

    Raises:
        InputError: The model or a fold does not exist (code "no-model"), or the model or archive is invalid.
        SetupError: The disk has too little space for an archive (code "cannot-write").
    """
    if path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="nnfemur-") as folder:
            unpack(path, Path(folder), place=lambda file: file if file.suffix.lower() in _NEEDED else None)
            yield find_model(Path(folder), folds=folds, checkpoint=checkpoint, called=path)
    else:
        yield find_model(path, folds=folds, checkpoint=checkpoint)


def find_model(
    path: Path, *, folds: Sequence[str] = (), checkpoint: str = CHECKPOINT_FINAL, called: Path | None = None
) -> Model:
    """Find the model in a folder.

    Args:
        path: As in :func:`opened_model`, but a folder.
        folds: The folds to use. Default: all that have the checkpoint.
        checkpoint: Name of the checkpoint.
        called: Path that the user gave, for messages.

    Raises:
        InputError: The folder contains no model, or one without these folds (code "no-model"); it contains several
            (code "invalid-option"); or the model's files are damaged (code "invalid-model").
    """
    shown = called or path
    folder = path.expanduser().resolve()
    if folder.name.startswith("fold_") and (folder.parent / PLANS_JSON).is_file():
        folds = folds or (folder.name.removeprefix("fold_"),)
        folder = folder.parent
    folder = _model_folder(folder, shown)
    plans, dataset = read_json(folder / PLANS_JSON), read_json(folder / DATASET_JSON)
    if not isinstance(plans, dict) or not isinstance(dataset, dict) or "labels" not in dataset:
        msg = f"{shown}: plans.json or dataset.json is missing or damaged. Copy the model folder again."
        raise InputError(msg, code="invalid-model")
    return Model(folder, _folds(folder, tuple(folds), checkpoint, shown), checkpoint, plans, dataset)


def _model_folder(folder: Path, shown: Path) -> Path:
    if (folder / PLANS_JSON).is_file():
        return folder
    if not folder.exists():
        msg = f"{shown}: not found. Give a model's folder TRAINER__PLANS__CONFIGURATION, or an exported zip file."
        raise InputError(msg, code="no-model")
    # nnU-Net nests results/dataset/model; deeper there are only predictions.
    found = (
        [
            each.parent
            for depth in ("*", "*/*", "*/*/*")
            for each in folder.glob(f"{depth}/{PLANS_JSON}")
            if any(each.parent.glob("fold_*"))
        ]
        if folder.is_dir()
        else []
    )
    if len(found) == 1:
        return found[0]
    if found:
        names = "\n".join(f"  {each}" for each in sorted(found))
        msg = f"{shown}: contains {len(found)} models. Give one of them:\n{names}"
        raise InputError(msg, code="invalid-option")
    msg = (
        f"{shown}: is not a trained model. Give a folder TRAINER__PLANS__CONFIGURATION with plans.json and fold_0, or "
        "a zip file of nnUNetv2_export_model_to_zip."
    )
    raise InputError(msg, code="no-model")


def _folds(folder: Path, wanted: tuple[str, ...], checkpoint: str, shown: Path) -> tuple[str, ...]:
    trained = sorted(path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{checkpoint}"))
    if wanted:
        missing = [fold for fold in wanted if fold not in trained]
        if missing:
            msg = (
                f"{shown}: fold {', '.join(missing)} has no {checkpoint}; folds that have it: "
                f"{', '.join(trained) or 'none'}. Choose other folds, or train them first."
            )
            raise InputError(msg, code="no-model")
        return tuple(dict.fromkeys(wanted))
    # As in nnU-Net: a model of all cases is not a member of the cross-validation.
    chosen = [fold for fold in trained if fold != "all"] or trained
    if not chosen:
        others = sorted({path.name for path in folder.glob("fold_*/checkpoint_*.pth")})
        if checkpoint == "checkpoint_final.pth" and others:
            hint = f"Its training has not ended; use --checkpoint {others[0]}."
        else:
            hint = f"Choose another with --checkpoint: {', '.join(others)}." if others else "Train it first."
        msg = f"{shown}: no fold has a {checkpoint}. {hint}"
        raise InputError(msg, code="no-model")
    return tuple(chosen)


def femur_labels(labels: Mapping[str, Any], wanted: Sequence[str] = ()) -> tuple[int, ...]:
    """Return the values of a model's labels that are femur.

    Args:
        labels: ``labels`` of its ``dataset.json``: names and values, or lists of values for regions.
        wanted: Names of the labels. Default: those that contain the word femur, or else the only label.

    Raises:
        InputError: The model has no such label (code "invalid-option"), or none that is femur (code "invalid-model").

    Example:
        >>> femur_labels({"background": 0, "hip": 1, "femur_left": 7, "femur_right": 8})
        (7, 8)
    """
    values = {
        name: tuple(value) if isinstance(value, list | tuple) else (int(value),)
        for name, value in labels.items()
        if name not in ("background", "ignore")
    }
    if wanted:
        chosen = [name for name in values if name in wanted]
    else:
        chosen = [name for name in values if _FEMUR.search(name.replace("_", " "))] or (
            list(values) if len(values) == 1 else []
        )
    if not chosen or set(wanted) - set(chosen):
        missing = ", ".join(name for name in wanted if name not in values) or "femur"
        msg = f"The model has no label {missing}; it has {', '.join(values)}. Choose one with --label."
        raise InputError(msg, code="invalid-option" if wanted else "invalid-model")
    return tuple(sorted({int(value) for name in chosen for value in values[name]}))
