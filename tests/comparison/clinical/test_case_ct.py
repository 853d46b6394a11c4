"""Mean CT value of a femur: without metal, and with a reason where it is unknown."""

import numpy as np
import pytest

from nnunet_femur.comparison.clinical.case_ct import CaseCt
from nnunet_femur.evaluation import read_mask
from tests.comparison.conftest import ct_of, write


@pytest.fixture
def voxels():
    """A box of 10 x 20 x 20 voxels of 5 x 2 x 2 mm."""
    voxels = np.zeros((20, 40, 40), np.uint8)
    voxels[5:15, 10:30, 10:30] = 1
    return voxels


@pytest.fixture
def mask(tmp_path, voxels):
    return read_mask(write(tmp_path / "L1.nrrd", voxels))


def _ct(tmp_path, voxels, mask):
    hu = ct_of(voxels)
    return hu, CaseCt.read(write(tmp_path / "ct.nrrd", hu), mask)


def test_mean_of_all_voxels(tmp_path, voxels, mask):
    hu, ct = _ct(tmp_path, voxels, mask)
    assert ct.mean_hu(mask.voxels, mask.geometry, "L1") == pytest.approx(hu[voxels > 0].mean())


def test_metal_and_its_margin_are_left_out(tmp_path, voxels, mask):
    hu, _ = _ct(tmp_path, voxels, mask)
    hu[5:7, 10:14, 10:30] = 3071
    found = CaseCt.read(write(tmp_path / "ct.nrrd", hu), mask).mean_hu(mask.voxels, mask.geometry, "L1")
    assert found == pytest.approx(400, abs=5)
    assert hu[voxels > 0].mean() > 500


def test_reasons(tmp_path, voxels, mask):
    hu, ct = _ct(tmp_path, voxels, mask)
    assert CaseCt.read(None, mask).mean_hu(mask.voxels, mask.geometry, "L1") == "no-ct"
    assert ct.mean_hu(mask.voxels[1:], mask.geometry, "L1") == "ct-grid-differs"
    assert ct.mean_hu(mask.voxels & False, mask.geometry, "L1") == "empty-mask"
    other = CaseCt.read(write(tmp_path / "other.nrrd", hu[1:]), mask)
    assert other.mean_hu(mask.voxels, mask.geometry, "L1") == "ct-grid-differs"
    (tmp_path / "ct.nrrd").write_bytes(b"NRRD")
    assert CaseCt.read(tmp_path / "ct.nrrd", mask).reason == "ct-unreadable"


def test_values_that_are_not_hu(tmp_path, voxels, mask):
    ct = CaseCt.read(write(tmp_path / "ct.nrrd", voxels * 7), mask)
    assert ct.ct is None
    assert ct.reason not in {"", "no-ct", "ct-unreadable"}
