"""Logits of the folds of a model, which can be limited to a box of the preprocessed CT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from nnunet_femur.imaging.boxes import Box
    from nnunet_femur.prediction.search_record import Search

NOT_FEMUR = 10.0
"""Logit of the background, with 0 for all other classes, in voxels that were not searched."""


@dataclass(frozen=True)
class FoldLogits:
    """Logits of each fold in a box of a preprocessed CT; the rest of the CT is not femur.

    Attributes:
        values: For each fold the logits in the box, shape (channels, *box), float16, on the device that exports
            them or on the CPU.
        box: The box.
        shape: Shape of the preprocessed CT along the axes of the plans.
        search: Record of the part that was searched; None if the logits come from elsewhere.
    """

    values: list[torch.Tensor]
    box: Box
    shape: tuple[int, ...]
    search: Search | None = None

    @classmethod
    def of_whole(cls, values: Sequence[torch.Tensor]) -> FoldLogits:
        """Return logits of the whole CT.

        Args:
            values: For each fold the logits, shape (channels, *axes of the plans).
        """
        shape = tuple(values[0].shape[1:])
        return cls(list(values), tuple(slice(0, length) for length in shape), shape)

    def contains(self, box: Sequence[slice]) -> bool:
        """Return True if a box of the CT is within the box of the logits."""
        return all(own.start <= part.start and part.stop <= own.stop for own, part in zip(self.box, box, strict=True))

    def part(self, fold: int, box: Sequence[slice]) -> torch.Tensor:
        """Return the logits of a fold in a part of the box.

        Args:
            fold: Index of the fold in `values`.
            box: The part, as a box of the CT.
        """
        local = (slice(part.start - own.start, part.stop - own.start) for own, part in zip(self.box, box, strict=True))
        return self.values[fold][(slice(None), *local)]

    def on_cpu(self) -> FoldLogits:
        """Return the same logits on the CPU."""
        return replace(self, values=[each.cpu() for each in self.values])

    def filled(self, *, regions: bool = False) -> FoldLogits:
        """Return logits of the whole CT, with those of the background outside of the box.

        Args:
            regions: True if the channels are overlapping regions, without a background.
        """
        import torch

        whole = tuple(slice(0, length) for length in self.shape)
        if self.contains(whole):
            return self
        filled = []
        for values in self.values:
            each = values.new_zeros((len(values), *self.shape))
            mark_not_femur(each, torch.ones(self.shape, dtype=torch.bool, device=each.device), regions=regions)
            each[(slice(None), *self.box)] = values
            filled.append(each)
        return FoldLogits(filled, whole, self.shape, self.search)


def mark_not_femur(logits: torch.Tensor, places: torch.Tensor, *, regions: bool = False) -> None:
    """Replace logits in some voxels by those of the background.

    Args:
        logits: The logits, shape (channels, *voxels).
        places: True in the voxels.
        regions: True if the channels are overlapping regions, without a background.
    """
    if regions:
        logits.masked_fill_(places, -NOT_FEMUR)
    else:
        logits.masked_fill_(places, 0.0)
        logits[0].masked_fill_(places, NOT_FEMUR)
