"""Slices of CTs with their masks, read with each file opened as seldom as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import FemurError
from nnunet_femur.evaluation import PLANES, Mask, read_mask
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import AxisOrder, Geometry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.comparison.predictions import Predictions

SIDES = {"axial": "APRL", "coronal": "SIRL", "sagittal": "SIAP"}
"""Letters at the top, bottom, left and right of each plane."""


@dataclass(frozen=True)
class View:
    """A slice that somebody wants to see.

    Attributes:
        predictions: What the prediction belongs to.
        case: Its case.
        index: Position of the slice, counted from the inferior, posterior or left end.
        plane: Its plane.
    """

    predictions: Predictions
    case: str
    index: int
    plane: str = "axial"

    @property
    def key(self) -> tuple[Path, str, int]:
        """What tells it from other views."""
        return self.predictions.files[self.case], self.plane, self.index


@dataclass(frozen=True)
class Picture:
    """A slice as it is looked at: the patient's right on the left, anterior or superior at the top.

    In the sagittal plane anterior is on the left. Rows run from the bottom to the top.

    Attributes:
        grey: The CT in HU, shape (rows, columns), or None if there is none on the grid of the reference.
        reference: True where the femur is.
        prediction: True where it is predicted.
        step_mm: Height and width of a pixel in mm.
        sides: Letters at the top, bottom, left and right.
    """

    grey: NDArray[Any] | None
    reference: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    step_mm: tuple[float, float]
    sides: str

    @property
    def bone(self) -> NDArray[np.bool_]:
        """Reference or prediction."""
        return self.reference | self.prediction


class Album:
    """Cuts slices; of each case the reference and the CT are read once per call of :meth:`cut`."""

    def __init__(self) -> None:
        self.problems: dict[Path, str] = {}
        """Reason by file why a CT is not shown."""
        self._scan = lru_cache(maxsize=1)(self._read_scan)
        self._mask = lru_cache(maxsize=1)(read_mask)

    def reference(self, predictions: Predictions, case: str) -> Mask:
        """The reference mask of a case."""
        return self._scan(predictions.dataset.reference(case), predictions.dataset.image(case))[0]

    def cut(self, views: Iterable[View]) -> dict[tuple[Path, str, int], Picture]:
        """Return the pictures of some views, by their keys; without the CT where it cannot be read.

        Raises:
            InputError: A mask cannot be read.
        """
        found = {}
        # By case, since a CT takes longer to read than anything else, and then by prediction.
        for view in sorted(
            views, key=lambda one: (str(one.predictions.dataset.reference(one.case)), *map(str, one.key[:1]))
        ):
            dataset = view.predictions.dataset
            reference, grey = self._scan(dataset.reference(view.case), dataset.image(view.case))
            prediction = self._mask(view.predictions.files[view.case], like=reference.geometry)
            found[view.key] = _picture(view, reference, prediction, grey)
        return found

    def _read_scan(self, reference: Path, image: Path | None) -> tuple[Mask, NDArray[Any] | None]:
        mask = read_mask(reference)
        try:
            return mask, None if image is None else _read_grey(image, mask)
        except FemurError as error:
            self.problems[image or reference] = str(error)
        except Exception as error:  # noqa: BLE001 - a figure shows the masks without a CT, whatever is wrong with it
            self.problems[image or reference] = f"{image}: cannot be read ({type(error).__name__}). Convert it again."
        return mask, None


def _read_grey(path: Path, reference: Mask) -> NDArray[Any] | None:
    """The CT along the axes of the reference, or None if it does not lie on its grid: a score does not need one."""
    import SimpleITK as sitk

    image = read_volume(path)
    stored = Geometry.of(image)
    order = AxisOrder.between(stored, reference.geometry)
    if order.of_geometry(stored).differences(reference.geometry):
        return None
    return order.of_array(sitk.GetArrayFromImage(image))


def _picture(view: View, reference: Mask, prediction: Mask, grey: NDArray[Any] | None) -> Picture:
    axis = PLANES.index(view.plane)
    steps = [step for place, step in enumerate(reference.geometry.spacing_mm_xyz[::-1]) if place != axis]

    def looked_at(voxels: NDArray[Any]) -> NDArray[Any]:
        # The last axis leads to the patient's right, or to anterior, and both are shown on the left.
        return voxels.take(view.index, axis=axis)[:, ::-1].copy()

    return Picture(
        grey=None if grey is None else looked_at(grey),
        reference=looked_at(reference.voxels),
        prediction=looked_at(prediction.voxels),
        step_mm=(steps[0], steps[1]),
        sides=SIDES[view.plane],
    )
