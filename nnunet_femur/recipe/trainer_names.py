"""Names of trainers: this package's with their traits, and those that nnU-Net finds besides.

Importing trainers takes seconds, so none is imported for its name: this package's trainers are in a table, and those of
nnU-Net and of users are read from source files.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.dataset.environment import EXT_TRAINER

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class TrainerTraits:
    """Traits of a trainer of this package.

    Attributes:
        recipe: Name of the class of its recipe in :mod:`~nnunet_femur.recipe.hyperparameters`.
        in_slices: Its network works slice by slice, under every configuration.
        ends_only: It trains on the ends of the femur alone, so its network predicts no whole femurs.
    """

    recipe: str
    in_slices: bool = False
    ends_only: bool = False


SLICE_NETWORKS = tuple(
    f"{architecture}{encoder}"
    for architecture in ("Unet", "UnetPlusPlus")
    for encoder in ("ResNet34", "ResNet50", "DeepLabV3", "MobileNetV3")
)
"""Names of the two-dimensional networks: architecture and encoder, as in ``FemurUnetResNet34Trainer``."""

TRAINERS: dict[str, TrainerTraits] = {
    "FemurScratchTrainer": TrainerTraits("Recipe"),
    "FemurFinetuneTrainer": TrainerTraits("FinetuneRecipe"),
    "FemurFinetunePaperTrainer": TrainerTraits("FinetunePaperRecipe"),
    "FemurThreePlaneTrainer": TrainerTraits("ThreePlaneRecipe", in_slices=True),
    **{f"Femur{network}Trainer": TrainerTraits("SliceRecipe", in_slices=True) for network in SLICE_NETWORKS},
    **{
        f"FemurHead{network}Trainer": TrainerTraits("SliceRecipe", in_slices=True, ends_only=True)
        for network in SLICE_NETWORKS
    },
}
"""The trainers of this package by class name. A new trainer needs a line here."""


def known_trainers() -> set[str]:
    """Return the names of all trainers: this package's, nnU-Net's, and those of ``nnUNet_extTrainer``.

    Example:
        >>> {"FemurFinetuneTrainer", "nnUNetTrainer"} <= known_trainers()
        True
    """
    return {*TRAINERS, *stock_trainers(), *user_trainers()}


def stock_trainers() -> set[str]:
    """Return the names of nnU-Net's own trainers, which read no recipe."""
    return class_names(place / "training" / "nnUNetTrainer" for place in package_folders("nnunetv2"))


def user_trainers() -> set[str]:
    """Return the names of the classes in the folders of ``nnUNet_extTrainer``, which may be trainers of users."""
    return class_names(Path(folder) for folder in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if folder)


_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


def package_folders(package: str) -> list[Path]:
    """Return the folders of an installed package, which is not imported; empty if it is not installed.

    Args:
        package: Name of the package.

    Example:
        >>> [folder.name for folder in package_folders("nnunet_femur")]
        ['nnunet_femur']
    """
    found = importlib.util.find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or [])] if found else []


def class_names(folders: Iterable[Path]) -> set[str]:
    """Return the names of all classes that Python files below folders define at the outermost level.

    Args:
        folders: The folders.

    Example:
        >>> "TrainerTraits" in class_names(folder / "recipe" for folder in package_folders("nnunet_femur"))
        True
    """
    return {name for folder in folders for file in folder.rglob("*.py") for name in _classes_of(file)}


def _classes_of(file: Path) -> list[str]:
    try:
        return _CLASS.findall(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return []
