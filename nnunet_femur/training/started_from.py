"""Trainings that start from an earlier network: its segmentation layers, which nnU-Net leaves out, and a record of it.

nnU-Net's ``-pretrained_weights`` loads all layers but its own segmentation layers, since another task may have other
classes. If the weights were trained under the same plans, these layers fit too, and the training goes on where the
earlier network ended.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.consistency import differences, fingerprint, resolve
from nnunet_femur.errors import SetupError
from nnunet_femur.records import sha256
from nnunet_femur.weights import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

STARTED_FILE = "started_from.json"
"""File in the folder of a fold about the weights that its training started from."""

OPTION = "-pretrained_weights"
"""nnU-Net's option that names the file of the weights."""

_LEFT_OUT = ".seg_layers."
"""Part of the names of the layers that nnU-Net leaves out."""


@dataclass(frozen=True, eq=False)
class Start:
    """Weights that a training starts from.

    Attributes:
        facts: Checksum, trainer, dataset, plans, configuration, fold and epochs of the weights, as far as the file
            contains them, and "same_plans".
        weights: Tensors of the network by name; empty if they were not trained under the same plans.
    """

    facts: dict[str, Any]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> Start:
        """Read a file of weights.

        Args:
            file: A checkpoint of nnU-Net, or another file of weights.
            plans: The plans of the training that starts.
            configuration: Its configuration of the plans, resolved.
        """
        try:
            content = load_checkpoint(file)
            made = content["init_args"]
            trained_under = made["plans"]
            old = fingerprint(trained_under, resolve(trained_under, made["configuration"]))
            same = not differences(old, fingerprint(plans, configuration))
            facts = {
                "trainer": content["trainer_name"],
                "dataset": trained_under["dataset_name"],
                "plans": trained_under["plans_name"],
                "configuration": made["configuration"],
                "fold": made["fold"],
                "epochs": content["current_epoch"],
            }
        except (SetupError, KeyError, TypeError):
            # Weights of another program; nnU-Net loads what fits.
            return cls({"sha256": sha256(file), "same_plans": False})
        weights = content["network_weights"] if same else {}
        return cls({"sha256": sha256(file), **facts, "same_plans": same}, weights)

    def left_out_by_nnunet(self, network: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the tensors that fit a network, of the layers that nnU-Net's option leaves out.

        Args:
            network: Tensors of the network by name.
        """
        return {
            name: tensor
            for name, tensor in self.weights.items()
            if _LEFT_OUT in name and name in network and network[name].shape == tensor.shape
        }

    def is_of_other_fold(self, dataset: str, fold: object) -> bool:
        """Return True if the weights were trained on another fold of the dataset, and so on cases of this validation.

        Args:
            dataset: Name of the dataset.
            fold: Fold of the training that starts.

        Example:
            >>> Start({"dataset": "Dataset001_Femur", "fold": 1}).is_of_other_fold("Dataset001_Femur", 0)
            True
        """
        return self.facts.get("dataset") == dataset and self.facts.get("fold") != fold


def given_weights(arguments: Sequence[str] | None = None) -> Path | None:
    """Return the file of ``-pretrained_weights`` in a command line; None without the option.

    Args:
        arguments: The command line. Default: that of this process.

    Example:
        >>> given_weights(["nnUNetv2_train", "1", "2d", "0", "-pretrained_weights", "old.pth"]).name
        'old.pth'
    """
    words = list(sys.argv if arguments is None else arguments)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == OPTION and (value or following):
            return Path(value or following)
    return None
