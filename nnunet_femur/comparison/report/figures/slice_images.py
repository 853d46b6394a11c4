"""Slices of CTs with their masks, as figures show them. Each file is read as rarely as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.comparison.reference_masks import read_ct_like
from nnunet_femur.errors import FemurError
from nnunet_femur.evaluation import PLANES, Mask, read_mask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.comparison.predictions import Predictions

EDGE_LETTERS = {"axial": "APRL", "coronal": "SIRL", "sagittal": "SIAP"}
"""Directions at the top, bottom, left and right edge of each plane."""


@dataclass(frozen=True)
class SliceView:
    """A slice to show.

    Attributes:
        predictions: The predictions that the mask belongs to.
        case: The case.
        index: Index of the slice, counted from the inferior, posterior or left end.
        plane: Its plane, one of :data:`~nnunet_femur.evaluation.PLANES`.
    """

    predictions: Predictions
    case: str
    index: int
    plane: str = "axial"

    @property
    def key(self) -> tuple[Path, str, int]:
        """Key of the slice: file of the prediction, plane and index."""
        return self.predictions.files[self.case], self.plane, self.index


@dataclass(frozen=True)
class SliceImage:
    """A slice in radiological orientation: the patient's right on the left, anterior or superior at the top.

    In the sagittal plane, anterior is on the left. Rows run from the bottom to the top.

    Attributes:
        ct: The CT in HU, shape (rows, columns); None without a CT on the grid of the reference.
        reference: The reference mask, shape (rows, columns).
        prediction: The predicted mask, shape (rows, columns).
        spacing_mm: Height and width of a pixel in mm.
        edge_letters: Directions at the top, bottom, left and right edge.
    """

    ct: NDArray[Any] | None
    reference: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    edge_letters: str

    @property
    def bone(self) -> NDArray[np.bool_]:
        """Voxels of the reference or the prediction."""
        return self.reference | self.prediction


class SliceReader:
    """Reads slices of CTs and masks. Each call of :meth:`read` reads the reference and the CT of a case once."""

    def __init__(self) -> None:
        self.problems: dict[Path, str] = {}
        """Reasons why CTs are not shown, by file."""
        self._scan = lru_cache(maxsize=1)(self._read_scan)
        self._mask = lru_cache(maxsize=1)(read_mask)

    def reference(self, predictions: Predictions, case: str) -> Mask:
        """Read the reference mask of a case."""
        return self._scan(predictions.dataset.reference(case), predictions.dataset.image(case))[0]

    def read(self, views: Iterable[SliceView]) -> dict[tuple[Path, str, int], SliceImage]:
        """Read slices, and return them by :attr:`SliceView.key`; without CT where it cannot be read.

        Raises:
            InputError: A mask cannot be read.
        """
        found = {}
        # Sorted by case, so that each CT, the slowest file to read, is read once; then by prediction.
        for view in sorted(
            views, key=lambda one: (str(one.predictions.dataset.reference(one.case)), *map(str, one.key[:1]))
        ):
            dataset = view.predictions.dataset
            reference, ct = self._scan(dataset.reference(view.case), dataset.image(view.case))
            prediction = self._mask(view.predictions.files[view.case], like=reference.geometry)
            found[view.key] = _slice_image(view, reference, prediction, ct)
        return found

    def _read_scan(self, reference: Path, image: Path | None) -> tuple[Mask, NDArray[Any] | None]:
        mask = read_mask(reference)
        try:
            return mask, None if image is None else read_ct_like(image, mask)
        except FemurError as error:
            self.problems[image or reference] = str(error)
        except Exception as error:  # noqa: BLE001 - a figure shows the masks without the CT, whatever the reason
            self.problems[image or reference] = f"{image}: cannot be read ({type(error).__name__}). Convert it again."
        return mask, None


def _slice_image(view: SliceView, reference: Mask, prediction: Mask, ct: NDArray[Any] | None) -> SliceImage:
    axis = PLANES.index(view.plane)
    spacing_mm = [step for other, step in enumerate(reference.geometry.spacing_mm_xyz[::-1]) if other != axis]

    def _oriented(voxels: NDArray[Any]) -> NDArray[Any]:
        # The last axis increases to the patient's right, or to anterior; both are shown on the left.
        return voxels.take(view.index, axis=axis)[:, ::-1].copy()

    return SliceImage(
        ct=None if ct is None else _oriented(ct),
        reference=_oriented(reference.voxels),
        prediction=_oriented(prediction.voxels),
        spacing_mm=(spacing_mm[0], spacing_mm[1]),
        edge_letters=EDGE_LETTERS[view.plane],
    )
