"""Plausibility of hand-made masks."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.prediction.postprocessing import check_plausibility

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
RAI = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)
ASR = (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Axes x, y, z lead to anterior, superior and right."""


def _geometry(direction: tuple[float, ...] = LPS) -> Geometry:
    """Voxels of 1 ml."""
    return Geometry((20, 20, 20), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0), direction)


def _mask(*parts: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros((20, 20, 20), np.uint8)
    for part in parts:
        mask[part] = 1
    return mask


WHOLE = (slice(2, 18), slice(5, 9), slice(5, 9))


def test_a_plausible_femur_has_no_warning() -> None:
    found = check_plausibility(_mask(WHOLE), _geometry())
    assert (found.volume_ml, found.pieces, found.cut, found.warnings) == (256.0, 1, (), ())


def test_an_empty_mask_has_a_warning() -> None:
    found = check_plausibility(_mask(), _geometry())
    assert (found.volume_ml, found.pieces) == (0.0, 0)
    assert "empty" in found.warnings[0]


def test_pieces_are_reported_with_their_volumes() -> None:
    found = check_plausibility(_mask(WHOLE, (slice(2, 5), slice(15, 17), slice(15, 17))), _geometry())
    assert found.pieces == 2
    assert found.warnings == ("2 pieces of 256.0, 12.0 ml",)


def test_fragments_do_not_count_as_pieces() -> None:
    small = Geometry((20, 20, 20), (5.0, 9.0, 9.0), (0.0, 0.0, 0.0), LPS)
    mask = _mask(WHOLE, (slice(2, 3), slice(15, 16), slice(15, 16)))
    found = check_plausibility(mask, small)
    assert found.pieces == 1
    assert "1 fragment " in found.warnings[0]


@pytest.mark.parametrize(
    ("direction", "side"), [(LPS, ("inferior",)), (RAI, ("superior",)), (ASR, ("left",))], ids=["LPS", "RAI", "ASR"]
)
def test_the_side_of_a_cut_is_the_patients(direction: tuple[float, ...], side: tuple[str, ...]) -> None:
    found = check_plausibility(_mask((slice(0, 16), slice(5, 9), slice(5, 9))), _geometry(direction))
    assert found.cut == side
    assert found.warnings == (f"cut by the field of view ({side[0]})",)


def test_a_volume_that_no_femur_has() -> None:
    assert check_plausibility(_mask((slice(5, 8), slice(5, 8), slice(5, 8))), _geometry()).warnings == (
        "27 ml; a femur has 100 to 900 ml",
    )
    cut = check_plausibility(_mask((slice(0, 8), slice(5, 8), slice(5, 8))), _geometry())
    assert len(cut.warnings) == 1, "a part of a femur may be small"
