"""Written volumes and segmentations are what ITK and 3D Slicer read."""

from __future__ import annotations

import gzip
import hashlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.segments import choose_segments, join_segments, parse_segments
from nnunet_femur.imaging.writing import write_nrrd, write_volume
from nnunet_femur.prediction import Femur
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

OBLIQUE = Geometry((7, 6, 5), (0.7, 0.81, 2.03), (-10.1, 20.5, -300.25), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
RAS = Geometry((7, 6, 5), (0.7, 1 / 3, 2.0), (0.1, 0.2, 0.3), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
ARRAY_ZYX = np.arange(210, dtype=np.int16).reshape(5, 6, 7)
TURNED = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, -0.5, 0.4).GetMatrix()
GEOMETRY = Geometry((6, 5, 4), (0.7, 0.8, 2.0), (-3.0, 4.0, 5.0), TURNED)


def _mask() -> np.ndarray:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 2:4, 0:5] = 1
    return mask


class TestWriteNrrd:
    @pytest.mark.parametrize("dtype", [np.int16, np.uint8])
    @pytest.mark.parametrize("geometry", [OBLIQUE, RAS])
    def test_it_reads_back(self, tmp_path, dtype, geometry):
        array = np.random.default_rng(0).integers(0, 200, geometry.shape_zyx).astype(dtype)
        path = tmp_path / "volume.nrrd"
        digest = write_nrrd(array, geometry, path)
        image = sitk.ReadImage(str(path))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
        assert Geometry.of(image).differences(geometry, tolerance_voxels=1e-14) == []
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_equal_to_a_file_of_itk_except_for_the_compression(self, tmp_path):
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

    def test_it_contains_no_file_name_and_no_time(self, tmp_path):
        array = np.zeros(RAS.shape_zyx, np.uint8)
        assert write_nrrd(array, RAS, tmp_path / "a.nrrd") == write_nrrd(array, RAS, tmp_path / "b.nrrd")

    def test_views_in_any_order_are_written(self, tmp_path):
        array = np.arange(210, dtype=np.int16).reshape(5, 6, 7)[::-1, :, ::-1]
        write_nrrd(array, RAS, tmp_path / "a.nrrd")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), array)

    def test_larger_than_one_block(self, tmp_path):
        array = np.random.default_rng(0).integers(-1000, 1000, (40, 300, 300)).astype(np.int16)
        write_nrrd(array, Geometry((300, 300, 40), (1, 1, 1), (0, 0, 0), RAS.direction), tmp_path / "a.nrrd")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), array)

    def test_a_missing_folder(self, tmp_path):
        with refused("cannot-write", tmp_path / "nowhere" / "a.nrrd"):
            write_nrrd(np.zeros(RAS.shape_zyx, np.uint8), RAS, tmp_path / "nowhere" / "a.nrrd")


class TestWriteVolume:
    def test_the_same_bytes_each_time(self, tmp_path):
        for name in ("a.nrrd", "b.nrrd"):
            write_volume(image_of(ARRAY_ZYX, RAS), tmp_path / name)
        assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()

    @pytest.mark.parametrize("name", ["a.mhd", "a.nhdr", "a.txt", "a"])
    def test_formats_of_two_files_are_refused(self, tmp_path, name):
        with refused("invalid-name", tmp_path / name, ".nrrd"):
            write_volume(image_of(ARRAY_ZYX, RAS), tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to play a full disk")
    def test_a_full_disk_leaves_nothing(self, tmp_path):
        import resource

        noise = sitk.GetImageFromArray(np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            with refused("cannot-write", tmp_path / "a.nrrd"):
                write_volume(noise, tmp_path / "a.nrrd")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(tmp_path.iterdir()) == []


def _save(mask: np.ndarray, folder: Path, **options: Any) -> list[str]:
    return [path.name for path in Femur.from_mask(image_of(mask, GEOMETRY), case="L1").save(folder, **options)]


class TestFormatsOfPrediction:
    def test_reads_back_with_one_named_and_coloured_segment(self, tmp_path: Path) -> None:
        assert _save(_mask(), tmp_path, formats=("seg.nrrd",)) == ["L1.seg.nrrd"]
        image = sitk.ReadImage(str(tmp_path / "L1.seg.nrrd"))
        assert np.array_equal(sitk.GetArrayFromImage(image), _mask())
        assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-9) == []
        fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
        assert fields["NRRD_space"] == "left-posterior-superior"
        assert fields["Segment0_Name"] == "femur"
        assert fields["Segment0_Extent"] == "0 4 2 3 1 2"
        assert fields["Segment0_LabelValue"] == "1"
        assert fields["Segment0_Layer"] == "0"
        assert [0 <= float(part) <= 1 for part in fields["Segment0_Color"].split()] == [True] * 3
        assert fields["Segmentation_MasterRepresentation"] == "Binary labelmap"
        (segment,) = choose_segments(parse_segments(fields, 1), ())
        assert np.array_equal(join_segments(sitk.GetArrayFromImage(image), [segment]), _mask() > 0)

    def test_an_empty_segment_has_an_empty_extent(self, tmp_path: Path) -> None:
        (tmp_path / "L1.stl").write_bytes(b"of an earlier run")
        assert _save(np.zeros((4, 5, 6), np.uint8), tmp_path, formats=("seg.nrrd",), stl=True) == ["L1.seg.nrrd"]
        assert sitk.ReadImage(str(tmp_path / "L1.seg.nrrd")).GetMetaData("Segment0_Extent") == "0 -1 0 -1 0 -1"
        assert not (tmp_path / "L1.stl").exists()

    def test_every_format_contains_the_same_voxels(self, tmp_path: Path) -> None:
        names = _save(_mask(), tmp_path, formats=("nrrd", "seg.nrrd", "nii.gz"), stl=True)
        assert names == ["L1.nrrd", "L1.seg.nrrd", "L1.nii.gz", "L1.stl"]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
        for name in names[:3]:
            image = sitk.ReadImage(str(tmp_path / name))
            assert np.array_equal(sitk.GetArrayFromImage(image), _mask())
            assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-5) == []
