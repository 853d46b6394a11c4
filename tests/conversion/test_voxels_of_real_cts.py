"""Real CTs: two volumes of the shared folder and its sample of TotalSegmentator's dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

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


def _rough_femur(image: sitk.Image) -> sitk.Image:
    """Return a rough mask of the thigh CT: a flood over bone from head and shaft, up to pelvis and patella."""
    hu = ndimage.gaussian_filter(sitk.GetArrayFromImage(image).astype(float), 0.5)
    z, y, x = np.indices(hu.shape)
    from_head_mm = np.sqrt((3 * (z - 21.5)) ** 2 + (1.7 * (y - 60)) ** 2 + (1.7 * (x - 29)) ** 2)
    bone = np.stack([ndimage.binary_fill_holes(ndimage.binary_closing(plane)) for plane in hu > 170])
    markers = np.zeros(hu.shape, np.uint8)
    markers[bone & (z > 55) & (z < 138) & ndimage.binary_erosion(bone, iterations=2)] = 1
    pelvis = ((z < 45) & (x < 24) & (y > 48) & (from_head_mm > 28)) | ((z < 22) & (from_head_mm > 29))
    patella = (z > 138) & (z < 162) & (y < 29)
    markers[(hu > 170) & (pelvis | patella)] = 2
    markers[(hu < 60) & (from_head_mm > 26) & ~ndimage.binary_dilation(bone, iterations=2)] = 3
    markers[from_head_mm < 23] = 1
    flood = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(-hu), sitk.GetImageFromArray(markers), markWatershedLine=False
    )
    femur = (sitk.GetArrayFromImage(flood) == 1) & (bone | (from_head_mm < 23))
    disk = np.hypot(*np.ogrid[-4:5, -4:5]) <= 4
    closed = [ndimage.binary_fill_holes(ndimage.binary_closing(plane, disk)) for plane in femur[:45]]
    femur = ndimage.binary_opening(np.concatenate([closed, femur[45:]]))
    labels, _ = ndimage.label(femur)
    mask = sitk.GetImageFromArray((labels == np.bincount(labels.ravel())[1:].argmax() + 1).astype(np.uint8))
    mask.CopyInformation(image)
    return mask


@pytest.mark.parametrize(("side", "more"), [("right", set()), ("left", {"side-contradiction"})])
def test_the_thigh_is_upside_down(shared, tmp_path, side, more):
    """Its header is turned by 180 degrees: the hip is at low z. The bone is a right femur."""
    image = sitk.ReadImage(str(shared / "ct/thigh_ct.nrrd"))
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(_rough_femur(image), str(tmp_path / "femur.nrrd"))
    _, codes = _run(tmp_path, Case("THIGH", "1", side, Path("ct.nrrd"), (Path("femur.nrrd"),)))
    assert codes & {"upside-down", "back-to-front", "side-contradiction"} == {"upside-down", *more}


def test_a_subject_of_totalsegmentator(shared):
    found = find_cases(shared / "ct/totalsegmentator_dataset", ConversionOptions())
    voxels, codes = _run(found.root, found.cases[0])
    assert codes == {"image-direction", "metal", "mask-border"}
    assert voxels.volume_ml == pytest.approx(121.176 + 118.692)
    _same_place(voxels, found.root / found.cases[0].image)
