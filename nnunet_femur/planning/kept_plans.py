"""Plans that are kept for a dataset with further cases, so that a training can start from their networks."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.arguments import several
from nnunet_femur.atomic_files import write_json
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.folds import SPLITS_FILE
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.planning.training_presets import Preset, checked_recipe
from nnunet_femur.records import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.dataset.raw import RawDataset


@dataclass(frozen=True)
class KeptPlans:
    """Plans of a dataset, and the record of how they were made.

    Attributes:
        name: Name of the plans.
        plans: Their content.
        record: Their entry in ``femur_plan.json``.
    """

    name: str
    plans: dict[str, Any]
    record: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path, name: str, record: Mapping[str, Any] | None) -> KeptPlans:
        """Read plans that are to be kept.

        Args:
            folder: The preprocessed dataset.
            name: Name of the plans.
            record: Their entry in ``femur_plan.json``; None without one.

        Raises:
            SetupError: The plans do not exist (code "no-plans"), or were changed after they were made ("inconsistent").
        """
        from nnunet_femur.consistency import check_plans, resolve

        plans = read_json(folder / f"{name}.json")
        if record is None or not isinstance(plans, dict):
            msg = f"{folder / name}.json: contains no finished plans to keep. Plan without --keep-plans."
            raise SetupError(msg, code="no-plans")
        for configuration in plans["configurations"]:
            check_plans(plans, resolve(plans, configuration), where=f"{name}.json")
        return cls(name, plans, record)

    def changed_recipe(
        self, *, epochs: int | None, iterations: int | None, pretrained: bool, changes: Any
    ) -> dict[str, dict[str, Any]]:
        """Return the recipe of the plans with the changes that a user asks for; all other hyperparameters stay.

        Args:
            epochs: As for :func:`nnunet_femur.plan`.
            iterations: Likewise.
            pretrained: Likewise.
            changes: Further hyperparameters, or a file of them.
        """
        recipe: dict[str, dict[str, Any]] = self.record["recipe"]
        if pretrained and (epochs, iterations, changes) == (None, None, None):
            return recipe
        same = Preset(recipe=recipe)
        return checked_recipe(same, epochs=epochs, iterations=iterations, pretrained=pretrained, changes=changes)

    def configurations(self, wanted: str | Sequence[str] | None) -> tuple[str, ...]:
        """Return the configurations to preprocess: those that are wanted, or those of the plans.

        Raises:
            InputError: The plans lack a configuration (code "invalid-option").
        """
        missing = [name for name in several(wanted) if name not in self.plans["configurations"]]
        if missing:
            msg = f"configurations must be among those of {self.name}.json, got {', '.join(missing)}."
            raise InputError(msg, code="invalid-option")
        return several(wanted) or tuple(self.record["configurations"])

    def settings(self) -> dict[str, Any]:
        """Return what identifies the new plans, besides their configurations."""
        same = {key: self.record.get(key) for key in ("source", "preset", "planner")}
        # The first plans of a chain: the network and the spacing are theirs.
        return {**same, "kept": self.record.get("kept") or self.name}

    def renamed(self, name: str) -> dict[str, Any]:
        """Return the plans under another name, with data of their own.

        Args:
            name: The new name.
        """
        plans = deepcopy(self.plans)
        plans["plans_name"] = name
        for configuration, content in plans["configurations"].items():
            if "data_identifier" in content:
                content["data_identifier"] = f"{name}_{configuration}"
        return plans


def require_nothing_planned(
    keep: str | None, *, source: str, spacing: str, fast: bool, preset: str, planner: str | None
) -> None:
    """Refuse options of planning beside plans that are kept.

    Raises:
        InputError: An option is not at its default (code "invalid-option").
    """
    planned = source != "dataset" or spacing != "source" or fast or preset != "default" or planner is not None
    if keep is not None and planned:
        msg = f"keep: the plans {keep} determine source, spacing, preset and planner. Remove these options."
        raise InputError(msg, code="invalid-option")


def replace_folds(raw: RawDataset, folder: Path) -> None:
    """Copy the dataset's folds to the preprocessed dataset, from which the trainers read them.

    Folds that only got further cases are no other folds: no validation case becomes a training case.

    Args:
        raw: The raw dataset.
        folder: The preprocessed dataset.

    Raises:
        SetupError: Networks were trained on other folds, so their validation cases may be training cases now.
    """
    current, new = read_json(folder / SPLITS_FILE), read_json(raw.folder / SPLITS_FILE)
    if current is not None and current != new and not _only_grew(current, new):
        results = require("nnUNet_results") / raw.name
        if any(results.glob("*/fold_*/checkpoint_*.pth")):
            msg = (
                f"{results}: contains networks that were trained on other folds than those in "
                f"{raw.folder / SPLITS_FILE}. Move that folder away, or convert with the seed of the earlier folds."
            )
            raise SetupError(msg, code="folds-changed")
    write_json(folder / SPLITS_FILE, new)


def _only_grew(current: Any, new: Any) -> bool:
    """Return True if each fold contains all its cases of before, in the same part."""
    try:
        return len(current) == len(new) and all(
            set(before[part]) <= set(now[part])
            for before, now in zip(current, new, strict=True)
            for part in ("train", "val")
        )
    except (KeyError, TypeError):
        return False
