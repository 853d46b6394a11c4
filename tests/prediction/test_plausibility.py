"""Correct and broken masks of phantoms: correct ones have no finding, and broken ones have."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.prediction import Femur
from nnunet_femur.prediction.ct_under_mask import CtSample
from nnunet_femur.prediction.plausibility import check_femurs
from nnunet_femur.testing import make_phantom

SPACING_ZYX = (4.0, 3.0, 3.0)


@cache
def _phantom(seed: int, side: str = "left") -> tuple[np.ndarray, np.ndarray, Geometry]:
    """HU, mask and geometry of a leg with margins of background."""
    phantom = make_phantom(seed, side=side, size_zyx=(136, 66, 66), spacing_mm_zyx=SPACING_ZYX)
    return (
        sitk.GetArrayFromImage(phantom.image),
        sitk.GetArrayFromImage(phantom.mask),
        Geometry.of(phantom.mask),
    )


def _checked(mask: np.ndarray, seed: int = 0, *, with_ct: bool = False) -> Femur:
    hu, _, geometry = _phantom(seed)
    ct = CtSample.of(hu, geometry.spacing_mm_zyx) if with_ct else None
    image = image_of(mask.astype(np.uint8), Geometry(mask.shape[::-1], *_rest(geometry)))
    return Femur.from_mask(image, ct=ct)


def _rest(geometry: Geometry) -> tuple:
    return geometry.spacing_mm_xyz, geometry.origin_mm_xyz, geometry.direction


def _codes(femur: Femur) -> set[str]:
    return {found.code for found in femur.findings}


def _ends(mask: np.ndarray) -> tuple[int, int]:
    levels = np.flatnonzero(mask.any((1, 2)))
    return int(levels[0]), int(levels[-1]) + 1


@pytest.mark.parametrize("seed", range(3))
def test_a_correct_mask(seed: int) -> None:
    femur = _checked(_phantom(seed)[1], seed, with_ct=True)
    assert femur.findings == ()
    assert femur.warnings == ()
    assert femur.review_score == 0.0


class TestOneBone:
    def test_without_its_distal_third(self) -> None:
        mask = _phantom(0)[1].copy()
        first, last = _ends(mask)
        mask[: first + (last - first) // 3] = 0
        assert "end-not-found" in _codes(_checked(mask))

    def test_cut_by_the_field_of_view(self) -> None:
        mask = _phantom(0)[1]
        first, last = _ends(mask)
        assert _codes(_checked(mask[first + (last - first) // 3 :])) == {"cut-by-view"}

    def test_hollow(self) -> None:
        mask = _phantom(0)[1]
        depth = ndimage.distance_transform_edt(mask, sampling=SPACING_ZYX)
        assert "cavities" in _codes(_checked((mask > 0) & (depth < 7)))

    def test_a_ball_is_not_a_femur(self) -> None:
        z, y, x = np.indices((60, 66, 66))
        ball = (16 * (z - 30) ** 2 + 9 * (y - 33) ** 2 + 9 * (x - 33) ** 2) < 40**2
        femur = _checked(ball)
        assert femur.review_score >= 0.5
        assert _codes(femur) & {"head-not-found", "not-one-femur", "end-not-found"}

    def test_an_empty_mask(self) -> None:
        femur = _checked(np.zeros((20, 20, 20)), with_ct=True)
        assert _codes(femur) == {"no-femur"}
        assert femur.review_score == 1.0


class TestUnderTheCt:
    @pytest.mark.parametrize("by_voxels", [(0, 7, 0), (0, 0, -7), (-6, 0, 0)])
    def test_shifted_by_more_than_20_mm(self, by_voxels: tuple[int, int, int]) -> None:
        mask = ndimage.shift(_phantom(0)[1], by_voxels, order=0)
        assert "surface-off-bone" in _codes(_checked(mask, with_ct=True))
        assert "surface-off-bone" not in _codes(_checked(mask))

    def test_eroded(self) -> None:
        assert "bone-beside" in _codes(_checked(ndimage.binary_erosion(_phantom(0)[1]), with_ct=True))


class TestTwoLegs:
    def _both(self, right: int = 0, left: int = 0) -> np.ndarray:
        """Masks of the right and the left femur of two phantoms, beside each other."""
        return np.concatenate([_phantom(right, "right")[1], _phantom(left, "left")[1]], axis=2)

    def test_of_one_person_are_two_femurs_without_findings(self) -> None:
        femur = _checked(self._both())
        assert (femur.pieces, femur.side) == (2, "both")
        assert femur.findings == ()

    def test_of_two_persons(self) -> None:
        # Head radii of 20.8 and 25 mm, lengths of 409 and 460 mm.
        assert _codes(_checked(self._both(3, 4))) == {"legs-differ"}

    def test_that_touch(self) -> None:
        joined = self._both()
        level = sum(_ends(joined)) // 2
        rows = np.argwhere(joined[level])
        row = int(rows[:, 0].mean())
        joined[level - 1 : level + 2, row - 1 : row + 2, rows[:, 1].min() : rows[:, 1].max()] = 1
        assert _checked(joined).review_score >= 0.5

    def test_texts_name_the_side(self) -> None:
        both = self._both()
        both[5, 5, 5] = 1
        (found,) = _checked(both).findings
        assert found.code == "fragments"
        assert found.problem.startswith("right: ")


def test_the_shape_in_coarse_voxels_is_not_checked() -> None:
    mask = np.zeros((24, 12, 12), np.uint8)
    mask[4:20, 4:8, 4:8] = 1
    coarse, fine = (
        Geometry((12, 12, 24), (spacing, spacing, spacing), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        for spacing in (10.0, 5.0)
    )
    femurs = _checked(mask).measurements
    assert check_femurs(mask, coarse, femurs, case="a")[1] == ()
    assert check_femurs(mask, fine, femurs, case="a")[1]


@pytest.mark.parametrize(
    ("place", "codes"),
    [
        ("nnunet_femur.measurement.measuring.measure_mask", {"not-measured"}),
        ("nnunet_femur.prediction.plausibility.check_anatomy", {"not-measured"}),
        ("nnunet_femur.prediction.plausibility.check_hu", {"not-measured"}),
    ],
)
def test_an_unexpected_error_is_a_finding(place: str, codes: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, lambda *_, **__: 1 / 0)
    mask = _phantom(0)[1]
    femur = _checked(mask, with_ct=True)
    assert np.array_equal(sitk.GetArrayFromImage(femur.mask), mask)
    assert _codes(femur) == codes
    assert "Error" in femur.warnings[0]
    assert femur.review_score == 0.5
