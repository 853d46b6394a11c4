"""Folds of a dataset, checked before anything is trained on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SPLITS_FILE = "splits_final.json"
"""nnU-Net's file with the folds, in the raw and in the preprocessed dataset."""


@dataclass(frozen=True)
class Fold:
    """The cases of a fold.

    Attributes:
        train: Cases for training.
        val: Cases for validation.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


def read_folds(path: Path, cases: Collection[str]) -> list[Fold]:
    """Read nnU-Net's ``splits_final.json`` and check it.

    nnU-Net itself notices a case that does not exist only when a background process fails, and accepts a case for
    training and validation at once.

    Args:
        path: The file.
        cases: Identifiers of the training cases of the dataset.

    Raises:
        InputError: The file is missing or damaged, or a fold is empty, names an unknown case, or uses a case for
            training and validation (code "invalid-folds").

    Example:
        >>> from pathlib import Path
        >>> _ = Path("folds.json").write_text('[{"train": ["L001", "R002"], "val": ["L003"]}]')
        >>> read_folds(Path("folds.json"), ["L001", "R002", "L003"])
        [Fold(train=('L001', 'R002'), val=('L003',))]
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folds = [Fold(tuple(fold["train"]), tuple(fold["val"])) for fold in content]
    except FileNotFoundError as error:
        msg = f"{path}: folds not found. Run: nnfemur convert"
        raise InputError(msg, code="invalid-folds") from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f'{path}: must be a list of {{"train": [...], "val": [...]}}. Run nnfemur convert again.'
        raise InputError(msg, code="invalid-folds") from error
    known = set(cases)
    for index, fold in enumerate(folds):
        for problem, ids in (
            ("names cases that are not in the dataset", {*fold.train, *fold.val} - known),
            ("uses cases for training and for validation", {*fold.train} & {*fold.val}),
        ):
            if ids:
                msg = f"{path}: fold {index} {problem}: {', '.join(sorted(ids))}. Correct the file or convert again."
                raise InputError(msg, code="invalid-folds")
        if not fold.train or not fold.val:
            part = "validation" if fold.train else "training"
            msg = f"{path}: fold {index} has no case for {part}. Correct the file or convert again."
            raise InputError(msg, code="invalid-folds")
    return folds


def choose_fold(path: Path, cases: Collection[str], fold: int) -> Fold:
    """Read and check the folds, and return one of them.

    For a fold that the file does not contain, nnU-Net would train on a random split.

    Args:
        path: The file.
        cases: Identifiers of the training cases of the dataset.
        fold: Number of the fold, from 0.

    Raises:
        InputError: As :func:`read_folds`, or the file does not contain the fold (code "invalid-folds").
    """
    folds = read_folds(path, cases)
    if not 0 <= fold < len(folds):
        msg = f"{path}: fold must be in 0 to {len(folds) - 1}, got {fold}."
        raise InputError(msg, code="invalid-folds")
    return folds[fold]
