"""Real CTs: two volumes of the shared folder and its sample of TotalSegmentator's dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.imaging.geometry import Geometry


def _run(root: Path, case: Case):
    voxels = read_case(root, case)
    return voxels, {finding.code for finding in [*check_headers(root, case), *voxels.findings]}


def _same_place(voxels, path: Path) -> None:
    """Every voxel of the source is in its place in what is written, one in ten along each axis."""
    source = sitk.ReadImage(str(path))
    for index in np.ndindex(*(n // 10 for n in source.GetSize())):
        point = source.TransformIndexToPhysicalPoint([10 * i for i in index])
        assert voxels.image[voxels.image.TransformPhysicalPointToIndex(point)] == source[[10 * i for i in index]]


def test_hips(shared):
    case = Case("HIPS", "1", "both", Path("hips_ct.nrrd"), (Path("hips_femurs_by_totalsegmentator.nrrd"),))
    voxels, codes = _run(shared / "ct", case)
    assert codes == {"image-direction", "metal", "mask-border", "mask-components"}
    assert voxels.volume_ml == pytest.approx(8884 * 0.027)
    _same_place(voxels, shared / "ct/hips_ct.nrrd")


def test_thigh(shared, tmp_path):
    """It has no mask: a bone threshold replaces it, on another grid."""
    image = sitk.ReadImage(str(shared / "ct/thigh_ct.nrrd"))
    bone = sitk.Resample(sitk.Cast(image > 300, sitk.sitkUInt8), image.GetSize(), outputSpacing=(1.7, 1.7, 3.1))
    bone.SetOrigin(image.GetOrigin())
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(sitk.Cast(image > 300, sitk.sitkUInt8), str(tmp_path / "bone.nrrd"))
    voxels, codes = _run(tmp_path, Case("THIGH", "1", "right", Path("ct.nrrd"), (Path("bone.nrrd"),)))
    assert "padding" not in codes
    assert "mask-components" in codes
    assert Geometry.of(voxels.image).direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    _same_place(voxels, shared / "ct/thigh_ct.nrrd")


def test_a_subject_of_totalsegmentator(shared):
    found = find_cases(shared / "ct/totalsegmentator_dataset", ConversionOptions())
    voxels, codes = _run(found.root, found.cases[0])
    assert codes == {"image-direction", "metal", "mask-border"}
    assert voxels.volume_ml == pytest.approx(121.176 + 118.692)
    _same_place(voxels, found.root / found.cases[0].image)
