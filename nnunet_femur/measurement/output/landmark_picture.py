"""Picture of a femur: its surface from the front, the side and above, with landmarks, axes and values."""

from __future__ import annotations

import io
import textwrap
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.findings import Severity
from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
from nnunet_femur.measurement.landmarks import unit
from nnunet_femur.measurement.output.femur_views import anatomical_views
from nnunet_femur.measurement.output.measurement_report import range_text, unit_text
from nnunet_femur.measurement.output.measurement_tables import ALL_QUANTITIES, keys_of, number_text, reason_of, value_of
from nnunet_femur.measurement.output.slicer_markups import colour_of, segments_of
from nnunet_femur.measurement.output.surface_shading import corner_normals
from nnunet_femur.measurement.output.view_drawing import DOUBT, GREY, INK, TEXT_POINTS, ViewDrawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Value
    from nnunet_femur.measurement.landmarks import Anatomy, Point
    from nnunet_femur.measurement.output.femur_views import NamedView
    from nnunet_femur.measurement.quantity import Quantity

VALUES = (
    ("head_diameter_mm", "neck_width_min_mm", "neck_shaft_angle_deg", "neck_shaft_angle_frontal_deg", "offset_mm"),
    ("version_neck_deg", "version_murphy_deg", "version_head_shaft_deg"),
    ("mldfa_deg", "aldfa_deg", "anatomical_mechanical_angle_deg", "condylar_axis_angle_deg"),
    ("length_longest_mm", "length_bicondylar_mm", "length_mechanical_mm", "bow_anterior_mm", "isthmus_diameter_mm"),
    ("volume_ml",),
)
"""Values beside the views, in groups."""

_WIDTH, _HEIGHT = 11.0, 8.0
"""Size of the picture in inches."""

_DPI = 130

_AREAS = {"front": (0.2, 0.25, 3.8, 7.2), "side": (4.2, 0.25, 2.9, 7.2), "above": (7.3, 4.6, 3.5, 2.85)}
"""Left edge, lower edge, width and height of each view in inches."""

_SMOOTHING = 6
"""Smoothing of the normals that light the bone; the surface itself is not changed."""

_LEAST_MM_PER_INCH = {"front": 64.0, "side": 64.0, "above": 50.0}
"""Scale of small bones; a larger picture of them would leave no room for labels."""

_BONE_SHARE = 0.5
"""Largest share of the width of a view that the bone takes; the labels need the rest."""


def draw_femur(femur: FemurMeasurements) -> bytes:
    """Return a PNG of a femur with its landmarks, axes and main values.

    Works without a display. The views are along the anatomical axes, whatever the position of the leg.

    Args:
        femur: The measurements; its landmarks must contain a surface.

    Raises:
        ValueError: There is no surface.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    png = io.BytesIO()
    FigureCanvasAgg(femur_figure(femur)).print_png(png, metadata={"Software": ""})
    return png.getvalue()


def femur_figure(femur: FemurMeasurements) -> Figure:
    """Return the picture of :func:`draw_femur` as matplotlib's figure, for other formats and sizes.

    Args:
        femur: The measurements; its landmarks must contain a surface.

    Raises:
        ValueError: There is no surface.
    """
    from matplotlib.figure import Figure

    anatomy = femur.anatomy
    if anatomy is None or not len(anatomy.surface.triangles):
        msg = "a femur without a surface has no picture"
        raise ValueError(msg)
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
    _head(figure, femur)
    normals = corner_normals(anatomy.surface, smoothing=_SMOOTHING)
    drawers = (_draw_front, _draw_side, _draw_above)
    # A label or a name may state the side of a bone without condyles.
    views = dict(zip(_AREAS, anatomical_views(replace(anatomy, side=femur.side)), strict=True))
    scales = {area: _mm_per_inch(area, named, anatomy) for area, named in views.items()}
    scales["front"] = scales["side"] = max(scales["front"], scales["side"])
    for (area, named), draw in zip(views.items(), drawers, strict=True):
        drawing = _opened(figure, area, named, anatomy, scales[area])
        drawing.bone(anatomy.surface, normals)
        draw(drawing, femur, anatomy)
    _write_values(figure, femur)
    return figure


def _mm_per_inch(area: str, named: NamedView, anatomy: Anatomy) -> float:
    """Return a scale at which the bone fits into the area of a view, with room for labels, headings and a scale bar."""
    _, _, width, height = _AREAS[area]
    size = np.ptp(named.view.project(anatomy.surface.points_mm), axis=0)
    fits = max(size[0] / (_BONE_SHARE * width), size[1] / (height - 0.75))
    return max(_LEAST_MM_PER_INCH[area], float(fits))


def _opened(figure: Figure, area: str, named: NamedView, anatomy: Anatomy, scale: float) -> ViewDrawing:
    """Return the empty drawing of a view, with the bone's place in the middle."""
    left, low, width, height = _AREAS[area]
    points = named.view.project(anatomy.surface.points_mm)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    axes = figure.add_axes((left / _WIDTH, low / _HEIGHT, width / _WIDTH, height / _HEIGHT))
    axes.set_axis_off()
    half_width, half_height = width * scale / 2, height * scale / 2
    axes.set_xlim(middle[0] - half_width, middle[0] + half_width)
    axes.set_ylim(middle[1] - half_height - 0.05 * scale, middle[1] + half_height - 0.05 * scale)
    axes.set_aspect("equal")
    return ViewDrawing(axes, named, scale)


def _draw_front(drawing: ViewDrawing, femur: FemurMeasurements, anatomy: Anatomy) -> None:
    axes = segments_of(anatomy)
    for name in ("shaft axis", "proximal shaft axis", "mechanical axis", "distal joint line", "neck axis"):
        if name in axes:
            drawing.line(*axes[name], colour_of(name), dashed=name == "proximal shaft axis")
    if anatomy.head is not None:
        head = anatomy.head
        drawing.circle(head.center_mm, head.radius_mm, INK)
        drawing.point(head.center_mm)
        drawing.label(head.center_mm, f"head centre\n{_text(femur, 'head_diameter_mm', 'Ø')}", INK)
    if anatomy.neck is not None:
        drawing.outline(anatomy.neck.outline_mm, colour_of("neck axis"))
        drawing.point(anatomy.neck.center_mm, colour_of("neck axis"))
    if anatomy.neck is not None and anatomy.head is not None and anatomy.proximal_shaft is not None:
        corner = axes["neck axis"][0]
        shaft, neck = anatomy.proximal_shaft.direction, unit(anatomy.head.center_mm - anatomy.neck.center_mm)
        corner = anatomy.proximal_shaft.nearest(corner)
        drawing.arc(corner, neck, -shaft, 0.8 * anatomy.head.radius_mm, colour_of("neck axis"))
        text = _text(femur, "neck_shaft_angle_deg", "neck-shaft")
        if value_of(femur, "neck_shaft_angle_frontal_deg") is not None:
            text += f"\n{_text(femur, 'neck_shaft_angle_frontal_deg', 'frontal')}"
        drawing.label(corner, text, colour_of("neck axis"))
    _label_middle(drawing, axes, "shaft axis", 0.42, "shaft axis")
    _label_middle(drawing, axes, "proximal shaft axis", 0.3, "proximal\nshaft axis")
    _label_middle(drawing, axes, "mechanical axis", 0.62, "mechanical axis")
    if anatomy.distal is not None:
        drawing.point(anatomy.distal.knee_center_mm, colour_of("mechanical axis"))
        drawing.label(anatomy.distal.knee_center_mm, "knee centre", colour_of("mechanical axis"))
        colour = colour_of("distal joint line")
        for point in (anatomy.distal.distal_medial_mm, anatomy.distal.distal_lateral_mm):
            drawing.point(point, colour)
        drawing.label(anatomy.distal.distal_lateral_mm, _text(femur, "mldfa_deg", "mLDFA"), colour)
    drawing.finish()


def _draw_side(drawing: ViewDrawing, femur: FemurMeasurements, anatomy: Anatomy) -> None:
    axes = segments_of(anatomy)
    for name in ("shaft axis", "mechanical axis", "neck axis"):
        if name in axes:
            drawing.line(*axes[name], colour_of(name))
    if anatomy.head is not None:
        drawing.circle(anatomy.head.center_mm, anatomy.head.radius_mm, INK)
        drawing.point(anatomy.head.center_mm)
        drawing.label(anatomy.head.center_mm, "head centre", INK)
    if anatomy.lesser_trochanter_mm is not None:
        drawing.point(anatomy.lesser_trochanter_mm)
        drawing.label(anatomy.lesser_trochanter_mm, "lesser\ntrochanter", GREY)
    if anatomy.distal is not None:
        distal = anatomy.distal
        for sphere in (distal.medial_condyle, distal.lateral_condyle):
            drawing.circle(sphere.center_mm, sphere.radius_mm, colour_of("posterior condylar line"))
        drawing.label(distal.medial_condyle.center_mm, "condyle spheres", colour_of("posterior condylar line"))
        drawing.point(distal.knee_center_mm, colour_of("mechanical axis"))
    if "shaft axis" in axes and value_of(femur, "bow_anterior_mm") is not None:
        low, high = axes["shaft axis"]
        drawing.label((low + high) / 2, _text(femur, "bow_anterior_mm", "bow"), colour_of("shaft axis"))
    drawing.finish()


def _draw_above(drawing: ViewDrawing, femur: FemurMeasurements, anatomy: Anatomy) -> None:
    axes = segments_of(anatomy)
    if anatomy.head is not None:
        drawing.circle(anatomy.head.center_mm, anatomy.head.radius_mm, INK)
        drawing.point(anatomy.head.center_mm)
    for name in ("posterior condylar line", "neck axis"):
        if name in axes:
            drawing.line(*axes[name], colour_of(name))
    if anatomy.distal is not None:
        colour = colour_of("posterior condylar line")
        for point in (anatomy.distal.posterior_medial_mm, anatomy.distal.posterior_lateral_mm):
            drawing.point(point, colour)
        drawing.label(anatomy.distal.posterior_lateral_mm, "posterior\ncondylar line", colour)
    if anatomy.neck is not None and anatomy.head is not None:
        neck_mm, head_mm = anatomy.neck.center_mm, anatomy.head.center_mm
        drawing.point(neck_mm, colour_of("neck axis"))
        if anatomy.distal is not None:
            condyles = unit(anatomy.distal.posterior_medial_mm - anatomy.distal.posterior_lateral_mm)
            reach = 2.2 * anatomy.head.radius_mm
            drawing.line(neck_mm, neck_mm + reach * condyles, colour_of("posterior condylar line"), dashed=True)
            middle = drawing.arc(neck_mm, condyles, head_mm - neck_mm, 0.92 * reach, colour_of("neck axis"))
            drawing.label(middle, _text(femur, "version_neck_deg", "version,\nneck"), colour_of("neck axis"))
    drawing.finish()


def _label_middle(
    drawing: ViewDrawing, axes: dict[str, tuple[Point, Point]], name: str, share: float, text: str
) -> None:
    if name in axes:
        low, high = axes[name]
        drawing.label(low + share * (high - low), text, colour_of(name))


def _text(femur: FemurMeasurements, key: str, name: str) -> str:
    """Return name, value and unit of a quantity; the name alone if it is missing."""
    value = value_of(femur, key)
    if value is None:
        return name
    unit_of = unit_text(ALL_QUANTITIES[key].unit)
    return f"{name} {number_text(ALL_QUANTITIES[key], value)}{'' if unit_of == '°' else ' '}{unit_of}"


def _head(figure: Figure, femur: FemurMeasurements) -> None:
    origin = {"shape": "by shape", "label": "by label", "other-bone": "by the other femur", "id": "by name"}
    side = f"{femur.side} femur" if femur.side_source else "femur, side unknown"
    source = origin.get(femur.side_source, "")
    y = 1 - 0.2 / _HEIGHT
    figure.text(0.2 / _WIDTH, y, femur.case, size=13, color=INK, va="top", weight="bold", parse_math=False)
    figure.text((_WIDTH - 0.2) / _WIDTH, y, f"{side} {source}".strip(), size=10, color=GREY, va="top", ha="right")


def _write_values(figure: Figure, femur: FemurMeasurements) -> None:
    """Write the table of values, then the reasons for what is missing, and warnings."""
    left, value_at, unit_at, normal_at = 7.3, 9.85, 9.89, 10.8
    y, step = 4.35, 0.158

    def write(x: float, text: str, colour: str = INK, align: str = "left", size: float = TEXT_POINTS) -> None:
        """Write a text in the current line."""
        figure.text(x / _WIDTH, y / _HEIGHT, text, size=size, color=colour, ha=align, va="top", parse_math=False)

    write(normal_at, "adults", GREY, "right", TEXT_POINTS - 1)
    for group in VALUES:
        shown = [ALL_QUANTITIES[key] for key in group if key in ALL_QUANTITIES]
        for quantity in shown:
            value = value_of(femur, quantity.key)
            y -= step
            write(left, quantity.label, INK if value is not None else GREY)
            write(value_at, number_text(quantity, value), _colour(quantity, value), "right")
            write(unit_at, unit_text(quantity.unit), GREY)
            if quantity.normal is not None:
                write(normal_at, range_text(quantity), GREY, "right", TEXT_POINTS - 1)
        y -= 0.06
    y -= 0.12
    for line, colour in _notes(femur, lines=int((y - 0.25) / 0.13)):
        y -= 0.13
        write(left, line, colour, size=TEXT_POINTS - 1)


def _colour(quantity: Quantity, value: Value | None) -> str:
    """Return the colour of a value: grey if it is missing, orange outside the range of adults."""
    if not isinstance(value, float):
        return GREY
    low, high = quantity.normal or (-np.inf, np.inf)
    return INK if low <= value <= high else DOUBT


def _notes(femur: FemurMeasurements, *, lines: int) -> list[tuple[str, str]]:
    """Return lines about what is missing and doubtful; those that do not fit are left out, with a remark.

    Reasons for missing quantities of the CT are in the tables only: the picture contains no values of the CT.
    """
    labels: dict[str, list[str]] = defaultdict(list)
    for key in keys_of([femur]):
        if key not in CT_QUANTITIES and (reason := reason_of(femur, key)) is not None:
            labels[reason.text].append(ALL_QUANTITIES[key].label)
    texts = [(each.problem, DOUBT) for each in femur.findings if each.severity is not Severity.NOTE]
    for text, missing in labels.items():
        names = ", ".join(missing) if len(missing) <= _MOST_NAMES else f"{len(missing)} quantities"
        texts.append((f"not measured: {names}. {text}", GREY))
    found = [(line, colour) for text, colour in texts for line in textwrap.wrap(text, _LETTERS)]
    return found if len(found) <= lines else [*found[: lines - 1], ("...", GREY)]


_MOST_NAMES, _LETTERS = 4, 64
