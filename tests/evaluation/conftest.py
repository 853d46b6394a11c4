"""Random masks and a reader of scores, for every test of the evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from nnunet_femur.evaluation import Bone, score_case


def _blobs(seed: int, shape: tuple[int, ...], share: float = 0.5, smooth: float = 1.0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), smooth)
    return noise > np.quantile(noise, 1 - share)


def _scored(reference: np.ndarray, prediction: np.ndarray, spacing_mm=(1.0, 1.0, 1.0), **options):
    case = score_case(Bone(reference, spacing_mm), Bone(prediction, spacing_mm), **options)
    found = {(score.protocol, score.plane, score.region, score.metric): score.value for score in case.scores}
    assert len(found) == len(case.scores), "duplicate score"
    return found


@pytest.fixture(scope="session")
def blobs():
    """Makes a random mask with smooth borders of which a share is True, from a seed and a shape."""
    return _blobs


@pytest.fixture(scope="session")
def scored():
    """Scores two masks; gives the values by (protocol, plane, region, metric)."""
    return _scored


@pytest.fixture(scope="session")
def long_bone() -> np.ndarray:
    """A leaning rod of 61 slices with a knob at either end, along z."""
    z, y, x = np.ogrid[:61, :24, :30]
    centre_y, centre_x = 8 + z / 12, 10 + z / 10
    radius = np.where((z < 10) | (z > 52), 5.5, 3.2)
    bone = (y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius**2
    return np.pad(bone, ((4, 5), (0, 0), (0, 0)))
