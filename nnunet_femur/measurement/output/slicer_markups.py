"""Landmarks and axes of a femur as markups of 3D Slicer (``.mrk.json``), in LPS millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.measurement.landmarks import Line, unit
from nnunet_femur.measurement.shape.shaft import PROXIMAL_SHAFT_RADII

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nnunet_femur.measurement.landmarks import Anatomy, Point

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""Schema of the files of 3D Slicer 5, by which it recognises them."""


def points_of(anatomy: Anatomy) -> dict[str, Point]:
    """Return the landmarks of a femur by name, in LPS mm; only those that were found."""
    found: dict[str, Point | None] = {}
    if anatomy.head is not None:
        found["head center"] = anatomy.head.center_mm
    if anatomy.neck is not None:
        found["neck center"] = anatomy.neck.center_mm
    found["lesser trochanter level"] = anatomy.lesser_trochanter_mm
    if (distal := anatomy.distal) is not None:
        found |= {
            "knee center": distal.knee_center_mm,
            "posterior condyle medial": distal.posterior_medial_mm,
            "posterior condyle lateral": distal.posterior_lateral_mm,
            "distal condyle medial": distal.distal_medial_mm,
            "distal condyle lateral": distal.distal_lateral_mm,
            "condyle sphere medial": distal.medial_condyle.center_mm,
            "condyle sphere lateral": distal.lateral_condyle.center_mm,
            "notch": distal.notch_mm,
            "flank medial": distal.flank_medial_mm,
            "flank lateral": distal.flank_lateral_mm,
        }
    return {name: point for name, point in found.items() if point is not None}


def segments_of(anatomy: Anatomy) -> dict[str, tuple[Point, Point]]:
    """Return the axes of a femur as two points each, by name, in LPS mm; only those that were found.

    Shaft axes end where the bone ends, and the neck axis goes on to the shaft axis.
    """
    found: dict[str, tuple[Point, Point]] = {}
    head = anatomy.head
    if anatomy.shaft is not None:
        found["shaft axis"] = _along_bone(anatomy, anatomy.shaft)
    if anatomy.proximal_shaft is not None:
        low_mm, high_mm = _along_bone(anatomy, anatomy.proximal_shaft)
        if head is not None:
            below = PROXIMAL_SHAFT_RADII[1] * head.radius_mm * anatomy.proximal_shaft.direction
            low_mm = anatomy.proximal_shaft.nearest(head.center_mm) - below
        found["proximal shaft axis"] = (low_mm, high_mm)
    if anatomy.neck is not None and head is not None:
        neck = Line(anatomy.neck.center_mm, unit(head.center_mm - anatomy.neck.center_mm))
        beyond = _BEYOND_RADII * head.radius_mm * neck.direction
        shaft = anatomy.proximal_shaft or anatomy.shaft
        start_mm = anatomy.neck.center_mm - 2 * beyond if shaft is None else _nearest_to(neck, shaft) - beyond / 2
        found["neck axis"] = (start_mm, head.center_mm + beyond)
    if anatomy.mechanical is not None and head is not None:
        found["mechanical axis"] = (anatomy.mechanical.point_mm, head.center_mm)
    if (distal := anatomy.distal) is not None:
        found["posterior condylar line"] = (distal.posterior_medial_mm, distal.posterior_lateral_mm)
        found["distal joint line"] = (distal.distal_medial_mm, distal.distal_lateral_mm)
        found["flank axis"] = (distal.flank_medial_mm, distal.flank_lateral_mm)
    return found


_BEYOND_RADII = 1.2
"""End of the neck axis beyond the head centre, in radii of the head."""


def _along_bone(anatomy: Anatomy, axis: Line) -> tuple[Point, Point]:
    """Return the part of an axis between the lowest and the highest point of the surface along it."""
    along = (anatomy.surface.points_mm - axis.point_mm) @ axis.direction
    return axis.point_mm + along.min() * axis.direction, axis.point_mm + along.max() * axis.direction


def _nearest_to(line: Line, other: Line) -> Point:
    """Return the point of a line that is nearest to another line; its own point if they are parallel."""
    cosine = float(line.direction @ other.direction)
    if 1 - cosine**2 < 1e-6:
        return line.point_mm
    between = other.point_mm - line.point_mm
    along = (between @ line.direction - cosine * (between @ other.direction)) / (1 - cosine**2)
    return np.asarray(line.point_mm + along * line.direction)


_COLOURS = {
    "shaft axis": "#009E73",
    "proximal shaft axis": "#56B4E9",
    "neck axis": "#D55E00",
    "mechanical axis": "#0072B2",
    "posterior condylar line": "#CC79A7",
    "distal joint line": "#E69F00",
    "flank axis": "#999999",
}
"""Colours of Okabe & Ito, which differ for every kind of colour vision."""


def colour_of(axis: str) -> str:
    """Return the colour of an axis of :func:`segments_of`, in 3D Slicer and in pictures.

    Example:
        >>> colour_of("neck axis")
        '#D55E00'
    """
    return _COLOURS[axis]


def markups(anatomy: Anatomy, name: str) -> dict[str, Any]:
    """Return landmarks and axes as content of a ``.mrk.json`` file.

    It contains a point list named after the femur, and a line for each axis.

    Args:
        anatomy: The landmarks.
        name: Name of the femur, which the names of all markups begin with.
    """
    landmarks = points_of(anatomy)
    lists = [_markup("Fiducial", f"{name} landmarks", landmarks, (0.1, 0.1, 0.1))] if landmarks else []
    for axis, ends in segments_of(anatomy).items():
        points = dict(zip((f"{axis} 1", f"{axis} 2"), ends, strict=True))
        lists.append(_markup("Line", f"{name} {axis}", points, _rgb(colour_of(axis))))
    return {"@schema": SCHEMA, "markups": lists}


def _markup(kind: str, name: str, points: Mapping[str, Point], colour: tuple[float, ...]) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "description": "",
                "associatedNodeID": "",
                "position": [round(float(part), 4) for part in point],
                # The axes of RAS in LPS, as 3D Slicer writes them.
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": True,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (label, point) in enumerate(points.items(), 1)
        ],
        "display": {
            "visibility": True,
            "opacity": 1.0,
            "color": list(colour),
            "selectedColor": list(colour),
            # Names of a line's ends would only cover the name of the line.
            "propertiesLabelVisibility": kind == "Line",
            "pointLabelsVisibility": kind == "Fiducial",
            "textScale": 2.5,
            "glyphType": "Sphere3D",
            "glyphScale": 1.5 if kind == "Fiducial" else 1.0,
            "useGlyphScale": True,
            "lineThickness": 0.3,
        },
    }


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(round(int(colour[start : start + 2], 16) / 255, 4) for start in (1, 3, 5))
