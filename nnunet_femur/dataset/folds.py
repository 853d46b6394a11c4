"""The folds of a dataset, read and checked before anything is trained on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SPLITS_FILE = "splits_final.json"
"""nnU-Net's name of the file with the folds, in the raw and in the preprocessed dataset."""


@dataclass(frozen=True)
class Fold:
    """The cases that one fold trains and validates on."""

    train: tuple[str, ...]
    val: tuple[str, ...]


def read_folds(path: Path, cases: Collection[str]) -> list[Fold]:
    """Read nnU-Net's ``splits_final.json``.

    nnU-Net itself finds a case that does not exist only when a background worker dies of it, and takes a case on
    both sides without a word that anyone reads.

    Args:
        path: The file.
        cases: The identifiers of the dataset's training cases.

    Raises:
        InputError: The file is missing or no list of folds, a fold is empty, names a case that does not exist, or
            trains on a case that it validates.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        folds = [Fold(tuple(fold["train"]), tuple(fold["val"])) for fold in content]
    except FileNotFoundError as error:
        msg = f"{path}: there are no folds. Run: nnfemur convert"
        raise InputError(msg, code="invalid-folds") from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f'{path}: is no list of {{"train": [...], "val": [...]}}. Run nnfemur convert again.'
        raise InputError(msg, code="invalid-folds") from error
    known = set(cases)
    for index, fold in enumerate(folds):
        for problem, ids in (
            ("names cases that are not in the dataset", {*fold.train, *fold.val} - known),
            ("trains on cases that it validates", {*fold.train} & {*fold.val}),
        ):
            if ids:
                msg = f"{path}: fold {index} {problem}: {', '.join(sorted(ids))}. Correct the file or convert again."
                raise InputError(msg, code="invalid-folds")
        if not fold.train or not fold.val:
            msg = f"{path}: fold {index} has no case to {'validate' if fold.train else 'train'} on. Convert again."
            raise InputError(msg, code="invalid-folds")
    return folds


def choose_fold(path: Path, cases: Collection[str], fold: int) -> Fold:
    """The fold of this index.

    nnU-Net silently trains on a random split where the file holds no such fold.

    Raises:
        InputError: As :func:`read_folds`, or the file holds no such fold.
    """
    folds = read_folds(path, cases)
    if not 0 <= fold < len(folds):
        msg = f"{path}: holds the folds 0 to {len(folds) - 1}; there is no fold {fold}."
        raise InputError(msg, code="invalid-folds")
    return folds[fold]
