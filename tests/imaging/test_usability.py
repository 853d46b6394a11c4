"""CTs that cannot be segmented are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.imaging.usability import require_usable, thin_problem
from tests.legs import leg, spin_echo

CT = Path("ct.nrrd")


def _geometry(size_xyz: tuple[int, ...], spacing_mm_xyz: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Geometry:
    return Geometry(size_xyz, spacing_mm_xyz, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("size_xyz", "spacing_mm_xyz", "thin"),
    [
        ((56, 56, 1), (3.0, 3.0, 60.0), True),
        ((56, 1, 80), (3.0, 30.0, 6.0), True),
        ((56, 56, 2), (3.0, 3.0, 60.0), True),
        ((56, 56, 3), (3.0, 3.0, 0.6), True),
        ((56, 56, 3), (3.0, 3.0, 3.4), False),
        ((5, 56, 80), (1.9, 3.0, 6.0), True),
        ((5, 56, 80), (2.0, 3.0, 6.0), False),
    ],
)
def test_thin(size_xyz, spacing_mm_xyz, thin):
    geometry = _geometry(size_xyz, spacing_mm_xyz)
    assert (thin_problem(geometry) is not None) is thin
    values = np.random.default_rng(0).integers(-900, 1500, size_xyz[::-1]).astype(np.int16)
    if thin:
        with pytest.raises(VolumeError) as caught:
            require_usable(values, geometry, CT, any_values=True)
        assert caught.value.code == "too-thin"
    else:
        require_usable(values, geometry, CT)


def test_other_values_are_accepted_with_any_values():
    values = spin_echo(leg()).astype(np.int16)
    geometry = _geometry(values.shape[::-1])
    with pytest.raises(VolumeError) as caught:
        require_usable(values, geometry, CT)
    assert caught.value.code == "image-positive"
    assert "--any-values" in str(caught.value)
    assert [found.code for found in require_usable(values, geometry, CT, any_values=True)] == ["image-positive"]


def test_nan_is_always_refused():
    values = leg().astype(np.float32)
    values[3, 3, 3] = np.nan
    with pytest.raises(VolumeError) as caught:
        require_usable(values, _geometry(values.shape[::-1]), CT, any_values=True)
    assert caught.value.code == "not-finite"


def test_notes_are_left_out():
    values = leg()
    values[0] = -3024
    assert require_usable(values, _geometry(values.shape[::-1]), CT) == ()
