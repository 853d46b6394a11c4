"""Pictures of docs/measurements.md: the landmarks and lines of a phantom, seen from the front, the side and above.

Run: uv run python benchmarks/measurements_figures.py docs/images

The bone is a phantom of nnunet_femur.testing, and all lines are those that the measurements found on its mask.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import matplotlib.pyplot as plt
import SimpleITK as sitk
from matplotlib.collections import PolyCollection
from PIL import Image

from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.measurement.landmarks import across, unit
from nnunet_femur.measurement.measuring import measure_mask
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.measurement.landmarks import Anatomy

    Vector = NDArray[np.float64]

BONE, MECHANICAL, SHAFT, NECK, LINE, OTHER = "#e8e2d4", "#1f5fa8", "#d1660f", "#2a8a3e", "#8a2a8a", "#555555"


@dataclass(frozen=True)
class View:
    """An orthographic view in millimetres, with the head's centre as origin.

    Attributes:
        axes: Axes of the picture.
        right: Direction that is to the right in the picture.
        up: Direction that is up.
        origin_mm: Point at the origin.
    """

    axes: Axes
    right: Vector
    up: Vector
    origin_mm: Vector

    def flat(self, points_mm: Vector) -> Vector:
        """Return points in the picture, shape (..., 2)."""
        offsets = np.asarray(points_mm) - self.origin_mm
        return np.stack([offsets @ self.right, offsets @ self.up], axis=-1)

    def bone(self, anatomy: Anatomy) -> None:
        """Draw the surface, lit from the viewer's upper left."""
        towards = np.cross(self.right, self.up)
        corners = anatomy.surface.points_mm[anatomy.surface.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        seen = np.flatnonzero(normals @ towards > 0)
        seen = seen[np.argsort((corners[seen].mean(1) - self.origin_mm) @ towards)]
        light = unit(towards + 0.5 * self.up - 0.4 * self.right)
        shade = 0.45 + 0.55 * np.clip(normals[seen] @ light, 0, 1)
        colors = np.array(mpl.colors.to_rgb(BONE)) * shade[:, None]
        self.axes.add_collection(
            PolyCollection(
                self.flat(corners[seen]), facecolors=colors, edgecolors=colors, linewidths=0.3, rasterized=True
            )
        )
        self.axes.set_aspect("equal")
        self.axes.axis("off")
        self.axes.autoscale_view()

    def line(self, start_mm: Vector, end_mm: Vector, color: str, style: str = "-", width: float = 1.6) -> None:
        """Draw a line between two points."""
        self.axes.plot(*self.flat(np.array([start_mm, end_mm])).T, style, color=color, lw=width)

    def point(self, point_mm: Vector, color: str, label: str = "", offset: tuple[float, float] = (6, 6)) -> None:
        """Draw a point, with a label."""
        at = self.flat(point_mm)
        self.axes.plot(*at, "o", color=color, ms=4.5, mec="white", mew=0.7)
        if label:
            self.text(point_mm, label, color, offset)

    def text(self, point_mm: Vector, label: str, color: str, offset: tuple[float, float]) -> None:
        """Write a label beside a point."""
        x, y = self.flat(point_mm) + offset
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
        self.axes.text(
            x, y, label, color=color, fontsize=8, ha="left" if offset[0] >= 0 else "right", va="center", bbox=box
        )

    def arc(self, vertex_mm: Vector, one: Vector, other: Vector, radius_mm: float, color: str, label: str) -> None:
        """Draw the angle between two directions, as it appears in the picture."""
        first, second = (np.arctan2(v @ self.up, v @ self.right) for v in (one, other))
        turn = (second - first + np.pi) % (2 * np.pi) - np.pi
        angles = first + np.linspace(0, turn, 60)
        center = self.flat(vertex_mm)
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self.axes.plot(*(center + radius_mm * ring).T, "-", color=color, lw=1.2)
        x, y = center + (radius_mm + 4) * ring[30]
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
        self.axes.text(
            x, y, label, color=color, fontsize=8, ha="left" if ring[30, 0] >= 0 else "right", va="center", bbox=box
        )


def _frame(anatomy: Anatomy) -> tuple[Vector, Vector, Vector]:
    """Return medial, posterior and up of the frontal plane."""
    up = anatomy.mechanical.direction
    medial = unit(across(anatomy.medial, up))
    posterior = np.cross(medial, up)
    return medial, posterior * np.sign(posterior @ anatomy.posterior), up


def frontal(found: FemurMeasurements, path: Path) -> None:
    """Draw axes and angles of the frontal plane."""
    bone = found.anatomy
    medial, posterior, up = _frame(bone)
    figure, axes = plt.subplots(figsize=(4.2, 9))
    view = View(axes, medial, up, bone.head.center_mm)
    view.bone(bone)
    head, knee, distal = bone.head.center_mm, bone.distal.knee_center_mm, bone.distal
    flat_shaft = unit(across(bone.shaft.direction, posterior))
    flat_proximal = unit(across(bone.proximal_shaft.direction, posterior))
    flat_neck = unit(across(head - bone.neck.center_mm, posterior))
    bottom = bone.shaft.nearest(distal.notch_mm)
    view.line(knee, head + 20 * up, MECHANICAL)
    view.line(bottom, bone.shaft.nearest(head), SHAFT)
    base = bone.proximal_shaft.nearest(bone.lesser_trochanter_mm)
    view.line(base - 130 * flat_proximal, base + 80 * flat_proximal, SHAFT, "--")
    view.line(head - 75 * flat_neck, head + 25 * flat_neck, NECK)
    joint = unit(across(distal.distal_medial_mm - distal.distal_lateral_mm, posterior))
    view.line(distal.distal_lateral_mm - 22 * joint, distal.distal_medial_mm + 22 * joint, LINE)
    crossing = _crossing(view, head, flat_neck, base, flat_proximal)
    view.arc(crossing, flat_neck, -flat_proximal, 34, NECK, f"neck-shaft\n{found['neck_shaft_angle_frontal_deg']:.0f}°")
    corner = _crossing(view, distal.distal_lateral_mm, joint, head, up)
    view.arc(corner, -joint, up, 42, MECHANICAL, f"mLDFA {found['mldfa_deg']:.0f}°")
    other = _crossing(view, distal.distal_lateral_mm, joint, bone.shaft.point_mm, flat_shaft)
    view.arc(other, -joint, flat_shaft, 70, SHAFT, f"aLDFA {found['aldfa_deg']:.0f}°")
    top = _crossing(view, bone.shaft.point_mm, flat_shaft, knee, up)
    view.arc(top, up, flat_shaft, 200, OTHER, f"AMA {found['anatomical_mechanical_angle_deg']:.1f}°")
    foot = bone.proximal_shaft.nearest(head)
    view.line(foot, head, OTHER, ":")
    view.text((foot + head) / 2, f"offset {found['offset_mm']:.0f} mm", OTHER, (-10, 9))
    view.point(head, MECHANICAL, "head centre", (8, -9))
    view.point(knee, MECHANICAL, "knee centre", (9, 6))
    view.point(distal.notch_mm, LINE, "notch", (9, -4))
    for contact in (distal.distal_medial_mm, distal.distal_lateral_mm):
        view.point(contact, LINE)
    _save(figure, path)


def _crossing(view: View, one_mm: Vector, one: Vector, other_mm: Vector, other: Vector) -> Vector:
    """Return the point of the first line at which two lines cross in a picture."""
    directions = np.array([[v @ view.right, v @ view.up] for v in (one, -other)]).T
    return one_mm + np.linalg.solve(directions, view.flat(other_mm) - view.flat(one_mm))[0] * one


def above(found: FemurMeasurements, path: Path) -> None:
    """Draw the versions, seen along the mechanical axis."""
    bone = found.anatomy
    medial, posterior, up = _frame(bone)
    figure, axes = plt.subplots(figsize=(6.2, 5.6))
    view = View(axes, -medial, -posterior, bone.head.center_mm)
    view.bone(bone)
    head, distal = bone.head.center_mm, bone.distal
    line = unit(across(bone.medial, up))
    view.line(distal.posterior_lateral_mm - 12 * line, distal.posterior_medial_mm + 22 * line, LINE)
    view.point(distal.posterior_medial_mm, LINE)
    view.point(distal.posterior_lateral_mm, LINE)
    view.text(distal.posterior_medial_mm + 22 * line, "posterior\ncondylar line", LINE, (3, -9))
    neck = unit(across(head - bone.neck.center_mm, up))
    shaft_point = bone.lesser_trochanter_mm
    head_shaft = unit(across(head - shaft_point, up))
    view.line(head - 60 * neck, head + 32 * neck, NECK)
    view.line(shaft_point, head + 32 * head_shaft, SHAFT, "--")
    view.point(shaft_point, SHAFT, "shaft axis at the\nlesser trochanter", (4, 11))
    view.point(head, MECHANICAL, "head centre", (2, 7))
    start = head - 60 * neck
    view.line(start, start + 70 * line, OTHER, ":", 1)
    view.arc(start, line, neck, 58, NECK, f"neck {found['version_neck_deg']:.0f}°")
    view.line(shaft_point, shaft_point + 80 * line, OTHER, ":", 1)
    view.arc(shaft_point, line, head_shaft, 76, SHAFT, f"head-shaft {found['version_head_shaft_deg']:.0f}°")
    _save(figure, path)


def proximal(found: FemurMeasurements, path: Path) -> None:
    """Draw the sphere of the head with its cone, and the sections of the neck."""
    bone = found.anatomy
    _, posterior, _ = _frame(bone)
    head, radius, neck = bone.head.center_mm, bone.head.radius_mm, bone.neck
    axis = unit(head - neck.center_mm)
    away = unit(across(posterior, axis))
    upwards = np.cross(away, axis) * np.sign(np.cross(away, axis) @ bone.up)
    figure, axes = plt.subplots(figsize=(5.6, 5.2))
    right = unit(across(bone.medial, away))
    view = View(axes, right, np.cross(-away, right) * np.sign(np.cross(-away, right) @ bone.up), head)
    view.bone(bone)
    circle = np.linspace(0, 2 * np.pi, 200)
    ring = np.cos(circle)[:, None] * axis + np.sin(circle)[:, None] * upwards
    axes.plot(*view.flat(head + radius * ring).T, ":", color=MECHANICAL, lw=1)
    fitted = np.abs((circle + np.pi) % (2 * np.pi) - np.pi) <= np.deg2rad(110)
    order = np.argsort(((circle + np.pi) % (2 * np.pi))[fitted])
    axes.plot(*view.flat(head + radius * ring[fitted][order]).T, "-", color=MECHANICAL, lw=2.2)
    for side in (-1, 1):
        edge = np.cos(np.deg2rad(110)) * axis + side * np.sin(np.deg2rad(110)) * upwards
        view.line(head, head + radius * edge, MECHANICAL, "-", 0.8)
    view.arc(head, axis, np.cos(np.deg2rad(110)) * axis + np.sin(np.deg2rad(110)) * upwards, 9, MECHANICAL, "110°")
    for share in np.linspace(0.8, 1.1, 9):
        point = head - share * radius * axis
        reach = 0.75 * radius
        view.line(point - reach * upwards, point + reach * upwards, OTHER, "-", 0.5)
    view.line(head - 70 * axis, head + 38 * axis, NECK)
    axes.plot(*view.flat(np.vstack([neck.outline_mm, neck.outline_mm[:1]])).T, "-", color=LINE, lw=1.8)
    view.text(neck.outline_mm[np.argmax(neck.outline_mm @ upwards)], "narrowest\nsection", LINE, (-4, 9))
    view.point(neck.center_mm, NECK, "neck centre", (-6, -9))
    view.point(head, MECHANICAL, "head centre", (7, -7))
    view.text(head + radius * unit(axis - upwards), "sphere of\nthe head", MECHANICAL, (2, -9))
    low, high = view.flat(head - 95 * bone.up), view.flat(head + 40 * bone.up)
    axes.set_ylim(low[1], high[1])
    axes.set_xlim(-85, 60)
    _save(figure, path)


def lateral(found: FemurMeasurements, path: Path) -> None:
    """Draw bow, isthmus, levels and the coordinate system, seen from medial."""
    bone = found.anatomy
    _, posterior, up = _frame(bone)
    figure, axes = plt.subplots(figsize=(3.9, 9))
    view = View(axes, posterior, up, bone.head.center_mm)
    view.bone(bone)
    along = bone.surface.points_mm @ bone.up
    top, length = along.max(), np.ptp(along)

    def at(level: float) -> Vector:
        """Return the point of the shaft axis at a level from the top."""
        return bone.shaft.point_mm + (top - level * length - bone.shaft.point_mm @ bone.up) * bone.up

    view.line(at(0.02), at(0.98), SHAFT)
    forwards = unit(across(posterior, bone.up))
    for level, label in (
        (0.2, "20 %"),
        (0.5, "50 %"),
        (0.8, "80 %"),
        (found["isthmus_level_percent"] / 100, "isthmus"),
    ):
        color = LINE if label == "isthmus" else OTHER
        view.line(at(level) - 26 * forwards, at(level) + 26 * forwards, color, "-", 1)
        view.text(at(level) - 26 * forwards, label, color, (-3, 0))
    trochanter = bone.lesser_trochanter_mm
    view.line(trochanter - 26 * forwards, trochanter + 30 * forwards, NECK, "-", 1)
    view.text(trochanter + 30 * forwards, "lesser\ntrochanter", NECK, (3, 0))
    section = trochanter + 8 * bone.up
    view.line(section - 30 * forwards, section + 22 * forwards, NECK, "--", 1)
    view.text(section - 30 * forwards, "8 mm above\n(Murphy)", NECK, (-2, 6))
    for sphere in (bone.distal.medial_condyle, bone.distal.lateral_condyle):
        circle = np.linspace(0, 2 * np.pi, 100)
        ring = sphere.radius_mm * (np.cos(circle)[:, None] * posterior + np.sin(circle)[:, None] * up)
        axes.plot(*view.flat(sphere.center_mm + ring).T, "-", color=MECHANICAL, lw=1.2)
    view.point(bone.distal.knee_center_mm, MECHANICAL, "knee centre", (-8, 8))
    head = bone.head.center_mm
    for key, label in (("isb_x_lps", "x"), ("isb_y_lps", "y")):
        tip = head + 45 * np.array(found[key])
        view.line(head, tip, MECHANICAL, "-", 2)
        view.text(tip, label, MECHANICAL, (3, 4))
    view.point(head, MECHANICAL)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    """Write a picture of 128 colours: a third of the bytes."""
    memory = BytesIO()
    figure.savefig(memory, dpi=110, bbox_inches="tight", pad_inches=0.05)
    plt.close(figure)
    Image.open(memory).convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    phantom = make_phantom(arguments.seed, side="right", size_zyx=(490, 150, 150), spacing_mm_zyx=(1.0, 1.0, 1.0))
    found = measure_mask(sitk.GetArrayFromImage(phantom.mask), Geometry.of(phantom.mask), side="right")
    for name, draw in (("frontal", frontal), ("above", above), ("proximal", proximal), ("lateral", lateral)):
        draw(found, arguments.out / f"measurements-{name}.png")


if __name__ == "__main__":
    main()
