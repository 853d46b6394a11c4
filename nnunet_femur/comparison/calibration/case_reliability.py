"""Reliability of the probabilities of one prediction, in the whole image and in the surroundings of the femur."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.comparison.calibration.probability_files import open_probabilities
from nnunet_femur.comparison.calibration.reliability import Reliability
from nnunet_femur.errors import FemurError, InputError
from nnunet_femur.evaluation import read_mask
from nnunet_femur.evaluation.mask_input import on_one_grid, require_same_grid
from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry
from nnunet_femur.imaging.reading import read_mask_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.evaluation import Mask, Scoring

IMAGE, SURROUNDINGS = "image", "surroundings"

REGIONS = (SURROUNDINGS, IMAGE)
"""Regions of the calibration. Nearly all voxels of a CT are background far from the bone, which every network
recognises, so the calibration error of the whole image is small for every network."""

SURROUNDINGS_MM = 10.0
"""Largest distance from the reference femur, along each axis, of voxels that are its surroundings."""

SAME_MASK = 0.8
"""Smallest Dice of the predicted mask and the probabilities above 0.5. Postprocessing changes a mask less than that."""

CaseReliability = dict[str, Reliability]
"""Reliability by region; the surroundings are missing for an empty reference."""


_Arrays = tuple["NDArray[np.bool_]", "NDArray[np.bool_]", "NDArray[np.bool_]"]
"""Reference mask, predicted mask, and surroundings, in one order of axes."""


@dataclass(frozen=True)
class CaseFiles:
    """Files of one prediction.

    Attributes:
        reference: The reference mask.
        mask: The predicted mask.
        probabilities: nnU-Net's file of probabilities.
        scoring: Options that determine which voxels of a mask are femur.
    """

    reference: Path
    mask: Path
    probabilities: Path
    scoring: Scoring


def measure_reliability(files: CaseFiles) -> CaseReliability | str:
    """Return the reliability of one prediction, or the reason why it cannot be measured.

    Args:
        files: Its files.
    """
    try:
        return case_reliability(files)
    except FemurError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - no problem of one case may end the comparison; it is named
        return f"{files.probabilities}: calibration cannot be measured ({type(error).__name__}). Predict again."


def crashed(files: CaseFiles) -> str:
    """Return the reason for a case whose process ended unexpectedly."""
    return f"{files.probabilities}: the process ended unexpectedly. Use a machine with more memory."


def case_reliability(files: CaseFiles) -> CaseReliability:
    """Return the reliability of the probabilities of one prediction.

    nnU-Net stores probabilities without the geometry of the CT, and without the names of their channels. The axes are
    those of the CT's file, or, with a reader that reorients, those of RAS order. The femur is everything but the first
    channel, which is background, or one channel of several classes or regions. Order and channel are chosen with which
    the probabilities agree with the mask.

    Args:
        files: The files.

    Raises:
        InputError: A file cannot be read, masks are on different grids (code "grid-differs"), or the probabilities are
            not those of the mask (code "invalid-file").
    """
    read = partial(read_mask, segments=files.scoring.segments, labels=files.scoring.labels)
    reference = read(files.reference)
    prediction = read(files.mask, like=reference.geometry)
    reference, prediction = on_one_grid(reference, prediction)
    require_same_grid(reference, prediction)
    near = surroundings(reference.voxels, reference.geometry.spacing_mm_zyx)
    orders = list(_orders(prediction, read_mask_header(files.mask).geometry))
    with open_probabilities(files.probabilities) as volume:
        shape_zyx, channels = volume.shape_zyx, volume.channels
    arrays = [
        (order.of_array(reference.voxels), order.of_array(prediction.voxels), order.of_array(near))
        for order in orders
        if order.of_geometry(prediction.geometry).shape_zyx == shape_zyx
    ]
    if not arrays:
        msg = (
            f"{files.probabilities}: must have the shape of the mask, {prediction.geometry.shape_zyx}, got "
            f"{shape_zyx}. Predict again with --save_probabilities."
        )
        raise InputError(msg, code="invalid-file")
    best = _agreeing(files.probabilities, channels, arrays)
    if best.dice < SAME_MASK:
        of_several = f"; its {channels} classes or regions do not contain the femur" if channels > 2 else ""
        msg = (
            f"{files.probabilities}: not the probabilities of {files.mask.name} (Dice {best.dice:.2f}){of_several}. "
            "Predict again with --save_probabilities."
        )
        raise InputError(msg, code="invalid-file")
    return {name: found for name, found in best.reliability.items() if found.total}


def _agreeing(path: Path, channels: int, arrays: Sequence[_Arrays]) -> _Candidate:
    """Return the reliability of the channel and the order of axes that agree best with the mask."""

    def _best_of(channel: int, *, background: bool = False) -> _Candidate:
        candidates = [_Candidate(*of) for of in arrays]
        with open_probabilities(path) as volume:
            for place, probabilities in volume.slabs(channel):
                for candidate in candidates:
                    candidate.add(place, 1 - probabilities if background else probabilities)
        return max(candidates, key=lambda one: one.dice)

    if channels == 1:
        return _best_of(0)
    found = _best_of(0, background=True)
    if channels == 2 and found.dice >= SAME_MASK:
        # Two classes: the second channel is 1 minus the first.
        return found
    return max(found, *map(_best_of, range(channels)), key=lambda one: one.dice)


def surroundings(
    femur: NDArray[np.bool_], spacing_mm_zyx: Sequence[float], distance_mm: float = SURROUNDINGS_MM
) -> NDArray[np.bool_]:
    """Return the voxels that are at most a distance from a femur along each axis, the femur included.

    Args:
        femur: The mask, shape (z, y, x).
        spacing_mm_zyx: Voxel spacing in mm.
        distance_mm: The distance in mm.

    Example:
        >>> femur = np.zeros((5, 1, 9), bool)
        >>> femur[2, 0, 4] = True
        >>> surroundings(femur, (4.0, 1.0, 2.0), distance_mm=4.0).sum(axis=(1, 2)).tolist()
        [0, 5, 5, 5, 0]
    """
    from scipy.ndimage import maximum_filter1d

    near = np.zeros(femur.shape, bool)
    if not femur.any():
        return near
    # A little more, so that a distance of a whole number of voxels is not lost to rounding.
    steps = [int(distance_mm / spacing + 1e-6) for spacing in spacing_mm_zyx]
    box = tuple(
        slice(max(0, part.start - step), part.stop + step) for part, step in zip(box_of(femur), steps, strict=True)
    )
    grown = femur[box].astype(np.uint8)
    for axis, step in enumerate(steps):
        grown = maximum_filter1d(grown, 2 * step + 1, axis=axis, mode="constant")
    near[box] = grown
    return near


def _orders(mask: Mask, stored: Geometry) -> Iterator[AxisOrder]:
    """Yield the orders of axes that probabilities may have, each once: that of the file, and RAS."""
    seen = []
    for wanted in (stored, RAS):
        order = AxisOrder.between(mask.geometry, wanted)
        if order not in seen:
            seen.append(order)
            yield order


class _Candidate:
    """Sums over the slabs of a volume, for one order of its axes."""

    def __init__(self, reference: NDArray[np.bool_], mask: NDArray[np.bool_], near: NDArray[np.bool_]) -> None:
        self._reference, self._mask, self._near = reference, mask, near
        self._shared = self._both = 0
        self.reliability = {name: Reliability.nothing() for name in REGIONS}

    def add(self, place: slice, probabilities: NDArray[np.float32]) -> None:
        """Add the slices at a place."""
        reference, mask, near = self._reference[place], self._mask[place], self._near[place]
        above = probabilities > 0.5
        self._shared += int(np.count_nonzero(above & mask))
        self._both += int(np.count_nonzero(above)) + int(np.count_nonzero(mask))
        self.reliability[IMAGE] += Reliability.of(probabilities, reference)
        if near.any():
            self.reliability[SURROUNDINGS] += Reliability.of(probabilities[near], reference[near])

    @property
    def dice(self) -> float:
        """Dice of the mask and the probabilities above 0.5; 1 if both are empty."""
        return 2 * self._shared / self._both if self._both else 1.0
