"""Three planes of a case: in each the slice with most of the bone, without and with contours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.comparison.report import sections
from nnunet_femur.comparison.report.drawing import WIDTH, Sketch
from nnunet_femur.comparison.report.figures.example_case import choose_example
from nnunet_femur.comparison.report.figures.slice_images import SliceImage, SliceReader, SliceView
from nnunet_femur.comparison.report.figures.slice_panels import contour_legend, draw_slice, frame_mm
from nnunet_femur.comparison.report.report_data import file_name
from nnunet_femur.evaluation import PLANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.comparison.report.report_data import ReportData


def draw_planes(data: ReportData, reader: SliceReader) -> Iterator[Sketch]:
    """Draw one figure, of a median case of the best method."""
    from matplotlib.figure import Figure

    example = choose_example(data)
    if example is None:
        return
    reference = example.reference(reader)
    if not reference.any():
        return
    views = {}
    for axis, plane in enumerate(PLANES):
        others = tuple(other for other in range(3) if other != axis)
        index = int(reference.sum(axis=others).argmax())
        views[plane] = SliceView(example.best_predictions, example.case, index, plane)
    images = reader.read(views.values())
    # The femur is long and thin: coronal and sagittal slices fill the height, each twice, and the axial slices are in
    # the last column, one above the other.
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    widths = [_relative_width(images[views[plane].key]) for plane in ("coronal", "coronal", "sagittal", "sagittal")]
    cells = figure.add_gridspec(2, 5, width_ratios=[*widths, max(0.4, WIDTH / 5.0 - sum(widths))])
    places = {
        "coronal": (cells[:, 0], cells[:, 1]),
        "sagittal": (cells[:, 2], cells[:, 3]),
        "axial": (cells[0, 4], cells[1, 4]),
    }
    for plane, (plain, contoured) in places.items():
        for cell, contours in ((plain, False), (contoured, True)):
            axes = figure.add_subplot(cell)
            image = images[views[plane].key]
            frame = frame_mm([image], square=plane == "axial")
            draw_slice(axes, image, frame=frame, contours=contours, line_width=1.0)
            if not contours:
                axes.set_title(f"{plane} {views[plane].index}", loc="left", fontsize=8)
    contour_legend(figure)
    yield Sketch(
        figure,
        name=file_name("planes", example.group.dataset),
        section=sections.PLANES,
        caption=f"Case {example.case}: in each plane the slice that contains most of the bone, as CT alone and with "
        f"the contours of the reference and of the prediction of {example.best_label}.",
    )


def _relative_width(image: SliceImage) -> float:
    """Return the width of the shown part divided by its height."""
    (bottom, top), (left, right) = frame_mm([image], square=False)
    return (right - left) / (top - bottom)
