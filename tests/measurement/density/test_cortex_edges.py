"""Edges of profiles whose blur is computed by the error function."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from nnunet_femur.measurement.density.cortex_edges import STEP_MM, CortexEdges, find_edges
from nnunet_femur.measurement.femur_measurements import Missing

RADII = np.arange(0, 24, STEP_MM)


def _profile(outer: float, inner: float, sigma: float, *, soft: float = 40, bone: float = 1500, marrow: float = -60):
    """A slab of bone between soft tissue and marrow, blurred by a Gaussian."""
    step = lambda edge: (1 + erf((RADII - edge) / (np.sqrt(2) * sigma))) / 2  # noqa: E731
    return marrow + (bone - marrow) * step(inner) + (soft - bone) * step(outer)


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("width", [3.5, 5.0, 8.0])
def test_edges_values_and_blur(width: float, sigma: float) -> None:
    edges = find_edges(np.tile(_profile(14, 14 - width, sigma), (12, 1)), RADII, np.full(12, 14.3))
    assert isinstance(edges, CortexEdges)
    # The edges of a slab are straight, so the correction for curvature is what remains.
    assert edges.outer_mm == pytest.approx(np.full(12, 14 + sigma**2 / 28), abs=0.03)
    assert edges.inner_mm == pytest.approx(np.full(12, 14 - width + sigma**2 / 2 / (14 - width)), abs=0.03)
    assert edges.blur_mm == pytest.approx(sigma, abs=0.03)
    assert edges.cortex_hu == pytest.approx(1500, abs=15)
    assert edges.marrow_hu == pytest.approx(-60, abs=1)


def test_thin_places_take_the_value_of_the_others() -> None:
    """Two of twelve rays have a cortex of 2.2 sigma; with their own peak they would be 0.4 mm too thick."""
    profiles = np.tile(_profile(14, 9, 0.8), (12, 1))
    profiles[3:5] = _profile(14, 12.24, 0.8)
    edges = find_edges(profiles, RADII, np.full(12, 14.0))
    assert isinstance(edges, CortexEdges)
    assert (edges.outer_mm - edges.inner_mm)[3:5] == pytest.approx([1.76, 1.76], abs=0.15)


def test_a_ray_without_edge_takes_its_neighbours() -> None:
    """A vein of bone across the marrow, as a pencil of noise would be."""
    profiles = np.tile(_profile(14, 9, 0.8), (12, 1))
    profiles[5] = 1500
    edges = find_edges(profiles, RADII, np.full(12, 14.0))
    assert isinstance(edges, CortexEdges)
    assert edges.inner_mm[5] == pytest.approx(edges.inner_mm[4], abs=0.01)


@pytest.mark.parametrize("lost", [2, 6])
def test_too_many_rays_without_edge(lost: int) -> None:
    profiles = np.tile(_profile(14, 9, 0.8), (12, 1))
    profiles[:lost] = 1500
    found = find_edges(profiles, RADII, np.full(12, 14.0))
    assert isinstance(found, Missing)
    assert found.code == "cortex-not-found"


def test_a_cortex_as_thin_as_its_blur() -> None:
    found = find_edges(np.tile(_profile(14, 12.5, 0.8), (12, 1)), RADII, np.full(12, 14.0))
    assert isinstance(found, Missing)
    assert found.code == "cortex-too-thin"


def test_air_beside_the_bone_counts_as_soft_tissue() -> None:
    """Air at -1000 HU would move the half level by 500 HU; it is clipped to that of fat, whose error is small."""
    edges = find_edges(np.tile(_profile(14, 9, 0.8, soft=-1000), (12, 1)), RADII, np.full(12, 14.0))
    assert isinstance(edges, CortexEdges)
    assert edges.outer_mm == pytest.approx(np.full(12, 14), abs=0.35)
