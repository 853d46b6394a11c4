"""The scale of a CT's values: legs drawn by hand, and what exports make of them."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.hounsfield import hounsfield, image_findings
from nnunet_femur.imaging.image_facts import METAL_HU
from tests.legs import MUSCLE, SHAPE, leg, padded_with, spin_echo

OUTSIDE = int(np.count_nonzero(np.hypot(*(np.indices((48, 48)) - 23.5)) > 24)) * 30


def _codes(values: np.ndarray, *, severity: Severity | None = None) -> set[str]:
    found = image_findings(np.ascontiguousarray(values), "ct.nrrd", voxel_volume_ml=0.01)
    return {each.code for each in found if each.severity in ((severity,) if severity else (*Severity,))}


def _doubts(values: np.ndarray) -> set[str]:
    return _codes(values) - {"padding", "image-rounded"}


def _counted(values: np.ndarray):
    return hounsfield(values, padding_hu=-1000, voxel_volume_ml=0.01)[1]


class TestPlausible:
    def test_a_leg_has_no_finding(self):
        assert _codes(leg()) == set()

    @pytest.mark.parametrize(
        "change",
        [
            lambda hu: hu[:, 13:35, 13:35].repeat(2, axis=0),  # no air: the box around the bone
            lambda hu: hu[:, 9:39, 9:39].repeat(2, axis=0),
            lambda hu: np.where((hu > 0) & (hu < 200), hu + 120, hu),  # contrast medium
            lambda hu: np.where(hu > 800, 3071, hu),  # metal that ends at the scanner's largest value
            lambda hu: hu // 8 * 8,
            lambda hu: np.maximum(hu, -1000),
            lambda hu: hu.astype(np.float32) + 0.25,
        ],
    )
    def test_unusual_valid_cts_of_a_leg_have_no_error(self, change):
        assert _doubts(change(leg())) <= {"metal"}

    def test_a_few_voxels_are_not_judged(self):
        hu = np.random.default_rng(0).integers(-900, 1500, (9, 10, 11)).astype(np.int16)
        assert _codes(hu) == set()


class TestScale:
    @pytest.mark.parametrize("offset", [1000, 1024])
    @pytest.mark.parametrize("padding", [None, 0, -2000, -1024, -3024, -32768, 32767])
    def test_raw_values(self, offset, padding):
        raw = leg() + np.int16(offset)
        raw = raw if padding is None else padded_with(raw, padding)
        assert _codes(raw, severity=Severity.ERROR) == {"image-positive"}

    def test_raw_values_without_any_air(self):
        raw = (leg() + np.int16(1024))[:, 9:39, 9:39].repeat(2, axis=0)
        assert _codes(raw, severity=Severity.ERROR) == {"image-positive"}

    @pytest.mark.parametrize("offset", [1000, 1024])
    @pytest.mark.parametrize("padding", [None, -1024])
    def test_an_offset_that_was_applied_twice(self, offset, padding):
        shifted = leg() - np.int16(offset)
        shifted = shifted if padding is None else padded_with(shifted, padding)
        assert _codes(shifted, severity=Severity.ERROR) == {"image-below-air"}

    def test_noise_in_the_padding_is_not_an_offset(self):
        hu = padded_with(leg(), -2000)
        hu[hu == -2000] += np.random.default_rng(1).integers(-3, 4, OUTSIDE).astype(np.int16)
        assert _codes(hu, severity=Severity.ERROR) == set()

    @pytest.mark.parametrize(
        ("code", "export"),
        [
            ("image-8bit", lambda hu: ((np.clip(hu, -200, 800) + 200.0) / 1000 * 255).astype(np.uint8)),
            (
                "image-8bit",
                lambda hu: padded_with(((np.clip(hu, -200, 800) + 200.0) / 1000 * 255).astype(np.int16), -1024),
            ),
            ("image-normalised", lambda hu: (np.clip(hu, -200, 800) + 200) / 1000),
            ("image-normalised", lambda hu: padded_with((np.clip(hu, -200, 800) + 200) / 1000, -1024)),
            ("image-normalised", lambda hu: np.maximum(0, 0.19 * (1 + hu / 1000))),  # attenuation per cm
            ("image-positive", lambda hu: np.maximum(0, 190 * (1 + hu / 1000))),  # attenuation per km
            ("image-positive", lambda hu: np.maximum(hu, 0)),
            ("image-constant", lambda hu: np.full(SHAPE, -1024, np.int16)),
            ("image-positive", lambda hu: spin_echo(hu).astype(np.uint16)),
            ("image-positive", lambda hu: padded_with(spin_echo(hu).astype(np.int16), -32768)),
            ("not-finite", lambda hu: np.where(hu > 900, np.nan, hu)),
        ],
    )
    def test_values_that_are_not_hu_are_refused(self, code, export):
        assert _codes(export(leg()), severity=Severity.ERROR) == {code}

    @pytest.mark.parametrize(
        ("code", "export"),
        [
            ("image-air", lambda hu: hu + np.int16(150)),
            ("image-air", lambda hu: hu // 2),
            ("image-tissue", lambda hu: np.maximum(hu, -1024) + np.int16(300)),
            ("image-range", lambda hu: spin_echo(hu).astype(np.int16) - np.int16(1024)),
            ("image-tissue", lambda hu: spin_echo(hu).astype(np.int16) * 2 - np.int16(1024)),
        ],
    )
    def test_a_shifted_scale_is_named(self, code, export):
        assert code in _codes(export(leg()), severity=Severity.WARNING)

    @pytest.mark.parametrize("window", [(-200, 800), (-160, 240), (-250, 1300), (-1024, 400), (-500, 900)])
    @pytest.mark.parametrize("padding", [None, -2000])
    def test_a_window_is_named(self, window, padding):
        cut = np.clip(leg(), *window)
        cut = cut if padding is None else padded_with(cut, padding)
        (found,) = (each for each in image_findings(cut, "ct.nrrd", voxel_volume_ml=0.01) if "window" in each.code)
        for end in window:
            if end > -1000 and end < 1200:
                assert str(end) in found.problem


class TestPadding:
    @pytest.mark.parametrize(
        "value", [-8192, -32768, -3024, -2048, -2000, -1500, -1234, -1024, -500, 0, 3071, 4095, 32767]
    )
    def test_any_value_at_the_border(self, value):
        hu = np.maximum(leg(), -1020)
        facts = _counted(padded_with(hu, value))
        counts = dict(facts.padding.counts)
        inside = 0 if value < -1024 or value > 2000 else np.count_nonzero(hu == value)
        assert OUTSIDE <= counts.pop(value) <= OUTSIDE + inside
        assert _doubts(padded_with(hu, value)) == set()

    def test_a_value_of_tissue_is_padding_at_the_border_only(self):
        hu = padded_with(leg(), 0)
        padding = _counted(hu).padding
        assert padding.everywhere == ()
        assert padding.region_zyx is not None
        inside = (hu == 0) & ~padding.region_zyx
        assert np.count_nonzero(inside) == np.count_nonzero((leg() == 0) & (hu == leg()))
        bone = np.zeros(SHAPE, bool)
        bone[:, :9, :9] = True
        assert padding.within(hu, bone) == np.count_nonzero(hu[:, :9, :9] == 0)

    @pytest.mark.parametrize(
        "hu",
        [
            leg(),
            np.clip(leg(), -200, 800),
            np.where(leg(noise_hu=1e-6) == MUSCLE, MUSCLE, leg()),  # tissue without noise
            leg() // 10 * 10,
        ],
    )
    def test_measured_values_are_not_padding(self, hu):
        assert {value for value, _ in _counted(hu.astype(np.int16)).padding.counts} <= {-1024}

    def test_padding_is_neither_metal_nor_the_range(self):
        facts = _counted(padded_with(leg(), 32767))
        assert facts.metal_ml == 0
        assert facts.measured.limits[1] < METAL_HU


class TestMetal:
    @staticmethod
    def _nail(hu: np.ndarray, metal_hu: int) -> np.ndarray:
        """A solid nail in the bone; its edge takes values in between."""
        _, y, x = np.indices(SHAPE)
        share = np.clip(5.0 - np.hypot(y - 23.5, x - 23.5), 0, 1)
        noise = np.random.default_rng(2).normal(0, 300, SHAPE)
        return hu * (1 - share) + share * (metal_hu + noise)

    @pytest.mark.parametrize("metal_hu", [3500, 8000, 12000])
    def test_values_beyond_12_bits_that_start_again_below(self, metal_hu):
        hu = self._nail(leg(), metal_hu)
        clipped = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
        assert _doubts(clipped) == {"metal"}
        assert "image-wrapped" in _codes(self._wrap(hu), severity=Severity.WARNING)

    @staticmethod
    def _wrap(hu: np.ndarray) -> np.ndarray:
        return ((np.maximum(np.rint(hu), -1024).astype(int) + 1024) % 4096 - 1024).astype(np.int16)

    def test_solid_metal_that_is_dark_inside(self):
        """3600 HU wrap around to -496, so no value of the nail is bright, and its rim is the bone."""
        hu = leg().repeat(2, axis=1).repeat(2, axis=2).astype(float)
        y, x = np.indices(hu.shape[1:]) - 47.5
        hu[:, np.hypot(y, x) < 8] = 3600
        assert "image-wrapped" in _codes(self._wrap(hu), severity=Severity.WARNING)

    def test_a_dark_streak_beside_a_nail_is_not_wrapped(self):
        hu = np.clip(self._nail(leg(), 3500), -1024, 3071).astype(np.int16)
        hu[:, 23, 29:38] = -600
        assert "image-wrapped" not in _codes(hu)

    def test_a_canal_in_a_nail_is_not_wrapped(self):
        hu = np.clip(self._nail(leg(), 3500), -1024, 3071).astype(np.int16)
        hu[:, 23:25, 23:25] = -100
        assert "image-wrapped" not in _codes(hu)
