"""A synthetic leg that is large enough for the checks of its values."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

SHAPE = (30, 48, 48)
AIR, FAT, MUSCLE, MARROW, BONE = -1000, -100, 55, -40, 1100


def leg(*, seed: int = 0, noise_hu: float = 12.0) -> np.ndarray:
    """Return a leg in air in HU: fat around muscle around a bone that contains marrow, along z."""
    z, y, x = np.indices(SHAPE)
    radius = np.hypot(y - 23.5 + np.sin(z), x - 23.5 + np.cos(z))
    hu = np.select([radius < 3, radius < 5.5, radius < 14, radius < 19], [MARROW, BONE, MUSCLE, FAT], AIR).astype(float)
    rng = np.random.default_rng(seed)
    hu += np.where(hu == BONE, rng.normal(0, 20 * noise_hu, SHAPE), 0)
    hu = scipy.ndimage.gaussian_filter(hu, (0, 0.7, 0.7)) + rng.normal(0, noise_hu, SHAPE)
    return np.clip(np.rint(hu), -1100, 3071).astype(np.int16)


def padded_with(values: np.ndarray, value: int) -> np.ndarray:
    """Return a CT with padding outside the scanner's round field of view, a circle that touches the sides."""
    padded = values.copy()
    _, y, x = np.indices(SHAPE)
    padded[np.hypot(y - 23.5, x - 23.5) > 24] = value
    return padded


def spin_echo(hu: np.ndarray) -> np.ndarray:
    """Return an MR image: fat bright, muscle grey, bone and air dark, with the noise of a magnitude image."""
    signal = np.select([hu < -500, hu < -10, hu < 500], [0, 900, 300], 40)
    return np.abs(signal + np.random.default_rng(1).normal(0, 12, hu.shape))
