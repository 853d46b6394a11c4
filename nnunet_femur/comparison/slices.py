"""The best and the worst slice of every method: CT with the contours of truth and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.comparison.drawing import Drawing, drawn, style
from nnunet_femur.comparison.grouping import SETS
from nnunet_femur.comparison.naming import method_names
from nnunet_femur.evaluation import Mask, read_mask
from nnunet_femur.volumes import AxisOrder, Geometry, read_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.comparison.scoring import AxialSlice, Scored

WINDOW_HU = (-200, 1000)
"""Grey values of the CT from black to white."""

MARGIN_MM = 20.0
"""What is shown around the bone."""

SMALLEST_MM = 80.0
"""Edge of the smallest part that is shown, so that a few voxels are not blown up beyond recognition."""

TRUTH, PREDICTION = "#56B4E9", "#E69F00"


def draw_slices(scored: Scored) -> list[Drawing]:
    """A figure for each method, from its test set if that is predicted, else from its validations."""
    names = method_names(scored.scores["method"])
    drawings = []
    for method, name in names.items():
        best, worst = _of_method(scored.best, method), _of_method(scored.worst, method)
        if best:
            drawings.append(
                _draw(
                    method,
                    name,
                    min(best, key=lambda one: (-one.dice, -one.size)),
                    min(worst, key=lambda one: (one.dice, -one.size)),
                )
            )
    return drawings


def _of_method(slices: Sequence[AxialSlice], method: str) -> list[AxialSlice]:
    mine = [one for one in slices if one.predictions.method == method]
    first = min((list(SETS).index(one.predictions.set) for one in mine), default=None)
    return [one for one in mine if list(SETS).index(one.predictions.set) == first]


def _draw(method: str, name: str, best: AxialSlice, worst: AxialSlice) -> Drawing:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with style():
        figure = Figure(figsize=(5.2, 3.5), layout="compressed")
        for axes, word, one in zip(figure.subplots(1, 2), ("Best", "Worst"), (best, worst), strict=True):
            _draw_slice(axes, one)
            title = f"{word}: Dice {one.dice:.3f}\n{one.case}{one.predictions.fold_suffix}\naxial slice {one.index}"
            axes.set_title(title, loc="left")
        figure.legend(
            handles=[
                Line2D([], [], color=TRUTH, label="truth"),
                Line2D([], [], color=PREDICTION, linestyle="--", label="prediction"),
            ],
            loc="outside lower center",
            ncols=2,
            frameon=False,
        )
        dataset = method.rpartition("/")[0]
        return drawn(
            figure,
            name=f"slices_{method.replace('/', '__')}",
            section="Best and worst slice",
            caption=f"{' · '.join(filter(None, (dataset, name)))}, {SETS[best.predictions.set].lower()}.",
        )


def _draw_slice(axes: Axes, one: AxialSlice) -> None:
    dataset = one.predictions.dataset
    truth = read_mask(dataset.truth(one.case))
    prediction = read_mask(one.predictions.files[one.case], like=truth.geometry)
    masks = (truth.voxels[one.index], prediction.voxels[one.index])
    step_x, step_y, _ = truth.geometry.spacing_mm_xyz
    # Centres of the voxels in mm from the first; x leads to the patient's right and y to anterior.
    x, y = (np.arange(count) * step for count, step in zip(masks[0].shape[::-1], (step_x, step_y), strict=True))
    extent = (x[0] - step_x / 2, x[-1] + step_x / 2, y[0] - step_y / 2, y[-1] + step_y / 2)
    axes.set_facecolor("black")
    if (grey := _read_grey(one, truth)) is not None:
        low, high = WINDOW_HU
        axes.imshow(grey, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
    for mask, colour, line in zip(masks, (TRUTH, PREDICTION), ("-", "--"), strict=True):
        if mask.any():
            # A border of zeros closes the contour of a bone that leaves the picture.
            axes.contour(
                _beyond(x), _beyond(y), np.pad(mask, 1), levels=[0.5], colors=colour, linestyles=line, linewidths=1.4
            )
    _frame(axes, masks[0] | masks[1], x, y)


def _read_grey(one: AxialSlice, truth: Mask) -> NDArray[Any] | None:
    """The CT's slice, or None if there is no CT on the grid of the truth: a score does not need one."""
    import SimpleITK as sitk

    path = one.predictions.dataset.image(one.case)
    if path is None:
        return None
    image = read_volume(path)
    stored = Geometry.of(image)
    order = AxisOrder.between(stored, truth.geometry)
    if order.of_geometry(stored).differences(truth.geometry):
        return None
    return order.of_array(sitk.GetArrayViewFromImage(image))[one.index].copy()


def _beyond(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    step = centres[1] - centres[0] if centres.size > 1 else 1.0
    return np.concatenate(([centres[0] - step], centres, [centres[-1] + step]))


def _frame(axes: Axes, bone: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Cut a square around the bone, seen from the feet: the patient's right on the left, anterior up."""
    columns, rows = x[bone.any(axis=0)], y[bone.any(axis=1)]
    edge = max(columns[-1] - columns[0] + 2 * MARGIN_MM, rows[-1] - rows[0] + 2 * MARGIN_MM, SMALLEST_MM)
    centre_x, centre_y = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    axes.set_xlim(centre_x + edge / 2, centre_x - edge / 2)
    axes.set_ylim(centre_y - edge / 2, centre_y + edge / 2)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for letter, place in (("A", (0.5, 0.95)), ("P", (0.5, 0.05)), ("R", (0.05, 0.5)), ("L", (0.95, 0.5))):
        axes.text(*place, letter, transform=axes.transAxes, color="white", ha="center", va="center", fontsize=8)
