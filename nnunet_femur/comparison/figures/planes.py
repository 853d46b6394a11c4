"""The three planes of a case: the CT, and the CT with truth and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison import sections
from nnunet_femur.comparison.drawing import WIDTH, Sketch
from nnunet_femur.comparison.figures.album import Album, Picture, View
from nnunet_femur.comparison.figures.choosing import example
from nnunet_femur.comparison.figures.panels import frame_mm, legend, show
from nnunet_femur.comparison.tables.scores import slug
from nnunet_femur.evaluation import PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.findings import Findings


def draw_planes(findings: Findings, album: Album) -> Iterator[Sketch]:
    """One figure: a median case of the best method, in each plane the slice that holds most of the bone."""
    from matplotlib.figure import Figure

    shown = example(findings)
    if shown is None:
        return
    one = shown.best_prediction
    truth = album.truth(one, shown.case).voxels
    if not truth.any():
        return
    views = {}
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        views[plane] = View(one, shown.case, int(truth.sum(axis=others).argmax()), plane)
    pictures = album.cut(views.values())
    # The bone is long and thin: two planes stand side by side, the third beside them, the CT above its contours.
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    widths = [_width(pictures[views[plane].key]) for plane in ("coronal", "coronal", "sagittal", "sagittal")]
    spots = figure.add_gridspec(2, 5, width_ratios=[*widths, max(0.4, WIDTH / 5.0 - sum(widths))])
    places = {
        "coronal": (spots[:, 0], spots[:, 1]),
        "sagittal": (spots[:, 2], spots[:, 3]),
        "axial": (spots[0, 4], spots[1, 4]),
    }
    for plane, (plain, drawn) in places.items():
        for spot, contours in ((plain, False), (drawn, True)):
            axes = figure.add_subplot(spot)
            show(axes, pictures[views[plane].key], square=plane == "axial", contours=contours, line=1.0)
            if not contours:
                axes.set_title(f"{plane} {views[plane].index}", loc="left", fontsize=8)
    legend(figure)
    yield Sketch(
        figure,
        name=slug("planes", shown.group.dataset),
        section=sections.PLANES,
        caption=f"Case {shown.case}: the CT, and beside or below it the contours of the truth and of the prediction of "
        f"{shown.best_label}. Of each plane the slice that holds most of the bone.",
    )


def _width(picture: Picture) -> float:
    """Width of a picture of height 1."""
    (bottom, top), (left, right) = frame_mm(picture, square=False)
    return (right - left) / (top - bottom)
