"""Draws batches of slices, in any plane, from nnU-Net's preprocessed volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
    from nnunetv2.utilities.label_handling.label_handling import LabelManager


class SliceLoader(nnUNetDataLoader):
    """nnU-Net's loader for slices across any axis of the volume.

    Each sample draws a case, an axis and, if it is to show the femur, a slice that holds some; every slice of the
    bone is as likely as any other, however small its section.

    Args:
        data: The preprocessed cases.
        batch_size: Slices in a batch.
        slice_size: Rows and columns that are cut out, before the transforms.
        final_slice_size: Rows and columns that the transforms leave.
        label_manager: nnU-Net's label manager.
        axes: The spatial axes (0 is z) that slices are drawn across.
        foreground_fraction: Fraction of a batch that is centred on the femur, 0 to 1.
        transforms: nnU-Net's transforms for slices.
    """

    def __init__(
        self,
        data: nnUNetBaseDataset,
        batch_size: int,
        slice_size: Sequence[int],
        final_slice_size: Sequence[int],
        label_manager: LabelManager,
        *,
        axes: Sequence[int],
        foreground_fraction: float,
        transforms: BasicTransform,
    ) -> None:
        super().__init__(
            data,
            batch_size,
            slice_size,
            final_slice_size,
            label_manager,
            oversample_foreground_percent=foreground_fraction,
            transforms=transforms,
        )
        self.axes = tuple(axes)
        self._slice_size = tuple(int(n) for n in slice_size)
        self._padding = np.subtract(slice_size, final_slice_size).astype(int)

    def generate_train_batch(self) -> dict[str, Any]:
        """One batch: "data" (batch, channels, rows, columns), "target" (batch, 1, rows, columns) and "keys"."""
        keys = self.get_indices()
        with torch.no_grad(), threadpool_limits(limits=1, user_api=None):
            samples = [self._sample(key, show_femur=self.get_do_oversample(j)) for j, key in enumerate(keys)]
        return {
            "data": torch.stack([sample["image"] for sample in samples]),
            "target": torch.stack([sample["segmentation"] for sample in samples]),
            "keys": keys,
        }

    def _sample(self, key: str, *, show_femur: bool) -> dict[str, torch.Tensor]:
        data, seg, _, properties = self._data.load_case(key)
        axis = self.axes[np.random.randint(len(self.axes))]  # noqa: NPY002 - nnU-Net's loaders share this generator
        # nnU-Net's get_bbox reads the patch from these two.
        self.patch_size = tuple(np.insert(self._slice_size, axis, 1))
        self.need_to_pad = np.insert(self._padding, axis, 0)
        locations = properties["class_locations"]
        if show_femur:
            locations = _of_one_slice(locations, axis)
        lower, upper = self.get_bbox(data.shape[1:], show_femur, locations)
        box = [list(bounds) for bounds in zip(lower, upper, strict=True)]
        image = torch.from_numpy(crop_and_pad_nd(data, box, 0)).float().squeeze(1 + axis)
        mask = torch.from_numpy(crop_and_pad_nd(seg, box, -1, cast_cropped_to=np.int16)).to(torch.int16)
        return self.transforms(image=image, segmentation=mask.squeeze(1 + axis))


def _of_one_slice(locations: dict[Any, np.ndarray], axis: int) -> dict[Any, np.ndarray]:
    """The class locations (rows of channel, z, y, x) in one slice that holds each class, drawn for each class."""
    drawn = {}
    for label, voxels in locations.items():
        if len(voxels):
            index = np.random.choice(np.unique(voxels[:, 1 + axis]))  # noqa: NPY002
            drawn[label] = voxels[voxels[:, 1 + axis] == index]
        else:
            drawn[label] = voxels
    return drawn


def count_femur_slices(data: nnUNetBaseDataset, axes: Sequence[int]) -> int:
    """Number of slices across `axes` that hold femur, over all cases.

    Counted from nnU-Net's sample of foreground locations (10,000 voxels or 1 % of a case), so the very tips of a
    bone may be left out.
    """
    total = 0
    for key in data.identifiers:
        locations = data.load_case(key)[3]["class_locations"]
        for voxels in locations.values():
            if len(voxels):
                total += sum(len(np.unique(voxels[:, 1 + axis])) for axis in axes)
    return total
