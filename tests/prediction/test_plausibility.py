"""Verdicts on hand-made masks."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.prediction.plausibility import judge

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
    verdict = judge(_mask(WHOLE), _geometry())
    assert (verdict.volume_ml, verdict.pieces, verdict.cut, verdict.warnings) == (256.0, 1, (), ())


def test_nothing_is_no_femur() -> None:
    verdict = judge(_mask(), _geometry())
    assert (verdict.volume_ml, verdict.pieces) == (0.0, 0)
    assert "empty" in verdict.warnings[0]


def test_pieces_are_told_with_their_volumes() -> None:
    verdict = judge(_mask(WHOLE, (slice(2, 5), slice(15, 17), slice(15, 17))), _geometry())
    assert verdict.pieces == 2
    assert verdict.warnings == ("2 pieces of 256.0, 12.0 ml",)


def test_crumbs_are_no_pieces() -> None:
    small = Geometry((20, 20, 20), (5.0, 9.0, 9.0), (0.0, 0.0, 0.0), LPS)
    mask = _mask(WHOLE, (slice(2, 3), slice(15, 16), slice(15, 16)))
    verdict = judge(mask, small)
    assert verdict.pieces == 1
    assert "1 crumb(s)" in verdict.warnings[0]


@pytest.mark.parametrize(
    ("direction", "side"), [(LPS, ("inferior",)), (RAI, ("superior",)), (ASR, ("left",))], ids=["LPS", "RAI", "ASR"]
)
def test_the_side_of_a_cut_is_the_patients(direction: tuple[float, ...], side: tuple[str, ...]) -> None:
    verdict = judge(_mask((slice(0, 16), slice(5, 9), slice(5, 9))), _geometry(direction))
    assert verdict.cut == side
    assert verdict.warnings == (f"cut by the field of view ({side[0]})",)


def test_a_volume_that_no_femur_has() -> None:
    assert judge(_mask((slice(5, 8), slice(5, 8), slice(5, 8))), _geometry()).warnings == (
        "27 ml, where a femur has 100 to 900",
    )
    cut = judge(_mask((slice(0, 8), slice(5, 8), slice(5, 8))), _geometry())
    assert len(cut.warnings) == 1, "a part of a femur may be small"
