"""Edges of the cortex on radial profiles, at half of the difference to the tissue beside it, corrected for blur.

An edge is where the profile crosses half of the difference between the cortex and the tissue beside it: soft tissue
outside, marrow inside, each with its own value (Hangartner and Short 2001). Symmetric blur does not move this crossing
at a straight edge, if the value of the cortex is known. The blur is estimated from the outer edge. The value of the
cortex is corrected for blur and width, as by Hangartner and Short, and both edges are corrected for their curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.femur_measurements import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_MM = 0.2
"""Distance of the samples on a ray; edges are interpolated between them."""

_OUTSIDE_MM = (2.0, 5.0)
"""Distances from the outer edge between which the soft tissue is sampled."""

_SOFT_HU = (-150.0, 250.0)
"""Range of soft tissue with or without contrast agent, to which air, padding and other bones are clipped."""

_MASK_OFF_MM = 3.0
"""Largest distance of the outer edge from the outline of the mask."""

_LEAST_MARROW_MM = 1.0
"""Least radius around the middle in which the marrow is sampled."""

_LEAST_CONTRAST_HU = 300.0
"""Least difference between the cortex and the marrow."""

_SAMPLES = 15
"""Number of samples of a profile from which a value is estimated."""

_PASSES, _SETTLED_MM = 30, 0.005
"""Largest number of passes, and the change of all thicknesses at which they end.

Each pass uses the edges of the one before for the values of cortex, marrow and soft tissue.
"""

_QUARTER_SIGMAS = 0.6745
"""Distance between the half and the quarter level of an edge blurred by a Gaussian, in standard deviations."""

WIDE_SIGMAS = 3.0
"""Least thickness in standard deviations of the blur for which a ray has its own value of the cortex.

Thinner places take the median of the others, since their width and their value cannot be separated (Treece et al.
2010).
"""

_LEAST_WIDE = 0.5
"""Least share of the rays with such a thickness."""

_MOST_LOST = 0.1
"""Largest share of rays without an edge, which take those of their neighbours."""


@dataclass(frozen=True, eq=False)
class CortexEdges:
    """Edges of the cortex on the rays of one cross-section.

    Attributes:
        outer_mm: Radius of the outer edge on each ray, shape (rays,).
        inner_mm: Radius of the inner edge.
        cortex_hu: Value of the cortex without blur, median of the rays.
        marrow_hu: Value in the middle of the marrow.
        blur_mm: Standard deviation of the blur.
    """

    outer_mm: NDArray[np.float64]
    inner_mm: NDArray[np.float64]
    cortex_hu: float
    marrow_hu: float
    blur_mm: float


def find_edges(
    profiles: NDArray[np.float64], radii: NDArray[np.float64], outline: NDArray[np.float64]
) -> CortexEdges | Missing:
    """Return the edges of the cortex.

    Args:
        profiles: HU on the rays, shape (rays, radii).
        radii: Distance of the samples from the centre in mm, from 0 in steps of STEP_MM.
        outline: Radius of the mask on each ray in mm.

    Returns:
        The edges, or the reason for which there are none.

    Example:
        >>> import scipy.ndimage
        >>> radii = np.arange(0, 20, STEP_MM)
        >>> sharp = np.where(radii > 14, 50.0, np.where(radii > 9, 1500.0, -50.0))
        >>> profile = scipy.ndimage.gaussian_filter1d(sharp, 0.8 / STEP_MM, mode="nearest")
        >>> edges = find_edges(np.tile(profile, (8, 1)), radii, np.full(8, 14.0))
        >>> round(float(edges.blur_mm), 1), round(edges.cortex_hu, -2)
        (0.8, 1500.0)
    """
    beyond = radii[None] > outline[:, None] + 1
    within = np.where((radii[None] < 0.3 * outline[:, None]) | beyond, -np.inf, profiles)
    start = within.argmax(1)
    cortex = within.max(1)
    outer, inner = outline, 0.6 * outline
    sigma_mm, wide = 0.0, np.ones(len(profiles), bool)
    for _ in range(_PASSES):
        marrow = float(np.median(profiles[radii[None] < np.maximum(0.5 * inner, _LEAST_MARROW_MM)[:, None]]))
        soft = _soft_tissue(profiles, outer)
        if np.median(cortex) - marrow < _LEAST_CONTRAST_HU or np.median(cortex - soft) < _LEAST_CONTRAST_HU:
            return _NOT_FOUND
        outer_found = _crossing(profiles, radii, start, (cortex + soft) / 2, outwards=True)
        inner_found = _crossing(profiles, radii, start, (cortex + marrow) / 2, outwards=False)
        outer_found[np.abs(outer_found - outline) > _MASK_OFF_MM] = np.nan
        if np.isnan(outer_found).mean() > _MOST_LOST or np.isnan(inner_found).mean() > _MOST_LOST:
            return _NOT_FOUND
        quarter = _crossing(profiles, radii, start, (cortex + 3 * soft) / 4, outwards=True)
        before, outer, inner = outer - inner, _filled(outer_found), _filled(inner_found)
        inner = np.minimum(inner, outer)
        distances = (quarter - outer)[wide]
        if np.isnan(distances).mean() > _MOST_LOST:
            return _NOT_FOUND
        sigma_mm = float(np.nanmedian(distances)) / _QUARTER_SIGMAS
        wide = outer - inner >= WIDE_SIGMAS * sigma_mm
        if wide.mean() < _LEAST_WIDE:
            return too_thin(f"mostly thinner than {WIDE_SIGMAS:g} standard deviations of the blur ({sigma_mm:.2f} mm)")
        cortex = _cortex_value(profiles, outer, inner, (soft + marrow) / 2, sigma_mm)
        cortex[~wide] = np.median(cortex[wide])
        start = np.rint((outer + inner) / 2 / STEP_MM).astype(int)
        if np.abs(outer - inner - before).max() < _SETTLED_MM:
            break
    # Blur moves the half level of a curved edge towards the centre of its curvature.
    outer, inner = (radius + sigma_mm**2 / (2 * np.maximum(radius, sigma_mm)) for radius in (outer, inner))
    return CortexEdges(outer, inner, float(np.median(cortex)), marrow, sigma_mm)


def _soft_tissue(profiles: NDArray[np.float64], outer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value outside of the bone on each ray, smoothed over its neighbours."""
    beside = _median_between(profiles, outer + _OUTSIDE_MM[0], outer + _OUTSIDE_MM[1])
    return np.clip(_smoothed(beside), *_SOFT_HU)


def _cortex_value(
    profiles: NDArray[np.float64],
    outer: NDArray[np.float64],
    inner: NDArray[np.float64],
    beside: NDArray[np.float64],
    sigma_mm: float,
) -> NDArray[np.float64]:
    """Return the value of the cortex on each ray, corrected for the blur of its width (Hangartner and Short 2001).

    The median of the middle half of the cortex is smoothed over neighbouring rays. Blur by a Gaussian leaves a known
    share of the difference to the tissue beside it, which is `beside` on average.
    """
    import scipy.special

    width = np.maximum(outer - inner, STEP_MM)
    value = _smoothed(_median_between(profiles, inner + width / 4, outer - width / 4))
    # The median of the middle half is the value at an eighth of the width from the middle.
    scale = width / (np.sqrt(2) * max(sigma_mm, 1e-3))
    share = (scipy.special.erf(5 / 8 * scale) + scipy.special.erf(3 / 8 * scale)) / 2
    return np.asarray(beside + (value - beside) / np.maximum(share, 0.5))


def _median_between(
    profiles: NDArray[np.float64], low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the median of each profile between two radii."""
    places = np.linspace(low_mm, high_mm, _SAMPLES, axis=1) / STEP_MM
    index = np.clip(np.rint(places).astype(int), 0, profiles.shape[1] - 1)
    return np.asarray(np.median(np.take_along_axis(profiles, index, 1), axis=1))


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each ray and its two neighbours on either side, 12 degrees in all."""
    return np.asarray(np.median([np.roll(values, step) for step in range(-2, 3)], axis=0))


def _crossing(
    profiles: NDArray[np.float64],
    radii: NDArray[np.float64],
    start: NDArray[np.int64],
    level: NDArray[np.float64],
    *,
    outwards: bool,
) -> NDArray[np.float64]:
    """Return the radius where each profile first falls below a level, seen from a start; NaN if it does not."""
    place, rays = np.arange(len(radii)), np.arange(len(profiles))
    below = profiles < level[:, None]
    if outwards:
        below &= place[None] > start[:, None]
        after = below.argmax(1)
    else:
        below &= place[None] < start[:, None]
        after = len(radii) - 1 - below[:, ::-1].argmax(1)
    before = np.clip(after - 1 if outwards else after + 1, 0, len(radii) - 1)
    low, high = profiles[rays, after], profiles[rays, before]
    share = np.clip((level - low) / np.where(high > low, high - low, 1), 0, 1)
    found = np.asarray(radii[after] + share * (radii[before] - radii[after]))
    found[~below.any(1)] = np.nan
    return found


def _filled(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return radii with those that were not found interpolated between their neighbours."""
    there = np.flatnonzero(~np.isnan(radii_mm))
    return np.interp(np.arange(len(radii_mm)), there, radii_mm[there], period=len(radii_mm))


def too_thin(text: str) -> Missing:
    """Return the reason for which a thin cortex is not measured.

    Args:
        text: Its thickness, which completes the sentence "The cortex is ...".
    """
    return Missing("cortex-too-thin", f"The cortex is {text}, so it would be measured too thick.")


_NOT_FOUND = Missing("cortex-not-found", "The CT has no cortex around a marrow in this cross-section.")
