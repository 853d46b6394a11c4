"""The scale of a CT's values: legs drawn by hand, and what exports make of them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.hounsfield import hounsfield, image_findings
from nnunet_femur.imaging.image_facts import METAL_HU

SHAPE = (30, 48, 48)
AIR, FAT, MUSCLE, MARROW, BONE = -1000, -100, 55, -40, 1100


def _leg(*, seed: int = 0, noise_hu: float = 12.0) -> np.ndarray:
    """A leg in air: fat around muscle around a bone that contains marrow, along z; HU."""
    z, y, x = np.indices(SHAPE)
    radius = np.hypot(y - 23.5 + np.sin(z), x - 23.5 + np.cos(z))
    hu = np.select([radius < 3, radius < 5.5, radius < 14, radius < 19], [MARROW, BONE, MUSCLE, FAT], AIR).astype(float)
    rng = np.random.default_rng(seed)
    hu += np.where(hu == BONE, rng.normal(0, 20 * noise_hu, SHAPE), 0)
    hu = scipy.ndimage.gaussian_filter(hu, (0, 0.7, 0.7)) + rng.normal(0, noise_hu, SHAPE)
    return np.clip(np.rint(hu), -1100, 3071).astype(np.int16)


def _padded(values: np.ndarray, value: int) -> np.ndarray:
    """Padding outside the scanner's round field of view: everything beyond the circle that touches the sides."""
    padded = values.copy()
    _, y, x = np.indices(SHAPE)
    padded[np.hypot(y - 23.5, x - 23.5) > 24] = value
    return padded


OUTSIDE = int(np.count_nonzero(np.hypot(*(np.indices((48, 48)) - 23.5)) > 24)) * 30


def _codes(values: np.ndarray, *, severity: Severity | None = None) -> set[str]:
    found = image_findings(np.ascontiguousarray(values), "ct.nrrd", voxel_volume_ml=0.01)
    return {each.code for each in found if each.severity in ((severity,) if severity else (*Severity,))}


def _doubts(values: np.ndarray) -> set[str]:
    return _codes(values) - {"padding", "image-rounded"}


def _counted(values: np.ndarray):
    return hounsfield(values, padding_hu=-1000, voxel_volume_ml=0.01)[1]


def _spin_echo(hu: np.ndarray) -> np.ndarray:
    """Fat bright, muscle grey, bone and air dark, with the noise of a magnitude image."""
    signal = np.select([hu < -500, hu < -10, hu < 500], [0, 900, 300], 40)
    return np.abs(signal + np.random.default_rng(1).normal(0, 12, hu.shape))


class TestPlausible:
    def test_a_leg_has_no_finding(self):
        assert _codes(_leg()) == set()

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
    def test_a_leg_in_other_circumstances_is_believed(self, change):
        assert _doubts(change(_leg())) <= {"metal"}

    def test_a_few_voxels_are_not_judged(self):
        hu = np.random.default_rng(0).integers(-900, 1500, (9, 10, 11)).astype(np.int16)
        assert _codes(hu) == set()


class TestScale:
    @pytest.mark.parametrize("offset", [1000, 1024])
    @pytest.mark.parametrize("padding", [None, 0, -2000, -1024, -3024, -32768, 32767])
    def test_raw_values(self, offset, padding):
        raw = _leg() + np.int16(offset)
        raw = raw if padding is None else _padded(raw, padding)
        assert _codes(raw, severity=Severity.ERROR) == {"image-positive"}

    def test_raw_values_without_any_air(self):
        raw = (_leg() + np.int16(1024))[:, 9:39, 9:39].repeat(2, axis=0)
        assert _codes(raw, severity=Severity.ERROR) == {"image-positive"}

    @pytest.mark.parametrize("offset", [1000, 1024])
    @pytest.mark.parametrize("padding", [None, -1024])
    def test_an_offset_that_was_applied_twice(self, offset, padding):
        shifted = _leg() - np.int16(offset)
        shifted = shifted if padding is None else _padded(shifted, padding)
        assert _codes(shifted, severity=Severity.ERROR) == {"image-below-air"}

    def test_noise_in_the_padding_is_not_an_offset(self):
        hu = _padded(_leg(), -2000)
        hu[hu == -2000] += np.random.default_rng(1).integers(-3, 4, OUTSIDE).astype(np.int16)
        assert _codes(hu, severity=Severity.ERROR) == set()

    @pytest.mark.parametrize(
        ("code", "export"),
        [
            ("image-8bit", lambda hu: ((np.clip(hu, -200, 800) + 200.0) / 1000 * 255).astype(np.uint8)),
            ("image-8bit", lambda hu: _padded(((np.clip(hu, -200, 800) + 200.0) / 1000 * 255).astype(np.int16), -1024)),
            ("image-normalised", lambda hu: (np.clip(hu, -200, 800) + 200) / 1000),
            ("image-normalised", lambda hu: _padded((np.clip(hu, -200, 800) + 200) / 1000, -1024)),
            ("image-normalised", lambda hu: np.maximum(0, 0.19 * (1 + hu / 1000))),  # attenuation per cm
            ("image-positive", lambda hu: np.maximum(0, 190 * (1 + hu / 1000))),  # attenuation per km
            ("image-positive", lambda hu: np.maximum(hu, 0)),
            ("image-constant", lambda hu: np.full(SHAPE, -1024, np.int16)),
            ("image-positive", lambda hu: _spin_echo(hu).astype(np.uint16)),
            ("image-positive", lambda hu: _padded(_spin_echo(hu).astype(np.int16), -32768)),
            ("not-finite", lambda hu: np.where(hu > 900, np.nan, hu)),
        ],
    )
    def test_what_is_not_in_hu_is_refused(self, code, export):
        assert _codes(export(_leg()), severity=Severity.ERROR) == {code}

    @pytest.mark.parametrize(
        ("code", "export"),
        [
            ("image-air", lambda hu: hu + np.int16(150)),
            ("image-air", lambda hu: hu // 2),
            ("image-tissue", lambda hu: np.maximum(hu, -1024) + np.int16(300)),
            ("image-range", lambda hu: _spin_echo(hu).astype(np.int16) - np.int16(1024)),
            ("image-tissue", lambda hu: _spin_echo(hu).astype(np.int16) * 2 - np.int16(1024)),
        ],
    )
    def test_a_shifted_scale_is_named(self, code, export):
        assert code in _codes(export(_leg()), severity=Severity.WARNING)

    @pytest.mark.parametrize("window", [(-200, 800), (-160, 240), (-250, 1300), (-1024, 400), (-500, 900)])
    @pytest.mark.parametrize("padding", [None, -2000])
    def test_a_window_is_named(self, window, padding):
        cut = np.clip(_leg(), *window)
        cut = cut if padding is None else _padded(cut, padding)
        (found,) = (each for each in image_findings(cut, "ct.nrrd", voxel_volume_ml=0.01) if "window" in each.code)
        for end in window:
            if end > -1000 and end < 1200:
                assert str(end) in found.problem


class TestPadding:
    @pytest.mark.parametrize(
        "value", [-8192, -32768, -3024, -2048, -2000, -1500, -1234, -1024, -500, 0, 3071, 4095, 32767]
    )
    def test_any_value_at_the_border(self, value):
        hu = np.maximum(_leg(), -1020)
        facts = _counted(_padded(hu, value))
        counts = dict(facts.padding.counts)
        inside = 0 if value < -1024 or value > 2000 else np.count_nonzero(hu == value)
        assert OUTSIDE <= counts.pop(value) <= OUTSIDE + inside
        assert _doubts(_padded(hu, value)) == set()

    def test_a_value_of_tissue_is_padding_at_the_border_only(self):
        hu = _padded(_leg(), 0)
        padding = _counted(hu).padding
        assert padding.everywhere == ()
        assert padding.region_zyx is not None
        inside = (hu == 0) & ~padding.region_zyx
        assert np.count_nonzero(inside) == np.count_nonzero((_leg() == 0) & (hu == _leg()))
        bone = np.zeros(SHAPE, bool)
        bone[:, :9, :9] = True
        assert padding.within(hu, bone) == np.count_nonzero(hu[:, :9, :9] == 0)

    @pytest.mark.parametrize(
        "hu",
        [
            _leg(),
            np.clip(_leg(), -200, 800),
            np.where(_leg(noise_hu=1e-6) == MUSCLE, MUSCLE, _leg()),  # tissue without noise
            _leg() // 10 * 10,
        ],
    )
    def test_measured_values_are_not_padding(self, hu):
        assert {value for value, _ in _counted(hu.astype(np.int16)).padding.counts} <= {-1024}

    def test_padding_is_neither_metal_nor_the_range(self):
        facts = _counted(_padded(_leg(), 32767))
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
        hu = self._nail(_leg(), metal_hu)
        clipped = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
        assert _doubts(clipped) == {"metal"}
        wrapped = ((np.rint(hu).astype(int) + 1024) % 4096 - 1024).astype(np.int16)
        assert "image-wrapped" in _codes(wrapped, severity=Severity.WARNING)

    def test_a_canal_in_a_nail_is_not_wrapped(self):
        hu = np.clip(self._nail(_leg(), 3500), -1024, 3071).astype(np.int16)
        hu[:, 23:25, 23:25] = -100
        assert "image-wrapped" not in _codes(hu)
