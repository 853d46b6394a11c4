"""A CT as NIfTI and its labels back, against SimpleITK's own NIfTI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.baselines.oriented_ct import OrientedCt, affine_of, geometry_of, write_back, write_stored
from nnunet_femur.imaging.geometry import Geometry

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = ("LPS", "RAS", "ASR", "PIL")


def _ct(order: str, *, tilted: bool = True, dtype: type = np.int16) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype))
    image.SetSpacing((1.1, 2.3, 3.7))
    image.SetOrigin((10.123456789, -2000.987654321, 30.0))
    image = sitk.DICOMOrient(image, order)
    if tilted:
        tilt = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.15).GetMatrix(), (3, 3))
        image.SetDirection((tilt @ np.reshape(image.GetDirection(), (3, 3))).ravel())
    return image


def _written(image: sitk.Image, folder: Path) -> tuple[Path, Geometry]:
    sitk.WriteImage(image, str(folder / "ct.nrrd"))
    return folder / "ct.nii", write_stored(OrientedCt.read(folder / "ct.nrrd"), folder / "ct.nii")


def _close(one: Geometry, other: Geometry, tolerance: float) -> bool:
    return not one.differences(other, tolerance_voxels=tolerance)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tilted", [False, True])
def test_is_what_simpleitk_writes(order: str, tilted: bool, tmp_path: Path) -> None:
    image = _ct(order, tilted=tilted)
    nifti, stored = _written(image, tmp_path)
    assert _close(stored, Geometry.of(image), 1e-9)
    sitk.WriteImage(image, str(tmp_path / "expected.nii"))
    expected, found = (nibabel.load(tmp_path / name) for name in ("expected.nii", "ct.nii"))
    np.testing.assert_array_equal(found.get_fdata(), expected.get_fdata())
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    np.testing.assert_allclose(found.get_qform(), found.get_sform(), atol=1e-4)
    read = sitk.ReadImage(str(nifti))
    assert _close(Geometry.of(read), Geometry.of(image), 1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_values_are_kept(dtype: type, tmp_path: Path) -> None:
    nifti, _ = _written(_ct("LPS", dtype=dtype), tmp_path)
    expected = np.arange(4 * 5 * 6).reshape(4, 5, 6).transpose(2, 1, 0)
    np.testing.assert_array_equal(nibabel.load(nifti).get_fdata(), expected)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_labels_come_back_onto_the_cts_own_grid(order: str, ending: str, tmp_path: Path) -> None:
    image = _ct(order)
    nifti, stored = _written(image, tmp_path)
    ct = nibabel.load(nifti)
    labels = (ct.get_fdata() % 7).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, ct.affine), tmp_path / "labels.nii.gz")
    write_back(tmp_path / "labels.nii.gz", stored, tmp_path / f"labels{ending}")
    found = sitk.ReadImage(str(tmp_path / f"labels{ending}"))
    # Much closer than the rounding of NIfTI's affine, which is 1e-4 mm at this origin.
    assert _close(Geometry.of(found), Geometry.of(image), 1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image) % 7)
    assert found.GetPixelID() == sitk.sitkUInt8


@pytest.mark.parametrize("shape", [(3, 3, 2), (6, 5, 4)])
def test_labels_on_another_grid_keep_it(shape: tuple[int, ...], tmp_path: Path) -> None:
    """As those of --save_lowres, also where they have as many voxels as the CT."""
    _, stored = _written(_ct("PIL"), tmp_path)
    affine = affine_of(stored) @ np.diag([2.0, 2.0, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), affine), tmp_path / "labels.nii.gz")
    write_back(tmp_path / "labels.nii.gz", stored, tmp_path / "labels.nrrd")
    found = Geometry.of(sitk.ReadImage(str(tmp_path / "labels.nrrd")))
    expected = Geometry.of(sitk.ReadImage(str(tmp_path / "labels.nii.gz")))
    assert found.size_xyz == shape
    assert _close(found, expected, 1e-3)


def test_affine_and_geometry_are_inverse() -> None:
    geometry = Geometry.of(_ct("ASR"))
    assert _close(geometry_of(affine_of(geometry), geometry.size_xyz), geometry, 1e-9)
