"""Sentences about trained networks: architecture, settings of the training, final network, origin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.final_networks import chosen_on_validation, final_network
from nnunet_femur.comparison.plain_values import plain
from nnunet_femur.comparison.supplement.phrases import code, counted, dimensions, grouped, listed
from nnunet_femur.recipe.trainer_names import TRAINERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nnunet_femur.comparison.supplement.method_facts import MethodFacts

_LOSSES = {"cross_entropy": "cross-entropy", "dice_cross_entropy": "Dice loss and cross-entropy"}

_OPTIMISTIC = " Scores of the validation cases of this choice are slightly optimistic; those of test cases are not."

_SLICE_NETWORK = re.compile(r"(UnetPlusPlus|Unet)(\w+)")


def network_of(method: MethodFacts) -> str:
    """Return a description of the network of a method; empty if it is unknown."""
    if method.trainer not in TRAINERS or not TRAINERS[method.trainer].in_slices:
        return f"nnU-Net’s {method.network}" if method.network else ""
    found = _SLICE_NETWORK.search(method.network)
    if found is None:
        return "2D network that predicts volumes in three planes"
    architecture = {"Unet": "U-Net", "UnetPlusPlus": "U-Net++"}[found[1]]
    ends = ", trained on the ends of the femur" if method.traits.ends_only else ""
    return f"2D {architecture} with the encoder {found[2]}{ends}"


def trainings_of(methods: Sequence[MethodFacts]) -> Iterator[str]:
    """Yield sentences about networks and trainings; methods with the same settings share one.

    Args:
        methods: Trained methods.
    """
    for method in methods:
        parts = (
            network_of(method),
            f"trainer {code(method.trainer)}",
            f"{parameters / 1e6:.1f} million parameters" if (parameters := method.first("parameters")) else "",
            counted(len(method.folds), "trained fold") if method.folds else "",
            _time(method),
        )
        yield f"{method.title}: {'; '.join(filter(None, parts))}."
    yield from grouped(methods, _settings)


def _settings(method: MethodFacts) -> str:
    recipe = method.recipe
    parts = [
        *([] if recipe else ["hyperparameters of the trainer’s class"]),
        _length(method),
        *_optimizer(recipe),
        *([f"loss: {_LOSSES.get(str(recipe['loss']), recipe['loss'])}"] if "loss" in recipe else []),
        *_batches(method),
        *(["augmentation of nnU-Net" if recipe["augment"] else "no augmentation"] if "augment" in recipe else []),
        *([f"seed {recipe['seed']}"] if recipe.get("seed") is not None else []),
        *([f"on {method.first('device')}"] if method.first("device") else []),
    ]
    return f"{'; '.join(filter(None, parts))}."


def _length(method: MethodFacts) -> str:
    epochs = method.first("epochs_done") or max((curve.epochs for curve in method.curves), default=None)
    steps = method.first("iterations_per_epoch")
    return f"{counted(epochs, 'epoch')}{f' of {steps} steps' if steps else ''}" if epochs else ""


def _optimizer(recipe: Mapping[str, Any]) -> Iterator[str]:
    if "optimizer" in recipe and "learning_rate" in recipe:
        schedule = {"constant": "constant", "poly": "polynomial decay"}.get(str(recipe.get("schedule")), "")
        yield f"{recipe['optimizer']}, learning rate {recipe['learning_rate']:g}{f' ({schedule})' if schedule else ''}"


def _batches(method: MethodFacts) -> Iterator[str]:
    recipe, in_slices = method.recipe, method.traits.in_slices
    batch = recipe.get("batch_size") or method.configuration.get("batch_size")
    patch = (recipe.get("slice_size") if in_slices else None) or method.configuration.get("patch_size")
    if batch and patch:
        yield f"batches of {batch} {'slices' if in_slices else 'patches'} of {dimensions(patch)}"


def _time(method: MethodFacts) -> str:
    minutes = [curve.minutes for curve in method.curves if curve.minutes is not None]
    return f"{sum(minutes):.1f} min of training" if minutes else ""


def starts_of(methods: Sequence[MethodFacts]) -> Iterator[str]:
    """Yield sentences about the weights that the trainings started from, as far as they are known."""
    return grouped(methods, lambda method: "" if "not known" in method.start else method.start)


def final_networks_of(methods: Sequence[MethodFacts]) -> Iterator[str]:
    """Yield sentences about the networks that the trainings ended with, as far as they are recorded."""
    return grouped(methods, final_network_of)


def final_network_of(method: MethodFacts) -> str:
    """Return a sentence about the networks that the trainings of a method ended with; empty if it is not recorded."""
    texts = [(record.get("fold"), text) for record in method.records if (text := final_network(record))]
    if not texts:
        return ""
    same = len({text for _, text in texts}) == 1
    found = texts[0][1] if same else "; ".join(f"fold {fold}: {text}" for fold, text in texts)
    return f"{found}.{_OPTIMISTIC if any(map(chosen_on_validation, method.records)) else ''}"


def derivation_of(method: MethodFacts) -> str:
    """Return a sentence about a method that was made from other methods, as recorded."""
    facts = "; ".join(f"{name}: {plain(value)}" for name, value in method.recipe.items())
    return f"{method.title}: {method.derivation}{f' ({facts})' if facts else ''}."


def still_falling_of(methods: Sequence[MethodFacts]) -> str:
    """Return a sentence about the methods whose training loss was still falling at the end; empty if there are none."""
    found = [method.title for method in methods if any(curve.still_falling for curve in method.curves)]
    return f"The training loss of {listed(found)} was still falling when the training ended." if found else ""
