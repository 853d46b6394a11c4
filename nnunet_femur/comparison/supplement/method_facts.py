"""Facts about the compared methods for the supplement: trainer, plans, recipe, training and origin of the weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.planned_recipes import planned_recipe, resolved
from nnunet_femur.comparison.predictions import DERIVED, RECORDS, method_names, read_record
from nnunet_femur.consistency import SOURCE_KEY
from nnunet_femur.dataset.nnunet_names import PLANS_JSON
from nnunet_femur.errors import InputError
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.records import read_json
from nnunet_femur.weights.model_statements import initial_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.comparison.predictions import Predictions, Traits
    from nnunet_femur.comparison.training_curves import TrainingCurve


@dataclass(frozen=True)
class MethodFacts:
    """A method of the comparison.

    Attributes:
        method: The method as in scores.csv.
        name: Its short name.
        title: Its short name without the configuration, if that is unambiguous.
        dataset: Name of its dataset.
        records: Content of its ``run.json`` files.
        plans: Content of its ``plans.json``; empty if it has none.
        configuration: Its configuration of these plans, with the values that it inherits; empty if unknown.
        curves: Training curves of its networks.
        traits: Traits of the method.
        folds: Folds whose training has ended, by name.
        planned: Hyperparameters that its plans contain; empty for trainers of others.
        own_name: Last part of the name of its folder, ``TRAINER__PLANS__CONFIGURATION``, or the name that a user gave.
    """

    method: str
    name: str
    title: str
    dataset: str
    records: tuple[Mapping[str, Any], ...]
    plans: Mapping[str, Any]
    configuration: Mapping[str, Any]
    curves: tuple[TrainingCurve, ...]
    traits: Traits
    folds: tuple[str, ...]
    planned: Mapping[str, Any]
    own_name: str

    @property
    def trainer(self) -> str:
        """Class name of the trainer; empty for a method that was not trained in this study."""
        trained = self.own_name.count("__") == 2 and not self.is_baseline and not self.derivation
        return self.own_name.partition("__")[0] if trained else ""

    @property
    def configuration_name(self) -> str:
        """Name of the configuration; empty for a method that was not trained in this study."""
        return self.own_name.rpartition("__")[2] if self.trainer else ""

    @property
    def derivation(self) -> str:
        """Kind of a method that was made from other methods, such as an ensemble; empty for other methods."""
        # Records of trainings name a trainer, those of other methods a method.
        kind = self.first("method")
        if kind is None:
            # Copied masks may come without their record.
            kind = next((name for name in DERIVED if self.own_name.startswith(f"{name}__")), "")
        return "" if self.is_baseline else str(kind)

    @property
    def is_baseline(self) -> bool:
        """True for TotalSegmentator as ``nnfemur baseline`` runs it."""
        recorded = any(record.get("method") == "TotalSegmentator" for record in self.records)
        # Copied masks may come without their record.
        return recorded or self.own_name.startswith("TotalSegmentator__")

    @property
    def is_from_elsewhere(self) -> bool:
        """True for masks that neither a training, nor a baseline, nor other methods of this study made."""
        return not (self.trainer or self.is_baseline or self.derivation)

    @property
    def has_dummy_weights(self) -> bool:
        """True for a baseline whose weights are dummy weights."""
        return any(bool(weights.get("dummy")) for weights in self.baseline_weights)

    @property
    def baseline_weights(self) -> list[Mapping[str, Any]]:
        """Models of TotalSegmentator that a baseline ran, as recorded."""
        found = self.first("settings")
        listed = found.get("weights") if isinstance(found, dict) else None
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    def first(self, key: str) -> Any:
        """Return the value of a key in the first record that has it; None if none has it."""
        return next((record[key] for record in self.records if record.get(key) not in (None, "", [], {})), None)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Hyperparameters as recorded, or else as planned; empty if both are unknown."""
        found = self.first("recipe")
        return found if isinstance(found, dict) else self.planned

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of packages as recorded; empty if they are not."""
        settings = self.first("settings")
        found = self.first("versions") or (settings.get("versions") if isinstance(settings, dict) else None)
        return found if isinstance(found, dict) else {}

    @property
    def start(self) -> str:
        """Sentence about the weights that the training started from."""
        fine_tuned = self.trainer in TRAINERS and TRAINERS[self.trainer].recipe.startswith("Finetune")
        source = self.configuration.get(SOURCE_KEY) if fine_tuned else None
        return initial_weights(self.trainer, self.recipe, source if isinstance(source, dict) else None)

    @property
    def network(self) -> str:
        """The network in a few words; empty if unknown."""
        if self.trainer in TRAINERS and TRAINERS[self.trainer].in_slices:
            return self.trainer.removeprefix("Femur").removesuffix("Trainer")
        architecture = self.configuration.get("architecture")
        name = architecture.get("network_class_name") if isinstance(architecture, dict) else None
        return str(name).rpartition(".")[2] if name else ""


def method_facts(predictions: Sequence[Predictions], curves: Sequence[TrainingCurve]) -> list[MethodFacts]:
    """Return the facts about every method, in the order of the predictions.

    Args:
        predictions: The compared predictions; the files in their methods' folders are read.
        curves: Training curves of the methods.
    """
    found = []
    names = method_names(one.method for one in predictions if not one.rater)
    titles = Counter(_title(name) for name in names.values())
    for method, name in names.items():
        own = next(one for one in predictions if one.method == method)
        folders = dict.fromkeys(one.method_folder for one in predictions if one.method == method)
        plans = next((plans for folder in folders if isinstance(plans := read_json(folder / PLANS_JSON), dict)), {})
        own_name = method.rpartition("/")[2]
        found.append(
            MethodFacts(
                method=method,
                name=name,
                title=_title(name) if titles[_title(name)] == 1 else name,
                dataset=own.dataset.folder.name,
                records=tuple(record for folder in folders for record in _records(folder)),
                plans=plans,
                configuration=resolved(plans, own_name.rpartition("__")[2]),
                curves=tuple(curve for curve in curves if curve.method == method),
                traits=own.traits,
                folds=tuple(
                    sorted(
                        {
                            fold.name.removeprefix("fold_")
                            for folder in folders
                            for fold in folder.glob("fold_*")
                            if _has_ended(fold)
                        },
                        key=lambda fold: (len(fold), fold),
                    )
                ),
                planned=next((recipe for folder in folders if (recipe := planned_recipe(folder))), {}),
                own_name=own_name,
            )
        )
    return found


def _has_ended(fold: Path) -> bool:
    """Return True if the training of a fold has ended, as what it leaves shows."""
    return any((fold / name).exists() for name in ("checkpoint_final.pth", "run.json", "validation", "test"))


def _title(name: str) -> str:
    return name.partition(" · ")[0]


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for pattern in RECORDS:
        for path in sorted(folder.glob(pattern)):
            try:
                yield read_record(path)
            except InputError:
                # The search for predictions has reported it.
                continue
