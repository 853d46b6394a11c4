"""Measurements of the femurs of a mask, by a function in place of the measuring engine."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.comparison.clinical.measured_masks import (
    NOTHING,
    CaseMasks,
    failed,
    is_lasting,
    measure_femurs,
    measure_masks,
)
from nnunet_femur.evaluation import Scoring, read_mask
from tests.comparison.conftest import bone, ct_of, write
from tests.comparison.made import by_box


@pytest.fixture
def mask(tmp_path):
    return read_mask(write(tmp_path / "L1.nrrd", bone()))


class TestFemurs:
    def test_values_centre_and_reasons(self, mask):
        (found,) = measure_femurs(mask, engine=by_box)
        # Slices 2 to 5, rows 3 to 6, columns 4 to 7 of 5 x 2 x 2 mm.
        assert found.center_mm == pytest.approx((11.0, 9.0, 17.5))
        assert found.values["head_center_mm_lps"] == pytest.approx((11.0, 9.0, 17.5))
        assert found.values["volume_ml"] == pytest.approx(64 * 0.02)
        assert found.reason("mldfa_deg") == "distal-end-missing"
        assert found.reason("hu_mean") == "no-ct"
        assert found.reason("volume_ml") == ""

    def test_both_legs(self, tmp_path):
        voxels = np.zeros((20, 9, 40), np.uint8)
        voxels[2:18, 3:6, 4:8] = voxels[2:18, 3:6, 30:35] = 1
        found = measure_femurs(read_mask(write(tmp_path / "B1.nrrd", voxels)), engine=by_box)
        assert sorted(round(one.values["volume_ml"], 3) for one in found) == [16 * 3 * 4 * 0.02, 16 * 3 * 5 * 0.02]

    def test_an_empty_mask(self, tmp_path):
        mask = read_mask(write(tmp_path / "L1.nrrd", bone() * 0))
        (found,) = measure_femurs(mask, engine=by_box)
        assert (found.center_mm, found.values) == (None, {})
        assert found.reason("volume_ml") == "empty-mask"


class TestCases:
    def _case(self, tmp_path, **changes) -> CaseMasks:
        reference = write(tmp_path / "reference" / "L1.nrrd", bone())
        masks = (reference, write(tmp_path / "A" / "L1.nrrd", bone(1)))
        return CaseMasks(**({"reference": reference, "masks": masks, "ct": None, "scoring": Scoring()} | changes))

    def test_axes_of_files_do_not_matter(self, tmp_path):
        case = self._case(tmp_path)
        image = sitk.ReadImage(str(case.masks[1]))
        sitk.WriteImage(sitk.DICOMOrient(image, "SAR"), str(case.masks[1]))
        (reference,), (prediction,) = measure_masks(case, by_box)
        points = [np.array(one.values["head_center_mm_lps"]) for one in (reference, prediction)]
        assert points[1] - points[0] == pytest.approx((0, 0, 5))

    def test_the_ct_of_the_case(self, tmp_path):
        hu = ct_of(bone())
        ct = write(tmp_path / "ct.nrrd", hu)
        (reference,), (prediction,) = measure_masks(self._case(tmp_path, ct=ct), by_box)
        found = [one.values["hu_mean"] for one in (reference, prediction)]
        assert found == pytest.approx([hu[bone(shift) > 0].mean() for shift in (0, 1)])
        ct.write_bytes(b"NRRD")
        (reference,), _ = measure_masks(self._case(tmp_path, ct=ct), by_box)
        assert reference.reason("hu_mean") == "ct-unreadable"

    def test_an_error_of_the_ct_leaves_the_shape(self, tmp_path, monkeypatch):
        ct = write(tmp_path / "ct.nrrd", ct_of(bone()))
        case = self._case(tmp_path, ct=ct)
        for place, code in (
            ("nnunet_femur.comparison.clinical.case_ct.find_unmeasured", "measuring-failed"),
            ("nnunet_femur.comparison.clinical.case_ct.read_ct_like", "ct-unreadable"),
        ):
            monkeypatch.setattr(place, lambda *_: 1 / 0)
            for (one,) in measure_masks(case, by_box):
                assert (one.reason("hu_mean"), one.reason("volume_ml")) == (code, "")
                assert not is_lasting((one,))

    def test_an_error_of_one_mask_does_not_stop_the_others(self, tmp_path):
        case = self._case(tmp_path)
        case.masks[1].write_bytes(b"NRRD")
        reference, prediction = measure_masks(case, by_box)
        assert reference != NOTHING
        assert prediction == NOTHING
        assert prediction[0].reason("volume_ml") == "measuring-failed"
        assert failed(case) == [NOTHING, NOTHING]
