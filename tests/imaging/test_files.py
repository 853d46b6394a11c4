"""Reading volumes from files."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.files import read_geometry, read_volume
from nnunet_femur.volumes import WRITTEN_ENDINGS, Geometry, VolumeError, image_of, write_volume

LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((4, 3, 2), (0.5, 1.0, 2.0), (10.0, -20.0, 30.0), LPS)
ARRAY_ZYX = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def _image(geometry: Geometry = GRID) -> sitk.Image:
    return image_of(ARRAY_ZYX, geometry)


class TestRead:
    @pytest.mark.parametrize("ending", WRITTEN_ENDINGS)
    def test_written_and_read(self, tmp_path, ending):
        path = tmp_path / f"a.b{ending}"
        write_volume(_image(), path)
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
        assert read_geometry(path).differences(GRID, tolerance_voxels=1e-6) == []
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), ARRAY_ZYX)

    @pytest.mark.parametrize("read", [read_volume, read_geometry])
    def test_missing(self, tmp_path, read):
        with pytest.raises(VolumeError) as caught:
            read(tmp_path / "gone.nrrd")
        assert (caught.value.path, caught.value.code) == (tmp_path / "gone.nrrd", "unreadable")

    @pytest.mark.parametrize("read", [read_volume, read_geometry])
    @pytest.mark.parametrize("content", [b"", b"hello", b"NRRD0004\ntype: short\ndimension: 3\n"])
    def test_no_volume(self, tmp_path, read, content):
        path = tmp_path / "a.nrrd"
        path.write_bytes(content)
        with pytest.raises(VolumeError) as caught:
            read(path)
        assert (caught.value.path, caught.value.code) == (path, "unreadable")

    @pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii", ".nii.gz"])
    @pytest.mark.parametrize("compress", [True, False])
    def test_truncated(self, tmp_path, ending, compress):
        path = tmp_path / f"a{ending}"
        noise = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
        write_volume(sitk.GetImageFromArray(noise), path, compress=compress)
        path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
        with pytest.raises(VolumeError) as caught:
            read_volume(path)
        assert caught.value.code == "unreadable"

    def test_nifti_packed_in_several_pieces(self, tmp_path):
        """As bgzip does: the file's last bytes tell the size of the last piece alone."""
        write_volume(_image(), tmp_path / "a.nii")
        content = (tmp_path / "a.nii").read_bytes()
        path = tmp_path / "b.nii.gz"
        path.write_bytes(gzip.compress(content[:370]) + gzip.compress(content[370:]))
        assert Geometry.of(read_volume(path)).differences(GRID) == []
        path.write_bytes(gzip.compress(content[:370]) + gzip.compress(content[370:-3]))
        with pytest.raises(VolumeError, match="ends before"):
            read_volume(path)

    @pytest.mark.parametrize("read", [read_volume, read_geometry])
    def test_four_dimensions_or_colours(self, tmp_path, read):
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8), isVector=False), str(path))
        with pytest.raises(VolumeError, match=r"has 4 dimensions and 1 component\(s\)"):
            read(path)
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))
        with pytest.raises(VolumeError, match=r"has 3 dimensions and 3 component\(s\)"):
            read(path)

    @pytest.mark.parametrize(
        ("line", "secret"),
        [
            ("type: Rossi^Mario", "Rossi"),
            ("PatientName Rossi^Mario", "Rossi"),
            ("Rossi^Mario: x", "Rossi"),
            ("kinds: Rossi a b", "Rossi"),
            ("encoding: Rossi", "Rossi"),
            ("space origin: (Rossi,0,0)", "Rossi"),
            ("data file: Rossi.raw", "Rossi"),
        ],
    )
    def test_messages_quote_nothing_of_a_header(self, tmp_path, capfd, line, secret):
        fields = {
            "type": "short",
            "dimension": "3",
            "space": "left-posterior-superior",
            "sizes": "2 2 2",
            "space directions": "(1,0,0) (0,1,0) (0,0,1)",
            "kinds": "domain domain domain",
            "endian": "little",
            "encoding": "raw",
            "space origin": "(0,0,0)",
        }
        lines = [f"{key}: {value}" for key, value in fields.items() if not line.startswith(f"{key}:")]
        path = tmp_path / "a.nrrd"
        path.write_bytes(("NRRD0004\n" + "\n".join([*lines, line]) + "\n\n").encode() + bytes(16))
        with pytest.raises(VolumeError) as caught:
            read_volume(path)
        assert secret not in str(caught.value)
        assert secret not in "".join(capfd.readouterr())

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (("(1,0,0)", "(1,0.5,0)"), "bad-geometry"),
            (("(1,0,0)", "(1e-5,0,0)"), "bad-geometry"),
            (("(1,0,0)", "(1e5,0,0)"), "bad-geometry"),
            (("(0,0,0)", "(0,0,1e9)"), "bad-geometry"),
            (("(1,0,0) (0,1,0)", "(1,0,0) (1,0,0)"), "bad-geometry"),
            (("2 2 2", "90000 90000 90000"), "unreadable"),
        ],
    )
    def test_an_invalid_header(self, tmp_path, change, code):
        header = (
            "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
            "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
            "space origin: (0,0,0)\n\n"
        )
        path = tmp_path / "a.nrrd"
        path.write_bytes(header.encode() + bytes(16))
        assert read_geometry(path).size_xyz == (2, 2, 2)
        path.write_bytes(header.replace(*change).encode() + bytes(16))
        with pytest.raises(VolumeError) as caught:
            read_volume(path)
        assert caught.value.code == code

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("x\nFailed to allocate memory for image.")])
    def test_what_does_not_fit_into_memory(self, tmp_path, monkeypatch, error):
        def fail(name: str) -> None:
            raise error

        write_volume(_image(), tmp_path / "a.nrrd")
        monkeypatch.setattr(sitk, "ReadImage", fail)
        with pytest.raises(VolumeError, match=r"does not fit into memory\. Use fewer --jobs") as caught:
            read_volume(tmp_path / "a.nrrd")
        assert caught.value.code == "too-large"

    def test_an_empty_volume_that_is_packed_well_is_read(self, tmp_path):
        path = tmp_path / "a.nrrd"
        write_volume(sitk.Image(200, 200, 200, sitk.sitkUInt8), path)
        assert path.stat().st_size < 10_000
        assert read_volume(path).GetSize() == (200, 200, 200)
