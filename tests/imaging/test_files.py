"""Reading volumes from files."""

from __future__ import annotations

import bz2
import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.files import read_geometry, read_header, read_volume
from nnunet_femur.imaging.geometry import Geometry, VolumeError, image_of
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS, write_volume
from tests.refusing import refused

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
        path.write_bytes(gzip.compress(content[:370], mtime=0) + gzip.compress(content[370:], mtime=0))
        assert Geometry.of(read_volume(path)).differences(GRID) == []
        path.write_bytes(gzip.compress(content[:370], mtime=0) + gzip.compress(content[370:-3], mtime=0))
        with refused("unreadable", path):
            read_volume(path)

    @pytest.mark.parametrize("read", [read_volume, read_geometry])
    def test_four_dimensions_or_colours(self, tmp_path, read):
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.uint8), isVector=False), str(path))
        with refused("not-3d", path, 4):
            read(path)
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))
        with refused("colour", path, 3):
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
    def test_messages_do_not_quote_headers(self, tmp_path, capfd, line, secret):
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
    def test_a_volume_that_does_not_fit_into_memory(self, tmp_path, monkeypatch, error):
        def fail(name: str) -> None:
            raise error

        write_volume(_image(), tmp_path / "a.nrrd")
        monkeypatch.setattr(sitk, "ReadImage", fail)
        with refused("too-large", tmp_path / "a.nrrd", "--jobs"):
            read_volume(tmp_path / "a.nrrd")

    def test_a_highly_compressed_empty_volume_is_read(self, tmp_path):
        path = tmp_path / "a.nrrd"
        write_volume(sitk.Image(200, 200, 200, sitk.sitkUInt8), path)
        assert path.stat().st_size < 10_000
        assert read_volume(path).GetSize() == (200, 200, 200)


def _meta(path, voxels, *, data_file="LOCAL", **fields):
    """Write a MetaImage by hand; a field of None is left out."""
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "10 -20 30",
        "ElementSpacing": "0.5 1 2",
        "DimSize": "4 3 2",
        "ElementType": "MET_SHORT",
        **fields,
        "ElementDataFile": data_file,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in header.items() if value is not None)
    path.write_bytes(lines.encode() + voxels)
    return path


class TestMetaImage:
    """Damaged files that ITK reads without an error, and sound ones that it refuses."""

    RAW = ARRAY_ZYX.astype("<i2").tobytes()

    @pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
    @pytest.mark.parametrize("size", [True, False])
    @pytest.mark.parametrize("beside", [True, False])
    def test_packed_voxels(self, tmp_path, pack, size, beside):
        packed = pack(self.RAW)
        stated = {"CompressedData": "True", "CompressedDataSize": str(len(packed)) if size else None}
        path = _meta(tmp_path / "a.mha", b"" if beside else packed, data_file="a.zraw" if beside else "LOCAL", **stated)
        if beside:
            (tmp_path / "a.zraw").write_bytes(packed)
        image = read_volume(path)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ARRAY_ZYX)
        assert Geometry.of(image).differences(GRID) == []

    @pytest.mark.parametrize("kind", ["<u2", ">i4", "<f4", ">f8", "<i8"])
    def test_types_of_packed_voxels(self, tmp_path, kind):
        names = {"u2": "USHORT", "i4": "INT", "f4": "FLOAT", "f8": "DOUBLE", "i8": "LONG_LONG"}
        fields = {"ElementType": f"MET_{names[kind[1:]]}", "BinaryDataByteOrderMSB": str(kind[0] == ">")}
        packed = zlib.compress(ARRAY_ZYX.astype(kind).tobytes())
        read = sitk.GetArrayFromImage(read_volume(_meta(tmp_path / "a.mha", packed, CompressedData="True", **fields)))
        assert read.dtype == np.dtype(kind).newbyteorder("=")
        np.testing.assert_array_equal(read, ARRAY_ZYX)

    @pytest.mark.parametrize("damage", ["truncated", "changed", "checksum", "short"])
    def test_damaged_packed_voxels_are_refused(self, tmp_path, damage):
        noise = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype("<i2").tobytes()
        packed = bytearray(zlib.compress(noise[:-400] if damage == "short" else noise))
        if damage == "truncated":
            del packed[-500:]
        elif damage == "changed":
            packed[len(packed) // 2] ^= 0xFF
        elif damage == "checksum":
            packed[-1] ^= 0xFF
        fields = {"DimSize": "20 20 20", "CompressedData": "True", "CompressedDataSize": str(len(packed))}
        with pytest.raises(VolumeError) as caught:
            read_volume(_meta(tmp_path / "a.mha", bytes(packed), **fields))
        assert caught.value.code == "unreadable"

    @pytest.mark.parametrize("beside", [True, False])
    def test_too_few_voxels_show_in_the_header(self, tmp_path, beside):
        if beside:
            (tmp_path / "a.raw").write_bytes(self.RAW[:-2])
            path = _meta(tmp_path / "a.mhd", b"", data_file="a.raw")
        else:
            path = _meta(tmp_path / "a.mha", self.RAW[:-2])
        with refused("unreadable", path, len(self.RAW)):
            read_geometry(path)

    def test_a_size_of_the_voxels_in_place_of_their_spacing(self, tmp_path):
        path = _meta(tmp_path / "a.mha", self.RAW, ElementSpacing=None, ElementSize="0.5 1 2")
        assert read_geometry(path).differences(GRID) == []
        assert read_header(path).findings == ()

    def test_a_size_that_contradicts_the_spacing_is_reported(self, tmp_path):
        header = read_header(_meta(tmp_path / "a.mha", self.RAW, ElementSize="3 3 6"))
        assert header.geometry.differences(GRID) == []
        assert [found.code for found in header.findings] == ["transforms-differ"]

    @pytest.mark.parametrize(
        "fields", [{"ElementToIntensityFunctionOffset": "-1024"}, {"ElementToIntensityFunctionSlope": "2"}]
    )
    def test_a_slope_that_itk_does_not_apply_is_refused(self, tmp_path, fields):
        with pytest.raises(VolumeError) as caught:
            read_header(_meta(tmp_path / "a.mha", self.RAW, **fields))
        assert caught.value.code == "unreadable"

    def test_without_an_origin(self, tmp_path):
        header = read_header(_meta(tmp_path / "a.mha", self.RAW, Offset=None))
        assert [found.code for found in header.findings] == ["origin-unknown"]


def _nrrd(path, voxels=None, *, leave_out=(), **fields):
    """Write an NRRD by hand; underscores in a field's name stand for blanks."""
    header = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "4 3 2",
        "space_directions": "(0.5,0,0) (0,1,0) (0,0,2)",
        "space_origin": "(10,-20,30)",
        "endian": "little",
        "encoding": "raw",
        **fields,
    }
    lines = "".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in header.items() if name not in leave_out)
    path.write_bytes(
        f"NRRD0005\n{lines}\n".encode() + (ARRAY_ZYX.astype("<i2").tobytes() if voxels is None else voxels)
    )
    return path


_SPACE = ("space", "space_directions", "space_origin")


class TestNrrd:
    def test_voxels_in_another_file_under_the_usual_ending(self, tmp_path):
        (tmp_path / "a.raw").write_bytes(np.tile(ARRAY_ZYX, 2000).astype("<i2").tobytes())
        path = _nrrd(tmp_path / "a.nrrd", b"", sizes="8000 3 2", data_file="a.raw")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), np.tile(ARRAY_ZYX, 2000))

    @pytest.mark.parametrize("name", ["bzip2", "bz2"])
    def test_bzip2_is_refused(self, tmp_path, name):
        path = _nrrd(tmp_path / "a.nrrd", bz2.compress(ARRAY_ZYX.tobytes()), encoding=name)
        with refused("unreadable", "bzip2"):
            read_geometry(path)

    @pytest.mark.parametrize(("unit", "code"), [('"mm"', None), ('"cm"', "no-spacing"), ('"m"', "no-spacing")])
    def test_units_of_spacings(self, tmp_path, unit, code):
        path = _nrrd(tmp_path / "a.nrrd", leave_out=_SPACE, spacings="0.5 1 2", units=" ".join([unit] * 3))
        if code is None:
            assert read_geometry(path).spacing_mm_xyz == (0.5, 1.0, 2.0)
            return
        with pytest.raises(VolumeError) as caught:
            read_geometry(path)
        assert caught.value.code == code

    def test_without_an_origin(self, tmp_path):
        header = read_header(_nrrd(tmp_path / "a.nrrd", leave_out=["space_origin"]))
        assert [found.code for found in header.findings] == ["origin-unknown"]
        assert read_header(_nrrd(tmp_path / "b.nrrd")).findings == ()

    def test_series_of_volumes_that_itk_cannot_open(self, tmp_path):
        directions = {"space_directions": "(0.5,0,0) (0,1,0) (0,0,2) none", "kinds": "domain domain domain time"}
        path = _nrrd(tmp_path / "a.nrrd", ARRAY_ZYX.tobytes() * 2, dimension="4", sizes="4 3 2 2", **directions)
        with pytest.raises(VolumeError) as caught:
            read_geometry(path)
        assert caught.value.code == "not-3d"


class TestOtherContents:
    @pytest.mark.parametrize(
        ("content", "named"),
        [
            (b"", "empty"),
            (bytes(1000), "zeros"),
            (b"PK\x03\x04" + b"x" * 50, "ZIP"),
            (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "PNG"),
            (b"\xff\xd8\xff\xe0" + b"x" * 50, "JPEG"),
            (b"II*\0" + b"x" * 50, "TIFF"),
            (b"# vtk DataFile Version 3.0\n", "VTK"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
            (b"<!DOCTYPE html><html>", "web"),
            (gzip.compress(b"NRRD0004\ntype: short\n", mtime=0), "gzip"),
            (gzip.compress(gzip.compress(b"x" * 600, mtime=0), mtime=0), "gzip"),
            (gzip.compress(b"x" * 600, mtime=0)[:-3] + b"zzz", "damaged"),
        ],
    )
    @pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
    def test_are_named(self, tmp_path, content, named, ending):
        path = tmp_path / f"a{ending}"
        path.write_bytes(content)
        with refused("unreadable", path, named):
            read_geometry(path)


class TestListsOfDataFiles:
    """A header that lists its data files must not lead ITK out of its folder."""

    NRRD = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 2\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        "space origin: (0,0,0)\ndata file: LIST\n"
    )
    META = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = 4 3 2\n"
        "ElementType = MET_SHORT\nElementDataFile = LIST\n"
    )

    @pytest.mark.parametrize(("name", "header"), [("a.nhdr", NRRD), ("a.mhd", META)])
    def test_files_beside_it_are_read(self, tmp_path, name, header):
        for index, plane in enumerate(ARRAY_ZYX):
            (tmp_path / f"{index}.raw").write_bytes(plane.tobytes())
        (tmp_path / name).write_text(header + "0.raw\n1.raw\n")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)), ARRAY_ZYX)

    @pytest.mark.parametrize(("name", "header"), [("a.nhdr", NRRD), ("a.mhd", META)])
    @pytest.mark.parametrize("other", ["/dev/zero", "../1.raw", "missing.raw"])
    def test_others_are_refused(self, tmp_path, name, header, other):
        (tmp_path / "0.raw").write_bytes(ARRAY_ZYX[0].tobytes())
        (tmp_path / name).write_text(header + f"0.raw\n{other}\n")
        with pytest.raises(VolumeError) as caught:
            read_header(tmp_path / name)
        assert caught.value.code == "unreadable"
