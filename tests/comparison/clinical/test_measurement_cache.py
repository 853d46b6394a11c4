"""The cache of measurements: what is kept, and the keys."""

import pytest

from nnunet_femur.comparison.clinical.measured_masks import MeasuredFemur
from nnunet_femur.comparison.clinical.measurement_cache import CACHE_FILE, MeasurementCache, measurement_key
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.evaluation import Scoring, find_policy
from tests.comparison.conftest import bone, write
from tests.comparison.made import femur

MASK = (
    femur("left", (1.5, -2.25, 3.0), volume_ml=512.123456789, head_center_mm_lps=(0.1, 0.2, 0.3)),
    MeasuredFemur("unknown", None),
)


def test_kept_as_they_are(tmp_path):
    cache = MeasurementCache()
    cache.put("a", MASK)
    cache.put(None, MASK)
    cache.write(tmp_path)
    read = MeasurementCache.read(tmp_path)
    assert read.kept == {"a": MASK}
    assert (read.get("a"), read.get("b"), read.get(None)) == (MASK, None, None)


def test_only_what_was_used_is_kept(tmp_path):
    MeasurementCache({"old": MASK}).write(tmp_path)
    assert MeasurementCache.read(tmp_path).kept == {}


@pytest.mark.parametrize("text", ["", "{", '{"key": "a"}\n', '{"key": "a", "femurs": [{"side": 1}]}\n', "[]\n"])
def test_a_damaged_cache_is_empty(tmp_path, text):
    (tmp_path / CACHE_FILE).write_text(text)
    assert MeasurementCache.read(tmp_path).kept == {}
    assert MeasurementCache.read(tmp_path / "absent").kept == {}


class TestKey:
    @pytest.fixture
    def masks(self, tmp_path):
        return [write(tmp_path / f"{name}.nrrd", bone(shift)) for name, shift in (("a", 0), ("b", 1), ("same", 1))]

    def _key(self, mask, reference, *, ct=None, scoring=None):
        return measurement_key(ScoreCache(), mask, reference=reference, ct=ct, scoring=scoring or Scoring())

    def test_equal_masks_are_measured_once(self, masks):
        reference, mask, same = masks
        assert self._key(mask, reference) == self._key(same, reference)

    def test_everything_that_decides_is_in_it(self, masks, tmp_path):
        reference, mask, _ = masks
        ct = write(tmp_path / "ct.nrrd", bone() * 2)
        keys = {
            self._key(mask, reference),
            self._key(reference, reference),
            self._key(mask, mask),
            self._key(mask, reference, ct=ct),
            self._key(mask, reference, scoring=Scoring(labels=(2,))),
            self._key(mask, reference, scoring=Scoring(segments=("femur",))),
        }
        assert len(keys) == 6
        assert None not in keys

    def test_the_policy_for_empty_masks_is_not(self, masks):
        reference, mask, _ = masks
        other = Scoring(find_policy("formula"), slice_surfaces=True)
        assert self._key(mask, reference) == self._key(mask, reference, scoring=other)

    def test_files_without_checksum_have_none(self, masks, tmp_path):
        reference, mask, _ = masks
        assert self._key(mask, reference, ct=tmp_path / "absent.nrrd") is None
