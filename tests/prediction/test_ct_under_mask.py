"""HU under a mask: samples of a CT, and masks at the right and at wrong places of hand-made bones."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.prediction.ct_under_mask import CtSample, check_hu, hu_under_mask

SHAPE = (60, 40, 40)
BONE = (slice(10, 50), slice(14, 26), slice(14, 26))
MARROW = (slice(12, 48), slice(16, 24), slice(16, 24))


def _ct() -> np.ndarray:
    """A bone with 700 HU in its two outer layers and marrow of -50 HU, in muscle of 50 HU and air."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 4:36, 4:36] = 50
    hu[BONE] = 700
    hu[MARROW] = -50
    return hu


def _mask(by: tuple[int, int, int] = (0, 0, 0), grown: int = 0) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[tuple(slice(each.start + k - grown, each.stop + k + grown) for each, k in zip(BONE, by, strict=True))] = 1
    return mask


def _codes(mask: np.ndarray, *, most: int = 8_000_000) -> list[str]:
    return [found.code for found in check_hu(CtSample.of(_ct(), (1.0, 1.0, 1.0), most=most), mask, "L001")]


class TestSample:
    def test_keeps_all_voxels_of_a_small_ct(self) -> None:
        sample = CtSample.of(_ct(), (1.0, 1.0, 1.0))
        assert sample.steps_zyx == (1, 1, 1)
        assert np.array_equal(sample.hu_zyx, _ct())

    def test_skips_voxels_of_the_finest_axes_first(self) -> None:
        sample = CtSample.of(np.zeros((40, 40, 40), np.int16), (3.0, 1.0, 1.0), most=16_000)
        assert sample.steps_zyx == (1, 2, 2)
        assert sample.hu_zyx.shape == (40, 20, 20)

    def test_is_a_copy(self) -> None:
        ct = _ct()
        sample = CtSample.of(ct, (1.0, 1.0, 1.0), most=ct.size // 4)
        assert not np.shares_memory(sample.hu_zyx, ct)
        assert sample.hu_zyx.flags.owndata, "a view would keep the whole CT in memory"
        assert sample.hu_zyx.size <= ct.size // 4


class TestHuUnderMask:
    def test_by_hand(self) -> None:
        found = hu_under_mask(CtSample.of(_ct(), (1.0, 1.0, 1.0)), _mask())
        assert (found.surface_median_hu, found.beside_median_hu, found.surface_bone, found.outside) == (700, 50, 1, 0)
        # 36 x 8 x 8 = 2304 of 40 x 12 x 12 = 5760 voxels are marrow: the median is cortex.
        assert found.median_hu == 700

    def test_a_layer_is_a_millimetre_thick(self) -> None:
        # Voxels of 0.5 mm: the layer has two voxels, and the marrow's first one is the third.
        found = hu_under_mask(CtSample.of(_ct(), (0.5, 0.5, 0.5)), _mask(grown=-1))
        assert found.surface_bone == pytest.approx(0.5, abs=0.15), "one layer of cortex, one of marrow"

    def test_a_sample_gives_about_the_same(self) -> None:
        whole, part = (
            hu_under_mask(CtSample.of(_ct(), (1.0, 1.0, 1.0), most=most), _mask((0, 6, 0))) for most in (10**6, 25_000)
        )
        assert part.surface_bone == pytest.approx(whole.surface_bone, abs=0.1)

    def test_the_border_of_the_volume_is_no_surface(self) -> None:
        sample = CtSample.of(_ct()[20:40], (1.0, 1.0, 1.0))
        assert hu_under_mask(sample, _mask()[20:40]).surface_bone == 1

    def test_nothing_without_enough_voxels(self) -> None:
        sample = CtSample.of(_ct(), (1.0, 1.0, 1.0))
        assert hu_under_mask(sample, np.zeros(SHAPE, np.uint8)) is None
        assert hu_under_mask(sample, np.eye(60, 1600, dtype=np.uint8).reshape(60, 40, 40)) is None


class TestCheckHu:
    def test_a_correct_mask(self) -> None:
        assert _codes(_mask()) == []

    @pytest.mark.parametrize("by", [(0, 8, 0), (0, -8, 0), (0, 0, 8), (9, 0, 0), (-9, 0, 0)])
    def test_a_shifted_mask(self, by: tuple[int, int, int]) -> None:
        assert _codes(_mask(by)) == ["surface-off-bone"]

    def test_a_mask_in_air(self) -> None:
        assert _codes(_mask((0, 13, 0))) == ["air-inside", "surface-off-bone"]

    def test_a_mask_that_is_too_large_or_too_small(self) -> None:
        assert _codes(_mask(grown=2)) == ["surface-off-bone"]
        assert _codes(_mask(grown=-1)) == ["bone-beside"]

    def test_also_in_a_sample(self) -> None:
        assert _codes(_mask(), most=25_000) == []
        assert _codes(_mask((0, 8, 0)), most=25_000) == ["surface-off-bone"]
