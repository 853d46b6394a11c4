"""Draw a case in three planes with the outline of its mask, and several cases on one sheet."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunet_femur.findings import Severity
from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

BONE_WINDOW_HU = (-250, 1250)
"""Values that are drawn black and white, in HU."""

CONTOUR_COLOUR = "#E69F00"
"""Orange of Okabe & Ito, which differs from grey for every kind of colour vision."""

MARGIN_MM = 25.0
"""Margin around the mask, in millimetres."""

_SEVERITY_COLOURS = {Severity.ERROR: "#D55E00", Severity.WARNING: "#B35900", Severity.NOTE: "#444444"}
_CELL_PIXELS = (480, 430)
_DPI = 100
_CAPTION_LINES, _CAPTION_LETTERS = 5, 88


class Plane(NamedTuple):
    """One plane of a volume as shown, with row 0 at the top.

    Attributes:
        name: Name of the plane.
        image: The CT, in HU.
        mask: True in the femur.
        pixel_mm: Height and width of a pixel in millimetres.
        edges: Directions of the patient (R, L, A, P, S, I) at the left, right, upper and lower edge.
    """

    name: str
    image: NDArray[np.int16]
    mask: NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    edges: tuple[str, str, str, str]


def planes(image_zyx: NDArray[np.int16], mask_zyx: NDArray, spacing_mm_xyz: Sequence[float]) -> list[Plane]:
    """Return the axial, coronal and sagittal plane in which the mask is largest, cropped to the mask and a margin.

    In radiological convention: axial seen from the feet, coronal from the front, both with the right of the patient on
    the left; sagittal with the front on the left.

    Args:
        image_zyx: HU in RAS order: x increases to the right, y to the front, z to the head.
        mask_zyx: The femur, above 0, on the same grid. For an empty mask, the middle of the volume is shown.
        spacing_mm_xyz: Spacing along x, y, z in mm.
    """
    femur = mask_zyx > 0
    spacing_zyx = tuple(spacing_mm_xyz)[::-1]
    box = box_of(femur)
    found = bool(femur.size) and box[0].stop > box[0].start
    shown, middle = [], []
    for axis in range(3):
        area = femur.sum(axis=tuple(other for other in range(3) if other != axis))
        margin = int(np.ceil(MARGIN_MM / spacing_zyx[axis]))
        first, end = (box[axis].start, box[axis].stop) if found else (0, femur.shape[axis])
        shown.append(slice(max(0, first - margin), end + margin))
        middle.append(int(area.argmax()) if found else femur.shape[axis] // 2)
    z, y, x = shown
    head = "S"
    return [
        Plane(name, _upright(image_zyx[where]), _upright(femur[where]), pixel_mm, edges)
        for name, where, pixel_mm, edges in (
            ("axial", (middle[0], y, x), (spacing_zyx[1], spacing_zyx[2]), ("R", "L", "A", "P")),
            ("coronal", (z, middle[1], x), (spacing_zyx[0], spacing_zyx[2]), ("R", "L", head, "I")),
            ("sagittal", (z, y, middle[2]), (spacing_zyx[0], spacing_zyx[1]), ("A", "P", head, "I")),
        )
    ]


def _upright(plane: NDArray) -> NDArray:
    """Reverse rows and columns, so that up is to the head or front, and left is to the right side or front."""
    return plane[::-1, ::-1]


def draw_case(of_case: Sequence[Plane], heading: str, findings: Sequence[Finding]) -> NDArray[np.uint8]:
    """Draw three planes side by side with the outline of the mask, a heading above and findings below.

    Args:
        of_case: The planes.
        heading: One line about the case.
        findings: Findings of the case; errors come first, and findings that do not fit are counted.

    Returns:
        The pixels (rows, columns, RGB).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = _CELL_PIXELS
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    worst = min((list(Severity).index(finding.severity) for finding in findings), default=len(Severity) - 1)
    colour = _SEVERITY_COLOURS[list(Severity)[worst]]
    figure.text(0.02, 0.985, heading, va="top", size=8, weight="bold", color=colour, parse_math=False)
    wide = [plane.image.shape[1] * plane.pixel_mm[1] for plane in of_case]
    share = np.clip(np.array(wide) / sum(wide), 0.2, None)
    share = 0.96 * share / share.sum()
    left = 0.02
    for plane, part in zip(of_case, share, strict=True):
        _draw_plane(figure.add_axes((left, 0.225, float(part) - 0.01, 0.70)), plane)
        left += float(part)
    for number, (line, line_colour) in enumerate(_caption(findings)):
        figure.text(0.02, 0.19 - 0.038 * number, line, va="top", size=6.4, color=line_colour, parse_math=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _draw_plane(axes: Axes, plane: Plane) -> None:
    low, high = BONE_WINDOW_HU
    height, width = plane.pixel_mm
    axes.imshow(plane.image, cmap="gray", vmin=low, vmax=high, aspect=height / width, interpolation="antialiased")
    if plane.mask.any():
        axes.contour(plane.mask.astype(float), levels=[0.5], colors=CONTOUR_COLOUR, linewidths=0.9)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    places = (
        *((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center")),
        *((0.5, 0.99, "center", "top"), (0.5, 0.01, "center", "bottom")),
    )
    for letter, (x, y, horizontal, vertical) in zip(plane.edges, places, strict=True):
        axes.text(x, y, letter, transform=axes.transAxes, ha=horizontal, va=vertical, size=6, color="#56B4E9")


def _caption(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    ordered = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    for finding in ordered:
        text = f"{finding.severity.value} {finding.code}: {finding.problem}"
        colour = _SEVERITY_COLOURS[finding.severity]
        lines += [(line, colour) for line in textwrap.wrap(text, _CAPTION_LETTERS)]
    if not lines:
        return [("no findings", "#666666")]
    if len(lines) > _CAPTION_LINES:
        return [*lines[: _CAPTION_LINES - 1], (f"... all {len(ordered)} findings are in index.html", "#444444")]
    return lines


def tiled(cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return all cells in rows on one sheet that is about as wide as high.

    Args:
        cells: Pictures of one size (rows, columns, RGB).
    """
    columns = min(len(cells), max(1, round((len(cells) * _CELL_PIXELS[1] / _CELL_PIXELS[0]) ** 0.5)))
    rows = -(-len(cells) // columns)
    height, width = cells[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = cell
    return sheet
