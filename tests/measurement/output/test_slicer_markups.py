"""Markups of 3D Slicer: the form of its schema 1.0.3, and landmarks where they are."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from nnunet_femur.measurement.landmarks import Anatomy
from nnunet_femur.measurement.output.slicer_markups import colour_of, markups, points_of, segments_of
from nnunet_femur.testing.voxelising import rotation_xyz
from tests.measurement.known_femur import FEMUR, HEAD, KNEE, MIRROR, Y, Z, anatomy, surface

YES_OR_NO, SIZE = {"type": "boolean"}, {"type": "number", "minimum": 0}
NUMBERS = {"type": "array", "items": {"type": "number"}}
THREE = NUMBERS | {"minItems": 3, "maxItems": 3}
COLOUR = THREE | {"items": {"type": "number", "minimum": 0, "maximum": 1}}
POINT = {
    "type": "object",
    "required": ["label", "position"],
    "properties": {
        "id": {"type": "string"},
        "label": {"type": "string"},
        "description": {"type": "string"},
        "associatedNodeID": {"type": "string"},
        "position": THREE,
        "orientation": NUMBERS | {"minItems": 9, "maxItems": 9},
        "selected": {"type": "boolean"},
        "locked": {"type": "boolean"},
        "visibility": {"type": "boolean"},
        "positionStatus": {"enum": ["undefined", "preview", "defined"]},
    },
    "additionalProperties": False,
}
DISPLAY = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("visibility", "propertiesLabelVisibility", "pointLabelsVisibility", "useGlyphScale"), YES_OR_NO
        ),
        "opacity": {"type": "number", "minimum": 0, "maximum": 1},
        **dict.fromkeys(("color", "selectedColor"), COLOUR),
        **dict.fromkeys(("textScale", "glyphScale", "lineThickness"), SIZE),
        "glyphType": {"enum": ["Sphere3D", "Diamond3D", "Cross2D", "Circle2D"]},
    },
    "additionalProperties": False,
}
FORM = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": r"^https://.*/markups-schema-v1\.0\.3\.json#$"},
        "markups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "name", "coordinateSystem", "coordinateUnits", "controlPoints", "display"],
                "properties": {
                    "type": {"enum": ["Fiducial", "Line"]},
                    "name": {"type": "string"},
                    "coordinateSystem": {"const": "LPS"},
                    "coordinateUnits": {"const": "mm"},
                    **dict.fromkeys(("locked", "fixedNumberOfControlPoints"), YES_OR_NO),
                    "labelFormat": {"type": "string"},
                    "controlPoints": {"type": "array", "items": POINT},
                    "display": DISPLAY,
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""The parts of 3D Slicer's schema that these files use, written anew and stricter."""

PARTS = ("head", "neck", "proximal_shaft", "shaft", "distal", "lesser_trochanter_mm")


def _by_name(of: Anatomy) -> dict[str, Any]:
    return {each["name"].removeprefix("R1 "): each for each in markups(of, "R1")["markups"]}


def _positions(markup: dict[str, Any]) -> dict[str, np.ndarray]:
    return {point["label"]: np.array(point["position"]) for point in markup["controlPoints"]}


@pytest.mark.parametrize("missing", [(), *((part,) for part in PARTS), PARTS])
def test_files_have_the_form_of_the_schema(missing: tuple[str, ...]) -> None:
    content = markups(anatomy(**dict.fromkeys(missing)), "R1")
    jsonschema.validate(json.loads(json.dumps(content, allow_nan=False)), FORM)
    assert all(len(each["controlPoints"]) == 2 for each in content["markups"] if each["type"] == "Line")
    names = [each["name"] for each in content["markups"]]
    assert len(set(names)) == len(names)


def test_landmarks_have_their_positions() -> None:
    positions = _positions(_by_name(anatomy())["landmarks"])
    np.testing.assert_allclose(positions["head center"], FEMUR.head_mm, atol=1e-4)
    np.testing.assert_allclose(positions["knee center"], KNEE, atol=1e-4)
    behind = np.array(FEMUR.condyle_medial_mm) + FEMUR.condyle_radii_mm[0] * Y
    below = np.array(FEMUR.distal_lateral_mm) - FEMUR.distal_radii_mm[1] * Z
    np.testing.assert_allclose(positions["posterior condyle medial"], behind, atol=1e-4)
    np.testing.assert_allclose(positions["distal condyle lateral"], below, atol=1e-4)


def test_an_empty_mask_has_no_landmarks() -> None:
    assert points_of(Anatomy(surface())) == segments_of(Anatomy(surface())) == {}


class TestAxes:
    def test_end_at_the_ends_of_the_bone(self) -> None:
        low, high = segments_of(anatomy())["shaft axis"]
        np.testing.assert_allclose([low[:2], high[:2]], 0, atol=1e-9)
        heights = surface().points_mm[:, 2]
        assert (low[2], high[2]) == pytest.approx((heights.min(), heights.max()))

    def test_neck_axis_leads_from_the_shaft_through_the_head(self) -> None:
        start, end = segments_of(anatomy())["neck axis"]
        direction = (end - start) / np.linalg.norm(end - start)
        np.testing.assert_allclose(direction, FEMUR.neck_axis, atol=1e-9)
        assert np.linalg.norm(np.cross(HEAD - start, direction)) == pytest.approx(0, abs=1e-9)
        assert np.linalg.norm(end - HEAD) == pytest.approx(1.2 * FEMUR.head_radius_mm)
        # The axis passes the shaft axis at its nearest point, and ends a little beyond it.
        normal = np.cross(FEMUR.neck_axis, [0, 0, 1])
        nearest = np.cross(normal, [0, 0, 1]) @ HEAD / (np.cross(normal, [0, 0, 1]) @ FEMUR.neck_axis)
        assert (HEAD - start) @ FEMUR.neck_axis == pytest.approx(nearest + 0.6 * FEMUR.head_radius_mm)

    def test_mechanical_axis_joins_knee_and_head(self) -> None:
        start, end = segments_of(anatomy())["mechanical axis"]
        np.testing.assert_allclose([start, end], [KNEE, HEAD])

    @pytest.mark.parametrize("matrix", [rotation_xyz(20, -70, 140), MIRROR], ids=["turned", "left"])
    def test_move_with_the_bone(self, matrix: np.ndarray) -> None:
        here, there = segments_of(anatomy()), segments_of(anatomy(matrix))
        assert here.keys() == there.keys()
        for name, ends in here.items():
            np.testing.assert_allclose(np.array(ends) @ matrix.T, there[name], atol=1e-6)

    def test_a_neck_parallel_to_the_shaft_has_an_axis(self) -> None:
        """It occurs in a shaft that was taken for a whole femur."""
        of = anatomy()
        shaft = type(of.shaft)(np.zeros(3), FEMUR.neck_axis)
        start, end = segments_of(anatomy(shaft=shaft, proximal_shaft=shaft))["neck axis"]
        assert np.isfinite([start, end]).all()

    def test_have_colours_of_their_own(self) -> None:
        axes = _by_name(anatomy())
        colours = [tuple(each["display"]["color"]) for each in axes.values()]
        assert len(set(colours)) == len(colours)
        assert axes["neck axis"]["display"]["color"] == pytest.approx([0xD5 / 255, 0x5E / 255, 0], abs=1e-3)
        assert colour_of("neck axis") == "#D55E00"
