"""Segments of 3D Slicer: names, values and layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.headers import check_headers
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.imaging.segments import Segment, choose_segments, femur_segments, join_segments, parse_segments

CASE = Case("L442", "442", "left", Path("Images/L442_CT.nrrd"), (Path("GoldStandard/L442.seg.nrrd"),))


def _named(*names: str) -> tuple[Segment, ...]:
    return tuple(Segment(name, number + 1, 0) for number, name in enumerate(names))


class TestParse:
    def test_values_and_layers(self):
        fields = {
            "Segment10_Name": "Tibia",
            "Segment10_LabelValue": "4",
            "Segment10_Layer": "1",
            "Segment2_Name": "Femur",
            "Segment2_LabelValue": "1",
            "Segment2_Layer": "0",
            "Segment2_Extent": "0 3 0 3 0 3",
            "Segmentation_ContainedRepresentationNames": "Binary labelmap",
        }
        assert parse_segments(fields, 2) == (Segment("Femur", 1, 0), Segment("Tibia", 4, 1))

    def test_old_versions_kept_every_segment_in_its_own_layer(self):
        fields = {"Segment0_Name": "Femur", "Segment1_Name": "Tibia"}
        assert parse_segments(fields, 2) == (Segment("Femur", 1, 0), Segment("Tibia", 1, 1))
        assert parse_segments({"Segment0_Name": "Femur"}, 1) == (Segment("Femur", 1, 0),)

    @pytest.mark.parametrize(
        "field", [("LabelValue", "x"), ("LabelValue", "-1"), ("LabelValue", "0"), ("Layer", "9"), ("Layer", "")]
    )
    def test_nonsense_is_no_segment(self, field):
        assert parse_segments({"Segment0_Name": "Femur", f"Segment0_{field[0]}": field[1]}, 2) == ()

    def test_a_plain_mask_has_none(self):
        assert parse_segments({"NRRD_space": "left-posterior-superior"}, 1) == ()


class TestChoose:
    @pytest.mark.parametrize(
        ("names", "wanted", "chosen"),
        [
            (("Bone",), (), ("Bone",)),
            (("Femur", "Tibia"), (), ("Femur",)),
            (("femur_left", "Right femur", "femoral artery"), (), ("femur_left", "Right femur")),
            (("Bone", "Tibia"), (), ()),
            (("Femur", "Femur head"), ("FEMUR",), ("Femur",)),
            (("Left femur", "Tibia"), ("femur",), ("Left femur",)),
            (("Tibia", "Shaft", "Head"), ("head", "shaft"), ("Shaft", "Head")),
            (("Femur",), ("tibia",), ()),
            (("Afemurb",), ("femur",), ()),
            (("Femur", "Femur implant", "Pelvis"), (), ("Femur",)),
            (("Femur_L", "Femur R", "femur cartilage"), (), ("Femur_L", "Femur R")),
            (("Femur", "Femur head", "Femoral nail"), (), ("Femur", "Femur head")),
            (("Femur", "Femur old"), (), ("Femur",)),
            (("Femur observer", "Pelvis"), (), ("Femur observer",)),
            (("Femur observer", "Femur student"), (), ()),
            (("Femur implant", "Pelvis"), (), ()),
            (("Femur implant", "Pelvis"), ("femur implant",), ("Femur implant",)),
            (("Left femur", "Femur implant"), ("femur",), ("Left femur",)),
            (("Left femur", "Femur implant"), ("implant",), ("Femur implant",)),
            (("Femur", "Femur implant"), ("femur", "implant"), ("Femur", "Femur implant")),
        ],
    )
    def test_by_name(self, names, wanted, chosen):
        assert tuple(segment.name for segment in choose_segments(_named(*names), wanted)) == chosen


class TestFindings:
    @pytest.mark.parametrize(
        ("names", "code", "told"),
        [
            (("Bone",), None, ()),
            (("Femur", "Femur implant", "Pelvis"), "segments-chosen", ("femur: Femur;", "Femur implant, Pelvis")),
            (("Left femur", "Right femur"), "segments-chosen", ("joined: Left femur, Right femur",)),
            (("Femur implant", "Femur cartilage"), "segments-unclear", ("Femur implant, Femur cartilage",)),
            (("Bone", "Tibia"), "segment-missing", ("Bone, Tibia",)),
            (tuple(f"part {n}" for n in range(10)), "segment-missing", ("part 7 and 2 more",)),
        ],
    )
    def test_used_and_ignored_segments_are_reported(self, names, code, told):
        _, findings = femur_segments(_named(*names), (), Path("a.seg.nrrd"))
        assert [found.code for found in findings] == ([code] if code else [])
        for part in told:
            assert part in findings[0].problem


class TestJoin:
    def test_values_of_one_layer_and_of_several(self):
        values = np.arange(8).reshape(2, 2, 2)
        joined = join_segments(values, (Segment("a", 3, 0), Segment("b", 5, 0)))
        assert np.flatnonzero(joined).tolist() == [3, 5]
        layers = np.stack([values, values[::-1]], -1)
        joined = join_segments(layers, (Segment("a", 3, 0), Segment("b", 3, 1)))
        assert np.flatnonzero(joined).tolist() == [3, 7]


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
