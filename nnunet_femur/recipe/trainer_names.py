"""Names of the trainers that nnU-Net would find, read from their source files: importing them takes seconds."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import EXT_TRAINER

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


def known_trainers() -> set[str]:
    """Return the names of all trainers: this package's, nnU-Net's own, and those of ``nnUNet_extTrainer``."""
    return _classes(_places("nnunet_femur.trainers")) | stock_trainers() | foreign_trainers()


def stock_trainers() -> set[str]:
    """Return the names of nnU-Net's own trainers, which read no recipe."""
    return _classes(place / "training" / "nnUNetTrainer" for place in _places("nnunetv2"))


def foreign_trainers() -> set[str]:
    """Return the names of the classes in the folders of ``nnUNet_extTrainer``, which may be a user's own trainers."""
    return _classes(Path(folder) for folder in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if folder)


def _places(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or [])] if found else []


def _classes(folders: Iterable[Path]) -> set[str]:
    return {name for folder in folders for file in folder.rglob("*.py") for name in _classes_of(file)}


def _classes_of(file: Path) -> list[str]:
    try:
        return _CLASS.findall(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return []
