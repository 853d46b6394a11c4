"""What is written is what ITK reads."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.errors import SetupError
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.writing import write_nrrd

OBLIQUE = Geometry((7, 6, 5), (0.7, 0.81, 2.03), (-10.1, 20.5, -300.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
RAS = Geometry((7, 6, 5), (0.7, 1 / 3, 2.0), (0.1, 0.2, 0.3), (-1, 0, 0, 0, -1, 0, 0, 0, 1))


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
@pytest.mark.parametrize("geometry", [OBLIQUE, RAS])
def test_it_comes_back(tmp_path, dtype, geometry):
    array = np.random.default_rng(0).integers(0, 200, geometry.shape_zyx).astype(dtype)
    path = tmp_path / "volume.nrrd"
    digest = write_nrrd(array, geometry, path)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    assert Geometry.of(image).differences(geometry, tolerance_voxels=1e-14) == []
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_as_itk_would_write_it_but_for_the_packing(tmp_path):
    image = sitk.GetImageFromArray(np.arange(210, dtype=np.int16).reshape(5, 6, 7))
    image.SetSpacing((0.7, 0.81, 2.03))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "itk.nrrd"), True)
    write_nrrd(sitk.GetArrayViewFromImage(image), Geometry.of(image), tmp_path / "ours.nrrd")
    (theirs, their_voxels), (ours, our_voxels) = (
        (tmp_path / name).read_bytes().split(b"\n\n", 1) for name in ("itk.nrrd", "ours.nrrd")
    )
    assert [line for line in theirs.splitlines() if not line.startswith(b"#")] == ours.splitlines()
    assert gzip.decompress(their_voxels) == gzip.decompress(our_voxels)


def test_it_names_no_file_and_no_time(tmp_path):
    array = np.zeros(RAS.shape_zyx, np.uint8)
    assert write_nrrd(array, RAS, tmp_path / "a.nrrd") == write_nrrd(array, RAS, tmp_path / "b.nrrd")


def test_views_in_any_order_are_written(tmp_path):
    array = np.arange(210, dtype=np.int16).reshape(5, 6, 7)[::-1, :, ::-1]
    write_nrrd(array, RAS, tmp_path / "a.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), array)


def test_larger_than_one_block(tmp_path):
    array = np.random.default_rng(0).integers(-1000, 1000, (40, 300, 300)).astype(np.int16)
    write_nrrd(array, Geometry((300, 300, 40), (1, 1, 1), (0, 0, 0), RAS.direction), tmp_path / "a.nrrd")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), array)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(SetupError, match="cannot be written"):
        write_nrrd(np.zeros(RAS.shape_zyx, np.uint8), RAS, tmp_path / "nowhere" / "a.nrrd")
