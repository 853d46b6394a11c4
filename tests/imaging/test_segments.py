"""Segments of 3D Slicer: names, values and layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_femur.imaging.segments import (
    Segment,
    choose_segments,
    femur_segments,
    join_segments,
    parse_segments,
    side_of,
)


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


@pytest.mark.parametrize(
    ("name", "side"),
    [("Femur links L", "left"), ("femur_dexter", "right"), ("Femur", "unknown"), ("Femur left right", "unknown")],
)
def test_the_side_of_a_segment_is_that_of_its_words(name, side):
    assert side_of(Segment(name, 1, 0)) == side
