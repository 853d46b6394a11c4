"""Elastic deformation from a coarse grid, against nnU-Net's own from noise of the patch's size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial import spatial
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

from nnunet_femur.training.finetune.elastic_deformation import ElasticTransform, smooth_field

PATCH, SHAPE = (20, 24, 16), (30, 32, 26)
SCALE, REACH = (0.1, 0.3), 3.0


def _stock(**changes: Any) -> SpatialTransform:
    options = {
        "patch_center_dist_from_border": 0,
        "random_crop": False,
        "p_rotation": 1,
        "rotation": (-0.5, 0.5),
        "p_scaling": 1,
        "scaling": (0.7, 1.4),
        "elastic_deform_scale": SCALE,
        "elastic_deform_magnitude": (0, REACH),
        **changes,
    }
    return SpatialTransform(PATCH, **options)


def _ours(stock: SpatialTransform, fraction: float = 1.0) -> ElasticTransform:
    return ElasticTransform.of(stock, fraction=fraction, scale=SCALE, reach=REACH)


def _grid(transform: SpatialTransform, seed: int = 0) -> torch.Tensor | None:
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    return transform.get_parameters(image=torch.zeros(1, *SHAPE))["grid"]


@pytest.mark.parametrize("moved", [{}, {"p_rotation": 0, "p_scaling": 0}], ids=["rotated", "not rotated"])
def test_displacements_become_the_grid_of_nnunet(moved: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both transforms get the same displacements; nnU-Net's smoothing is switched off for that."""
    displacements = torch.rand(3, *PATCH) - 0.5
    scaled = torch.stack([each * 2.0 / each.abs().max() for each in displacements], -1)
    monkeypatch.setattr(spatial, "fourier_gaussian", lambda field, _: field)
    monkeypatch.setattr(torch, "normal", lambda **_: displacements.clone())
    expected = _grid(_stock(p_elastic_deform=1, elastic_deform_magnitude=2.0, **moved))
    ours = _ours(_stock(**moved))
    monkeypatch.setattr(ours, "_offsets", lambda: scaled)
    found = _grid(ours)
    assert expected is not None
    assert found is not None
    # In PyTorch's units, 2 is the size of the image.
    assert torch.allclose(found, expected, atol=1e-5)


def test_without_deformation_it_is_nnunets() -> None:
    assert torch.equal(_grid(_ours(_stock(), fraction=0.0)), _grid(_stock()))
    assert _grid(_ours(_stock(p_rotation=0, p_scaling=0), fraction=0.0)) is None


def test_the_fraction_of_deformed_patches() -> None:
    ours = _ours(_stock(p_rotation=0, p_scaling=0), fraction=0.3)
    deformed = sum(_grid(ours, seed) is not None for seed in range(200))
    # 60 expected, with a standard deviation of 6.5.
    assert 34 <= deformed <= 86


def test_displacements_reach_at_most_as_far_as_asked() -> None:
    ours, largest = _ours(_stock()), []
    for seed in range(30):
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        offsets = ours._offsets()
        assert offsets.shape == (*PATCH, 3)
        largest.append(float(offsets.abs().max()))
    assert max(largest) <= REACH * 1.0001
    assert max(largest) > 0.8 * REACH


@pytest.mark.parametrize("sigma", [3.0, 8.0])
def test_fields_are_as_smooth_as_nnunets(sigma: float) -> None:
    """The mean squared slope of smoothed white noise is its variance / (2 sigma^2) along each axis."""
    torch.manual_seed(0)
    size = (64, 48, 56)
    variance = slopes = 0.0
    for _ in range(20):
        field = smooth_field(size, sigma)
        variance += float(field.var())
        slopes += np.mean([float(field.diff(dim=axis).square().mean()) for axis in range(3)])
    # Fields of few independent lumps vary: the mean of twenty is within a fifth.
    assert slopes / variance == pytest.approx(1 / (2 * sigma**2), rel=0.2)


def test_the_same_seed_gives_the_same_patch() -> None:
    ours = _ours(_stock())
    assert torch.equal(_grid(ours, 5), _grid(ours, 5))
    assert not torch.equal(_grid(ours, 5), _grid(ours, 6))


def test_slices_of_anisotropic_volumes() -> None:
    """nnU-Net transforms them as two-dimensional images."""
    stock = SpatialTransform(PATCH[:2], patch_center_dist_from_border=0, random_crop=False, p_rotation=1, rotation=1.0)
    parameters = _ours(stock).get_parameters(image=torch.zeros(3, *SHAPE[:2]))
    assert parameters["grid"].shape == (*PATCH[:2], 2)
    plain = _ours(stock, fraction=0.0).get_parameters(image=torch.zeros(3, *SHAPE[:2]))
    shift = (parameters["grid"].mean((0, 1)) - plain["grid"].mean((0, 1))).abs().max()
    assert float(shift) < 1e-5, "the patch as a whole is not moved"
