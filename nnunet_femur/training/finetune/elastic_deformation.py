"""Elastic deformation of training patches, with displacements that are drawn on a coarse grid."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from batchgeneratorsv2.helpers.scalar_type import sample_scalar
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from scipy import ndimage
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS_PER_SIGMA = 4
"""Points of the coarse grid along a standard deviation of the smoothing. Between them, a linear interpolation errs by
less than a hundredth of the displacement."""


class ElasticTransform(SpatialTransform):
    """nnU-Net's spatial transform whose elastic deformation takes a small part of the time.

    nnU-Net's transform smooths white noise of the patch's size by Fourier transforms, which takes longer than the rest
    of a batch. Smooth displacements are known from few points: here the noise has a few points for each standard
    deviation of the smoothing, and the smooth field is interpolated. Smoothness and largest displacement are the same.

    Attributes:
        elastic_fraction: Fraction of the patches that are deformed.
        elastic_scale: Range of the standard deviation of the smoothing, as a fraction of the patch's edge along
            the displacement.
        elastic_reach: Largest displacement in voxels.
    """

    elastic_fraction: float
    elastic_scale: tuple[float, float]
    elastic_reach: float

    @classmethod
    def of(
        cls, transform: SpatialTransform, *, fraction: float, scale: tuple[float, float], reach: float
    ) -> ElasticTransform:
        """Return a spatial transform of nnU-Net with this elastic deformation instead of its own.

        Args:
            transform: The transform, whose rotation and scaling are kept.
            fraction: Fraction of the patches that are deformed.
            scale: Range of the standard deviation of the smoothing, as a fraction of the patch's edge along
                the displacement.
            reach: Largest displacement in voxels.
        """
        made = copy(transform)
        made.__class__ = cls
        assert isinstance(made, cls)  # noqa: S101 - for type checkers
        made.p_elastic_deform = 0
        made.elastic_fraction, made.elastic_scale, made.elastic_reach = fraction, scale, reach
        return made

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Return nnU-Net's parameters of a patch; in a part of the patches, the grid is deformed too."""
        parameters: dict[str, Any] = super().get_parameters(**data_dict)
        # nnU-Net's own generator, whose seed makes a training reproducible.
        if np.random.uniform() < self.elastic_fraction:  # noqa: NPY002
            shape = data_dict["image"].shape[1:]
            offsets = self._offsets()
            affine = parameters["affine"]
            if affine is not None:
                # nnU-Net deforms first and rotates then.
                offsets = offsets @ torch.from_numpy(affine.T).float()
            offsets -= offsets.mean(dim=list(range(len(shape))))
            grid = parameters["grid"]
            if grid is None:
                center = parameters["center_location_in_pixels"]
                moved = torch.tensor([c - n / 2 for c, n in zip(center, shape, strict=True)])
                grid = _for_sampling(self._get_base_grid_clone() + moved, shape)
            parameters["grid"] = grid + _for_sampling(offsets, shape)
        return parameters

    def _offsets(self) -> torch.Tensor:
        """Return random displacements in voxels, shape (*patch, axes)."""
        fields = []
        for edge in self.patch_size:
            field = smooth_field(self.patch_size, edge * sample_scalar(self.elastic_scale))
            fields.append(field * (sample_scalar((0, self.elastic_reach)) / field.abs().max().clamp_min(1e-8)))
        return torch.stack(fields, -1)


def smooth_field(size: Sequence[int], sigma: float) -> torch.Tensor:
    """Return smoothed white noise, in any unit.

    Args:
        size: Shape of the field.
        sigma: Standard deviation of the smoothing in voxels.

    Returns:
        The field, shape `size`, float32.

    Example:
        >>> smooth_field((32, 32, 48), 5.0).shape
        torch.Size([32, 32, 48])
    """
    step = max(1.0, sigma / POINTS_PER_SIGMA)
    coarse = [max(2, round((n - 1) / step) + 1) for n in size]
    points = [sigma * (few - 1) / max(1, n - 1) for n, few in zip(size, coarse, strict=True)]
    # The noise of a periodic grid, as in nnU-Net's Fourier transform, has the same variance everywhere.
    smooth = ndimage.gaussian_filter(torch.randn(coarse).numpy(), points, mode="wrap")
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(coarse)]
    field: torch.Tensor = functional.interpolate(
        torch.from_numpy(smooth)[None, None], list(size), mode=mode, align_corners=True
    )
    return field[0, 0]


def _for_sampling(grid: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return a grid in voxels, with the axes z, y, x, in the units of PyTorch's grid_sample, with the axes x, y, z."""
    return (grid / (torch.tensor(shape) / 2)).flip(-1)
