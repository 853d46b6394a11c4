"""The files of a volume and their content."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.sources import digest, parts, read_source


@pytest.fixture
def image():
    return sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))


class TestParts:
    def test_one_file(self, tmp_path, image):
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(image, str(path))
        assert parts(path) == [path]
        assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()

    @pytest.mark.parametrize(("ending", "data"), [(".mhd", "a.raw"), (".nhdr", "a.raw"), (".nrrd", "a.raw")])
    def test_a_header_and_its_voxels(self, tmp_path, image, ending, data):
        path = tmp_path / f"a{ending}"
        if ending == ".nrrd":
            # Not the usual name of such a header.
            sitk.WriteImage(image, str(tmp_path / "a.nhdr"))
            (tmp_path / "a.nhdr").rename(path)
        else:
            sitk.WriteImage(image, str(path))
        sitk.WriteImage(image, str(tmp_path / "b.mhd"))
        assert [file.name for file in parts(path)] == [path.name, data]
        before = digest(path)
        (tmp_path / "b.raw").write_bytes(b"")
        assert digest(path) == before
        content = bytearray((tmp_path / data).read_bytes())
        content[5] ^= 1
        (tmp_path / data).write_bytes(content)
        assert digest(path) != before

    def test_a_folder_of_slices(self, tmp_path, write_slices):
        folder = write_slices(tmp_path / "ct", np.zeros((3, 4, 5), np.int16))
        before = digest(folder)
        (folder / ".DS_Store").write_bytes(b"x")
        assert digest(folder) == before
        (folder / "slice001.dcm").rename(folder / "slice009.dcm")
        assert digest(folder) != before


class TestRead:
    @pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"])
    def test_every_format(self, tmp_path, image, ending):
        file = f"A b{ending.upper() if ending == '.nrrd' else ending}"
        sitk.WriteImage(image, str(tmp_path / file))
        header, voxels = read_source(tmp_path, tmp_path.joinpath(file).relative_to(tmp_path))
        assert header.geometry.size_xyz == (4, 3, 2)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(voxels), sitk.GetArrayFromImage(image))

    @pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
    @pytest.mark.parametrize("damage", ["lost", "cut"])
    def test_voxels_of_a_detached_header(self, tmp_path, image, ending, damage):
        path = tmp_path / f"a{ending}"
        sitk.WriteImage(image, str(path))
        data = tmp_path / "a.raw"
        if damage == "lost":
            data.unlink()
        else:
            data.write_bytes(data.read_bytes()[:-3])
        assert read_source(tmp_path, path.relative_to(tmp_path)).code == "unreadable"
