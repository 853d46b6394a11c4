"""A segmentation head of many classes that speaks of one: femur against everything else.

A maximum over classes and a sum over windows do not commute, nor do a maximum and an interpolation. So rows are merged
in the network while it is trained, where there is one window and one grid; at prediction all rows leave the network,
nnU-Net adds up windows and resamples each of them, and they are merged at the very end.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    from numpy.typing import NDArray


class MergedHead(nn.Module):
    """A head whose outputs are two: the largest of all other rows, and the largest of the femur's rows.

    The larger of the two is the femur exactly where the source's largest row is one of the femur's, so before any
    training the network says what its source says. Taking a mean, or keeping three rows only, loses that.

    Args:
        head: The source's layer, with one output channel for each of its classes.
        femur_rows: The channels that mean femur, left or right.
        merges: Whether rows are merged; else all of them leave the head.
    """

    def __init__(self, head: nn.Module, femur_rows: Sequence[int], *, merges: bool = True) -> None:
        super().__init__()
        self.head = head
        self.femur_rows = tuple(femur_rows)
        self.merges = merges

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of background and femur, shape (batch, 2, z, y, x), or those of all rows."""
        rows = self.head(features)
        return merged(rows, self.femur_rows) if self.merges else rows


def merged(rows: torch.Tensor, femur_rows: Sequence[int]) -> torch.Tensor:
    """The largest of all other rows and of the femur's; from shape (batch, rows, ...) to (batch, 2, ...)."""
    others = [row for row in range(rows.shape[1]) if row not in femur_rows]
    return torch.stack([rows[:, others].amax(1), rows[:, list(femur_rows)].amax(1)], 1)


def merge_heads(network: nn.Module, femur_rows: Sequence[int]) -> nn.Module:
    """Merge every segmentation head of one of nnU-Net's U-Nets, those of deep supervision included."""
    layers = network.get_submodule("decoder.seg_layers")
    assert isinstance(layers, nn.ModuleList)  # noqa: S101 - nnU-Net's U-Nets have them
    for index, head in enumerate(layers):
        layers[index] = MergedHead(head, femur_rows)
    return network


def source_key(key: str) -> str:
    """The name that the source's weights have for a tensor of a network with merged heads."""
    return key.replace(".head.", ".") if ".seg_layers." in key else key


class RowsLabelManager(LabelManager):
    """Tells nnU-Net that a network answers with a row for each of its source's classes, and what they mean here.

    Args:
        label_dict: The dataset's labels: background and femur.
        rows: Number of rows.
        femur_rows: Those that mean femur.
        further: What nnU-Net's label manager takes besides.
    """

    def __init__(self, label_dict: dict, *, rows: int, femur_rows: Sequence[int], **further: Any) -> None:
        super().__init__(label_dict, **further)
        self.rows = rows
        self.femur_rows = tuple(femur_rows)

    @property
    def num_segmentation_heads(self) -> int:
        """Number of channels that the network answers with."""
        return self.rows

    def convert_logits_to_segmentation(self, predicted_logits: NDArray | torch.Tensor) -> NDArray | torch.Tensor:
        """1 where the largest row is one of the femur's, else 0; from shape (rows, z, y, x)."""
        segmentation = merged(torch.as_tensor(predicted_logits)[None], self.femur_rows)[0].argmax(0)
        return segmentation if isinstance(predicted_logits, torch.Tensor) else segmentation.numpy()

    def apply_inference_nonlin(self, logits: NDArray | torch.Tensor) -> torch.Tensor:
        """Probabilities of background and femur, shape (2, z, y, x), as training has them."""
        probabilities: torch.Tensor = super().apply_inference_nonlin(
            merged(torch.as_tensor(logits)[None], self.femur_rows)[0]
        )
        return probabilities

    def convert_probabilities_to_segmentation(
        self, predicted_probabilities: NDArray | torch.Tensor
    ) -> NDArray | torch.Tensor:
        """1 where femur is likelier than background, from shape (2, z, y, x)."""
        return predicted_probabilities.argmax(0)


def answer_in_rows(network: nn.Module, plans_manager: PlansManager, *, rows: int, femur_rows: Sequence[int]) -> None:
    """Let a network's rows leave it, and let nnU-Net's prediction under these plans know what they mean."""
    for module in network.modules():
        if isinstance(module, MergedHead):
            module.merges = False
    plans_manager.get_label_manager = partial(_label_manager, rows=rows, femur_rows=tuple(femur_rows))


@contextmanager
def answering_in_rows(
    network: nn.Module, plans_manager: PlansManager, *, rows: int, femur_rows: Sequence[int]
) -> Iterator[None]:
    """The same for a while, in a training that predicts in between."""
    answer_in_rows(network, plans_manager, rows=rows, femur_rows=femur_rows)
    try:
        yield
    finally:
        del plans_manager.get_label_manager
        for module in network.modules():
            if isinstance(module, MergedHead):
                module.merges = True


def _label_manager(dataset_json: dict, *, rows: int, femur_rows: Sequence[int], **further: Any) -> RowsLabelManager:
    return RowsLabelManager(
        dataset_json["labels"],
        rows=rows,
        femur_rows=femur_rows,
        regions_class_order=dataset_json.get("regions_class_order"),
        **further,
    )
