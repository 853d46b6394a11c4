"""A trained model: which folder, which folds, which of its labels are femur."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError
from nnunet_femur.prediction.archives import unpack_model
from nnunet_femur.records import read_json, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CHECKPOINT = "checkpoint_final.pth"
"""What nnU-Net writes when a training has ended."""

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
    plans: dict[str, Any]
    dataset: dict[str, Any]

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """The checkpoint of each fold."""
        return tuple(self.folder / f"fold_{fold}" / self.checkpoint for fold in self.folds)

    @property
    def name(self) -> str:
        """Dataset, trainer, plans, configuration and folds in one line."""
        dataset = self.plans.get("dataset_name", self.folder.parent.name)
        return f"{dataset}/{self.folder.name}, fold {', '.join(self.folds)}"

    def digest(self) -> str:
        """SHA-256 over everything that decides what the model says, wherever it lies."""
        files = [self.folder / "plans.json", self.folder / "dataset.json", *self.checkpoints]
        return hashlib.sha256("\n".join(sha256(file) for file in files).encode()).hexdigest()


@contextmanager
def opened_model(path: Path, *, folds: Sequence[str] = (), checkpoint: str = CHECKPOINT) -> Iterator[Model]:
    """Give the model of a folder or of an exported zip file; what was unpacked is removed afterwards.

    Args:
        path: A folder ``TRAINER__PLANS__CONFIGURATION``, a folder ``fold_K`` in it, a folder that holds one such
            model further down, or a file that ``nnUNetv2_export_model_to_zip`` wrote.
        folds: The folds to use; none for all that have the checkpoint.
        checkpoint: Name of the checkpoint.

    Raises:
        InputError: There is no model, more than one, or not all folds.
        SetupError: An archive does not fit on the disk.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="nnfemur-") as folder:
            unpack_model(path, Path(folder))
            yield find_model(Path(folder), folds=folds, checkpoint=checkpoint, called=path)
    else:
        yield find_model(path, folds=folds, checkpoint=checkpoint)


def find_model(
    path: Path, *, folds: Sequence[str] = (), checkpoint: str = CHECKPOINT, called: Path | None = None
) -> Model:
    """The model of a folder.

    Args:
        path: As in :func:`opened_model`, but a folder.
        folds: The folds to use; none for all that have the checkpoint.
        checkpoint: Name of the checkpoint.
        called: What the user calls it, for messages.

    Raises:
        InputError: There is no model, more than one, or not all folds.
    """
    shown = called or path
    folder = path.expanduser().resolve()
    if folder.name.startswith("fold_") and (folder.parent / "plans.json").is_file():
        folds = folds or (folder.name.removeprefix("fold_"),)
        folder = folder.parent
    folder = _model_folder(folder, shown)
    plans, dataset = read_json(folder / "plans.json"), read_json(folder / "dataset.json")
    if not isinstance(plans, dict) or not isinstance(dataset, dict) or "labels" not in dataset:
        msg = f"{shown}: plans.json or dataset.json is missing or damaged. Copy the model folder again."
        raise InputError(msg)
    return Model(folder, _folds(folder, tuple(folds), checkpoint, shown), checkpoint, plans, dataset)


def _model_folder(folder: Path, shown: Path) -> Path:
    if (folder / "plans.json").is_file():
        return folder
    if not folder.exists():
        msg = f"{shown}: there is no such model. Give a folder TRAINER__PLANS__CONFIGURATION, or an exported zip file."
        raise InputError(msg)
    # nnU-Net nests results/dataset/model; deeper there are only predictions.
    found = (
        [
            each.parent
            for depth in ("*", "*/*", "*/*/*")
            for each in folder.glob(f"{depth}/plans.json")
            if any(each.parent.glob("fold_*"))
        ]
        if folder.is_dir()
        else []
    )
    if len(found) == 1:
        return found[0]
    if found:
        names = "\n".join(f"  {each}" for each in sorted(found))
        msg = f"{shown}: holds {len(found)} models. Give one of them:\n{names}"
    else:
        msg = (
            f"{shown}: is no trained model. Give a folder TRAINER__PLANS__CONFIGURATION with plans.json and fold_0, "
            "or a zip file of nnUNetv2_export_model_to_zip."
        )
    raise InputError(msg)


def _folds(folder: Path, wanted: tuple[str, ...], checkpoint: str, shown: Path) -> tuple[str, ...]:
    trained = sorted(path.parent.name.removeprefix("fold_") for path in folder.glob(f"fold_*/{checkpoint}"))
    if wanted:
        missing = [fold for fold in wanted if fold not in trained]
        if missing:
            msg = (
                f"{shown}: fold {', '.join(missing)} has no {checkpoint}; there is {', '.join(trained) or 'none'}. "
                "Choose other folds, or train them first."
            )
            raise InputError(msg)
        return tuple(dict.fromkeys(wanted))
    # As nnU-Net: a model of all cases is no further member of a cross-validation.
    chosen = [fold for fold in trained if fold != "all"] or trained
    if not chosen:
        others = sorted({path.name for path in folder.glob("fold_*/checkpoint_*.pth")})
        hint = f"Its training has not ended; --checkpoint {others[0]} takes what there is." if others else "Train it."
        msg = f"{shown}: no fold has a {checkpoint}. {hint}"
        raise InputError(msg)
    return tuple(chosen)


def femur_labels(labels: Mapping[str, Any], wanted: Sequence[str] = ()) -> tuple[int, ...]:
    """Which values of a model's labels are femur.

    Args:
        labels: ``labels`` of its ``dataset.json``: names and values, or lists of values for regions.
        wanted: Names asked for; without them the labels that have the word femur, or else the only label.

    Raises:
        InputError: There is no such label.
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
        msg = f"The model has no label {missing}; it has {', '.join(values)}. Name one with --label."
        raise InputError(msg)
    return tuple(sorted({int(value) for name in chosen for value in values[name]}))
