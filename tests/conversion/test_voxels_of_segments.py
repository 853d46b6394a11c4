"""Segments of 3D Slicer in a file: names, values and layers, as 3D Slicer writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.voxels import read_case

CASE = Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442.seg.nrrd"),))


class TestFile:
    """As 3D Slicer writes it: cropped, in layers, with a list as first axis."""

    def _write(self, hospital, planes: np.ndarray, offset_xyz, segments: dict[str, tuple[int, int]]) -> None:
        count, z, y, x = planes.shape
        origin = np.array(hospital.origin_mm_xyz) + np.array(offset_xyz) * hospital.spacing_mm_xyz
        fields = "".join(
            f"Segment{number}_ID:=S{number}\nSegment{number}_Name:={name}\nSegment{number}_LabelValue:={value}\n"
            f"Segment{number}_Layer:={layer}\nSegment{number}_Extent:=0 {x - 1} 0 {y - 1} 0 {z - 1}\n"
            for number, (name, (value, layer)) in enumerate(segments.items())
        )
        header = (
            "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\n"
            f"sizes: {count} {x} {y} {z}\nspace directions: none (20,0,0) (0,21,0) (0,0,60)\n"
            f"kinds: list domain domain domain\nencoding: raw\nspace origin: ({','.join(map(str, origin))})\n{fields}"
            f"Segmentation_ReferenceImageExtentOffset:={' '.join(map(str, offset_xyz))}\n\n"
        )
        content = header.encode() + np.ascontiguousarray(planes.transpose(1, 2, 3, 0)).tobytes()
        (hospital.folder / CASE.mask).write_bytes(content)

    @pytest.fixture
    def slicer(self, hospital):
        """Femur and its head in one layer, a screw that overlaps both in another; cropped by one voxel on each side."""
        hospital.add("L442")
        bone = hospital.mask()
        bone[3, 4, 3] = 2
        screw = np.zeros_like(bone)
        screw[2:4, 3, 2] = 1
        planes = np.stack([bone, screw])[:, 1:-1, 1:-1, 1:-1]
        self._write(hospital, planes, (1, 1, 1), {"Femur": (1, 0), "Femur head": (2, 0), "Screw": (1, 1)})
        return hospital, bone, screw

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ((), lambda bone, screw: bone > 0),
            (("femur",), lambda bone, screw: bone == 1),
            (("SCREW", "femur head"), lambda bone, screw: (bone == 2) | (screw > 0)),
        ],
    )
    def test_segments_are_joined_on_the_cts_grid(self, slicer, wanted, expected):
        hospital, bone, screw = slicer
        options = ConversionOptions(segments=wanted)
        assert [f.code for f in check_headers(hospital.folder, CASE, options)] == ["segments-chosen", "mask-cropped"]
        voxels = read_case(hospital.folder, CASE, options)
        written = sitk.GetArrayFromImage(sitk.DICOMOrient(voxels.mask, "LPS"))
        np.testing.assert_array_equal(written > 0, expected(bone, screw))

    @pytest.mark.parametrize(
        ("segments", "code"), [({"Femur": (7, 0)}, "mask-labels"), ({"Femur": (1, 0)}, "labels-left-out")]
    )
    def test_values_that_belong_to_no_segment(self, slicer, segments, code):
        hospital, bone, screw = slicer
        self._write(hospital, np.stack([bone, screw * 0]), (0, 0, 0), segments)
        found = read_case(hospital.folder, CASE)
        assert code in [each.code for each in (found if isinstance(found, list) else found.findings)]
        assert isinstance(found, list) == (code == "mask-labels")

    def test_an_empty_segment_is_an_empty_mask(self, slicer):
        hospital, bone, screw = slicer
        planes = np.stack([bone, screw * 0])
        self._write(hospital, planes, (0, 0, 0), {"Femur": (1, 0), "Screw": (1, 1)})
        (finding,) = read_case(hospital.folder, CASE, ConversionOptions(segments=("screw",)))
        assert finding.code == "empty-mask"
