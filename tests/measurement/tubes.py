"""CTs of a hollow cylinder with known radii: sampled finer than the voxels, blurred by a Gaussian, with noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from nnunet_femur.imaging import Geometry

IDENTITY = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)


@dataclass(frozen=True)
class Tube:
    """A tube through the origin, tilted against the third axis of its grid, and its CT.

    Attributes:
        ct_zyx: HU.
        mask_zyx: True within the outer surface.
        geometry: The grid.
        axis: Unit vector along the tube.
    """

    ct_zyx: np.ndarray
    mask_zyx: np.ndarray
    geometry: Geometry
    axis: np.ndarray


def tube(
    outer_mm: float,
    inner_mm: float,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    tilt_deg: float = 8.0,
    aside_mm: float = 0.0,
    blur_mm: float = 0.6,
    noise_hu: float = 20.0,
    soft_hu: float = 50.0,
    bone_hu: float = 1600.0,
    marrow_hu: float = -50.0,
    length_mm: float = 16.0,
) -> Tube:
    """Return a tube whose marrow is `aside_mm` from the middle; spacing in the order x, y, z."""
    rng = np.random.default_rng(0)
    spacing = np.array(spacing_mm)
    size = np.ceil(np.array([2 * outer_mm + 18, 2 * outer_mm + 18, length_mm]) / spacing).astype(int)
    origin = -(size - 1) / 2 * spacing + rng.uniform(-0.5, 0.5, 3) * spacing
    parts = np.ceil(np.array(spacing_mm) / 0.25).astype(int)
    x, y, z = (origin[k] + spacing[k] * ((np.arange(size[k] * parts[k]) + 0.5) / parts[k] - 0.5) for k in range(3))
    tilt = np.deg2rad(tilt_deg)
    axis = np.array([np.sin(tilt), 0.0, np.cos(tilt)])
    across = (x[None, :] * np.cos(tilt) - z[:, None] * np.sin(tilt))[:, None, :].astype(np.float32)
    depth = y[None, :, None].astype(np.float32)
    in_bone = across**2 + depth**2 <= outer_mm**2
    in_marrow = (across - np.float32(aside_mm)) ** 2 + depth**2 <= inner_mm**2
    sharp = np.where(in_marrow, marrow_hu, np.where(in_bone, bone_hu, soft_hu)).astype(np.float32)
    blurred = scipy.ndimage.gaussian_filter(sharp, blur_mm * (parts / spacing)[::-1], mode="nearest", truncate=3)
    shape = [number for pair in zip(size[::-1], parts[::-1], strict=True) for number in pair]
    ct, mask = (each.reshape(shape).mean((1, 3, 5)) for each in (blurred, in_bone))
    ct = np.rint(ct + rng.normal(0, noise_hu, ct.shape)).astype(np.int16)
    geometry = Geometry(tuple(map(int, size)), tuple(map(float, spacing)), tuple(map(float, origin)), IDENTITY)
    return Tube(ct, mask >= 0.5, geometry, axis)
