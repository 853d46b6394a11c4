"""Draw landmarks, axes and labels on one view of a femur, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.measurement.output.surface_shading import shade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface
    from nnunet_femur.measurement.landmarks import Point
    from nnunet_femur.measurement.output.femur_views import NamedView

INK, GREY, FAINT, DOUBT = "#222222", "#6E6E6E", "#B8B8B8", "#B35900"
"""Colours of text, of secondary text, of lines that lead to labels, and of what is doubtful."""

TEXT_POINTS = 7.5
"""Size of text in points."""

_POINTS_PER_INCH = 72
_PIXELS_PER_INCH = 150
"""Resolution of the bone, a little finer than that of the picture."""

_PAD = 3
"""Pixels around the bone, for its soft edge."""

_BONE_LOW, _BONE_HIGH = np.array([0.36, 0.31, 0.24]), np.array([1.0, 0.965, 0.89])
"""Colours of the darkest and of the brightest parts of the bone."""


@dataclass
class ViewDrawing:
    """A view while it is drawn; its labels are placed at the end.

    Attributes:
        axes: The area to draw in; its limits are in mm.
        named: The view.
        mm_per_inch: Scale.
        labels: Position in the view in mm, text and colour of each label.
    """

    axes: Axes
    named: NamedView
    mm_per_inch: float
    labels: list[tuple[NDArray[np.float64], str, str]] = field(default_factory=list)

    def bone(self, surface: Surface, normals: NDArray[np.float64]) -> None:
        """Draw the surface, lit by the normals of its corners."""
        from scipy import ndimage

        image = shade(surface, self.named.view, pixel_mm=self.mm_per_inch / _PIXELS_PER_INCH, normals=normals)
        brightness = np.pad(image.brightness, _PAD, constant_values=np.nan)
        seen = np.isfinite(brightness).astype(np.float32)
        # A soft edge has no steps; its colour is that of the bone beside it.
        beside = ndimage.uniform_filter(np.nan_to_num(brightness), 5) / np.maximum(
            ndimage.uniform_filter(seen, 5), 1e-6
        )
        share = np.where(seen > 0, brightness, beside)[..., None]
        pixels = np.empty((*brightness.shape, 4), np.float32)
        pixels[..., :3] = _BONE_LOW + np.clip(share, 0, 1) * (_BONE_HIGH - _BONE_LOW)
        pixels[..., 3] = np.clip(ndimage.gaussian_filter(seen, 0.8), 0, 1)
        pad_mm = _PAD * self.mm_per_inch / _PIXELS_PER_INCH
        left, right, low, high = image.extent_mm
        extent = (left - pad_mm, right + pad_mm, low - pad_mm, high + pad_mm)
        self.axes.imshow(pixels, origin="lower", extent=extent, interpolation="antialiased", zorder=2)

    def line(self, start_mm: Point, end_mm: Point, colour: str, *, dashed: bool = False) -> None:
        """Draw a line between two points in LPS mm."""
        ends = self.named.view.project(np.array([start_mm, end_mm]))
        # A white edge keeps lines visible on the bone.
        self.axes.plot(*ends.T, color="white", lw=2.2, alpha=0.7, solid_capstyle="round", zorder=3)
        self.axes.plot(*ends.T, color=colour, lw=1.0, ls=(0, (4, 2)) if dashed else "-", zorder=4)

    def point(self, point_mm: Point, colour: str = INK) -> None:
        """Draw a dot at a point in LPS mm."""
        self.axes.plot(*self.named.view.project(point_mm), "o", ms=3.4, mfc=colour, mec="white", mew=0.6, zorder=6)

    def circle(self, center_mm: Point, radius_mm: float, colour: str) -> None:
        """Draw the outline of a sphere."""
        from matplotlib.patches import Circle

        center = self.named.view.project(center_mm)
        self.axes.add_patch(Circle((center[0], center[1]), radius_mm, fill=False, ec=colour, lw=0.9, zorder=4))

    def outline(self, points_mm: NDArray[np.float64], colour: str) -> None:
        """Draw a closed curve through points in LPS mm."""
        closed = self.named.view.project(np.vstack([points_mm, points_mm[:1]]))
        self.axes.plot(*closed.T, color=colour, lw=0.9, zorder=4)

    def arc(self, corner_mm: Point, first: Point, second: Point, radius_mm: float, colour: str) -> Point:
        """Draw the angle between two directions as the view shows it, and return a point in the middle of the arc.

        Args:
            corner_mm: Corner of the angle in LPS mm.
            first: One direction in LPS.
            second: The other direction.
            radius_mm: Radius of the arc.
            colour: Its colour.
        """
        view = self.named.view
        start, end = (float(np.arctan2(*view.project(each)[::-1])) for each in (first, second))
        turn = (end - start + np.pi) % (2 * np.pi) - np.pi
        angles = start + np.linspace(0, turn, 41)
        points = view.project(corner_mm) + radius_mm * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self.axes.plot(*points.T, color="white", lw=2.2, alpha=0.7, zorder=5)
        self.axes.plot(*points.T, color=colour, lw=1.0, zorder=5)
        middle = points[20] - view.project(corner_mm)
        return np.asarray(corner_mm + middle[0] * view.right + middle[1] * view.up)

    def label(self, point_mm: Point, text: str, colour: str) -> None:
        """Name a point in LPS mm; the text is placed at the nearer edge, with a line that leads to the point."""
        self.labels.append((self.named.view.project(point_mm), text, colour))

    def finish(self) -> None:
        """Place the labels, name the view and its edges, and draw a scale bar."""
        (left, right), (low, high) = self.axes.get_xlim(), self.axes.get_ylim()
        middle = (left + right) / 2
        line_mm = 1.25 * TEXT_POINTS / _POINTS_PER_INCH * self.mm_per_inch
        for at_left in (True, False):
            here = [label for label in self.labels if (label[0][0] < middle) == at_left]
            lines = [text.count("\n") + 1 for _, text, _ in here]
            top = high - 3 * line_mm
            heights = spread([float(point[1]) for point, _, _ in here], lines, line_mm, low + 3 * line_mm, top)
            for (point, text, colour), height in zip(here, heights, strict=True):
                self.axes.annotate(
                    text,
                    xy=(point[0], point[1]),
                    xytext=(left if at_left else right, height),
                    ha="left" if at_left else "right",
                    va="center",
                    multialignment="left" if at_left else "right",
                    color=colour,
                    size=TEXT_POINTS,
                    zorder=7,
                    bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6},
                    arrowprops={"arrowstyle": "-", "lw": 0.5, "color": FAINT, "shrinkA": 2, "shrinkB": 2.5},
                )
        for x, text, align in ((left, self.named.left, "left"), (right, self.named.right, "right")):
            self.axes.text(x, high, text, ha=align, va="top", size=TEXT_POINTS - 1, color=GREY)
        self.axes.text(middle, high, self.named.name, ha="center", va="top", size=TEXT_POINTS + 1.5, color=INK)
        self._scale_bar((middle, low))

    def _scale_bar(self, place: tuple[float, float]) -> None:
        length = 50 if self.mm_per_inch > 40 else 20
        x, y = place
        y += 0.06 * self.mm_per_inch
        self.axes.plot([x - length / 2, x + length / 2], [y, y], color=GREY, lw=1.4, solid_capstyle="butt")
        above = y + 0.05 * self.mm_per_inch
        self.axes.text(x, above, f"{length} mm", ha="center", va="bottom", size=TEXT_POINTS - 1, color=GREY)


_GAP_LINES = 0.3
"""Gap between labels, in lines."""


def spread(wanted: Sequence[float], lines: Sequence[int], line: float, low: float, high: float) -> list[float]:
    """Return heights of labels near the wanted ones, so that no two overlap.

    Args:
        wanted: Wanted height of the middle of each label.
        lines: Number of lines of each label.
        line: Height of a line.
        low: Lowest height of a middle.
        high: Highest height of a middle; it wins over `low` if there are too many labels.

    Example:
        >>> spread([50.0, 51.0, 10.0], [1, 1, 1], 10.0, 0.0, 100.0)
        [50.0, 63.0, 10.0]
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    heights = list(wanted)
    reached = -np.inf
    for number in order:
        half = (lines[number] + _GAP_LINES) * line / 2
        heights[number] = max(wanted[number], low, reached + half)
        reached = heights[number] + half
    limit = np.inf
    for number in reversed(order):
        half = (lines[number] + _GAP_LINES) * line / 2
        heights[number] = min(heights[number], high, limit - half)
        limit = heights[number] - half
    return heights
