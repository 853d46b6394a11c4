"""A model in nnU-Net's own form: plans, labels and checkpoints that need nothing of this package."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json, written_beside
from nnunet_femur.consistency import FINGERPRINT_KEY
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL, DATASET_FINGERPRINT, PLANS_JSON, fold_folder
from nnunet_femur.dataset.raw import DATASET_JSON
from nnunet_femur.recipe.trainer_names import TRAINERS
from nnunet_femur.records import read_json
from nnunet_femur.weights.models import FEMURS, femur_entry

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from nnunet_femur.model_export.trained_networks import TrainedNetworks

_OWN_KEYS = "femur_"
"""Start of the keys that this package adds to plans: recipe, source and fingerprint."""

_DATASET_KEYS = {
    *("channel_names", "labels", "regions_class_order", "numTraining", "file_ending", "overwrite_image_reader_writer"),
    *("name", "description", "reference", "licence", "license", "release"),
}
"""Keys of ``dataset.json`` that are exported. Others may contain file names, and so patients' ids."""


def stock_weights(networks: TrainedNetworks, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict under nnU-Net's names: without merged heads, and without the fingerprint.

    Args:
        networks: The model.
        weights: The state dict of one fold.
    """
    from nnunet_femur.networks.merged_heads import source_key

    own = {name: tensor for name, tensor in weights.items() if name != FINGERPRINT_KEY}
    return {source_key(name): tensor for name, tensor in own.items()} if networks.has_merged_heads else own


def stock_plans(networks: TrainedNetworks, *, plans_name: str, **changes: Any) -> dict[str, Any]:
    """Return the plans with the model's configuration alone, and without this package's keys.

    Args:
        networks: The model.
        plans_name: Name of the exported plans.
        changes: Further changes to the plans.
    """
    plans = {key: deepcopy(value) for key, value in networks.model.plans.items() if key != "configurations"}
    configuration = deepcopy(networks.configuration.configuration)
    # nnU-Net has resolved the inheritance, but keeps the key; the parent is not exported.
    kept = {
        key: value for key, value in configuration.items() if not key.startswith(_OWN_KEYS) and key != "inherits_from"
    }
    return plans | {"plans_name": plans_name, "configurations": {networks.configuration_name: kept}} | changes


def stock_labels(networks: TrainedNetworks) -> dict[str, Any]:
    """Return names and values of the labels that the network's output channels mean.

    Those of a fine-tuned network are TotalSegmentator's classes. If the installed TotalSegmentator has other classes
    than the model was fine-tuned from, only the femur's have names.
    """
    if not networks.has_merged_heads:
        return dict(networks.labels)
    entry = femur_entry(fast=bool((networks.source or {}).get("fast")))
    if entry.channels == networks.channels and tuple(entry.classes[name] for name in FEMURS) == networks.femur_channels:
        return {"background": 0} | entry.classes
    femurs = dict(zip(networks.femur_channels, FEMURS, strict=False))
    return {"background": 0} | {femurs.get(n, f"class_{n}"): n for n in range(1, networks.channels)}


def write_model(
    networks: TrainedNetworks,
    folder: Path,
    *,
    trainer: str,
    plans: dict[str, Any],
    folds: tuple[str, ...],
    **dataset_changes: Any,
) -> None:
    """Write a folder ``TRAINER__PLANS__CONFIGURATION``.

    Args:
        networks: The model.
        folder: The folder; it is created.
        trainer: Class name of nnU-Net's trainer.
        plans: The plans, see :func:`stock_plans`.
        folds: The names of the exported folds, in the order of the model's.
        dataset_changes: Changes to ``dataset.json``, besides the labels.
    """
    folder.mkdir(parents=True)
    kept = {key: value for key, value in networks.model.dataset.items() if key in _DATASET_KEYS}
    dataset = kept | {"labels": stock_labels(networks)} | dataset_changes
    write_json(folder / PLANS_JSON, plans, durable=False)
    write_json(folder / DATASET_JSON, dataset, durable=False)
    fingerprint = read_json(networks.model.folder / DATASET_FINGERPRINT)
    if fingerprint is not None:
        # nnUNetv2_export_model_to_zip requires it, should the receiver export the model again.
        write_json(folder / DATASET_FINGERPRINT, fingerprint, durable=False)
    for fold, weights in zip(folds, networks.weights, strict=True):
        checkpoint = {
            "network_weights": stock_weights(networks, weights),
            "trainer_name": trainer,
            "init_args": {"configuration": networks.configuration_name, "fold": fold},
            "inference_allowed_mirroring_axes": networks.mirror_axes,
        }
        _write_checkpoint(folder / fold_folder(fold) / CHECKPOINT_FINAL, checkpoint)


def _write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    import torch

    path.parent.mkdir()
    with written_beside(path, durable=False) as partial:
        torch.save(content, partial)


def is_stock(networks: TrainedNetworks) -> bool:
    """Return True if nnU-Net's own trainer builds the same network from the plans.

    These are this package's three-dimensional networks, and every model of a trainer of nnU-Net.
    """
    from nnunet_femur.recipe.trainer_names import stock_trainers

    if networks.trainer in TRAINERS:
        return not networks.works_in_slices
    return networks.trainer in stock_trainers()
