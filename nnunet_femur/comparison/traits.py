"""Methods of a comparison: their short names and traits (slices or volumes, whole bones or ends)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


_STOCK_IN_VOLUMES = frozenset({"nnUNetTrainer", "TotalSegmentator"})
"""Methods of other packages that predict volumes, unless their configuration has 2D patches."""

_OWN_CONFIGURATIONS = {"2d": True, "3d_fullres": False, "3d_lowres": False, "3d_cascade_fullres": False}
"""nnU-Net's configurations, with True for 2D patches; used if plans.json is missing."""


@dataclass(frozen=True)
class Traits:
    """Traits of a method.

    Attributes:
        in_slices: True if it predicts slice by slice; the study's protocol scores such methods differently.
        ends_only: True if it was trained on the ends of the femur only, so it does not predict whole femurs.
        known: True if its results record `in_slices`; other methods are assumed to predict volumes.
    """

    in_slices: bool = False
    ends_only: bool = False
    known: bool = True


def read_traits(folder: Path, records: Sequence[Mapping[str, Any]]) -> Traits:
    """Return the traits of a method from its records or, for records of older versions, from its trainer and plans.

    Args:
        folder: The method's folder; nnU-Net names it ``TRAINER__PLANS__CONFIGURATION``.
        records: Content of its ``run.json`` files.
    """
    for record in records:
        if isinstance(in_slices := record.get("works_in_slices"), bool):
            return Traits(in_slices, ends_only=record.get("ends_only") is True)
    trainer, configuration = _trained_by(folder, records)
    own = TRAINERS.get(trainer)
    if own is not None and own.in_slices:
        return Traits(in_slices=True, ends_only=own.ends_only)
    if _patches_are_slices(folder, configuration):
        return Traits(in_slices=True)
    return Traits(known=own is not None or trainer in _STOCK_IN_VOLUMES)


def _trained_by(folder: Path, records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return trainer and configuration from the records, or from nnU-Net's name of the folder; empty if unknown."""
    for record in records:
        trainer = record.get("trainer") or record.get("method")
        if isinstance(trainer, str):
            return trainer, str(record.get("configuration", ""))
    parts = folder.name.split("__")
    return (parts[0], parts[2]) if len(parts) == 3 else ("", "")


def _patches_are_slices(folder: Path, configuration: str) -> bool:
    configurations = read_json(folder / "plans.json") or {}
    seen: set[str] = set()
    while configuration and configuration not in seen:
        seen.add(configuration)
        try:
            own = configurations["configurations"][configuration]
            if "patch_size" in own:
                return len(own["patch_size"]) == 2
            configuration = str(own["inherits_from"])
        except (KeyError, TypeError):
            return _OWN_CONFIGURATIONS.get(configuration, False)
    return False


def method_names(methods: Iterable[str]) -> dict[str, str]:
    """Return short names for tables and figures, by method.

    Plans are left out if they are nnU-Net's default. Methods that would share a short name keep their own name, and so
    do methods that a user named.

    Args:
        methods: ``TRAINER__PLANS__CONFIGURATION``, with or without ``DatasetNNN_NAME/`` before it.

    Example:
        >>> method_names(["FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres", "mine"])
        {'FemurUnetResNet34Trainer__nnUNetPlans__3d_fullres': 'FemurUnetResNet34 · 3d_fullres', 'mine': 'mine'}
    """
    short = {method: _short(method) for method in dict.fromkeys(methods)}
    counts = Counter((method.rpartition("/")[0], name) for method, name in short.items())
    return {
        method: name if counts[method.rpartition("/")[0], name] == 1 else method.rpartition("/")[2]
        for method, name in short.items()
    }


def _short(method: str) -> str:
    name = method.rpartition("/")[2]
    if name.count("__") != 2:
        return name
    trainer, plans, configuration = name.split("__")
    parts = (trainer.removesuffix("Trainer") or trainer, plans, configuration)
    return " · ".join(part for part in parts if part != "nnUNetPlans")
