"""The trainers that nnU-Net would find, told from their source files: importing them takes seconds."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.environment import EXT_TRAINER

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


def known_trainers() -> set[str]:
    """Names of the classes where nnU-Net looks for trainers: ours, its own, and those of ``nnUNet_extTrainer``."""
    return {name for folder in _folders() for file in folder.rglob("*.py") for name in _classes(file)}


def _folders() -> Iterator[Path]:
    yield from _places("nnunet_femur.trainers")
    for nnunet in _places("nnunetv2"):
        yield nnunet / "training" / "nnUNetTrainer"
    yield from (Path(folder) for folder in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if folder)


def _places(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or [])] if found else []


def _classes(file: Path) -> list[str]:
    try:
        return _CLASS.findall(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return []
