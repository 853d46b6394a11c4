"""Planes of slices in preprocessed arrays, the size of their pixels, and the window that is cut out of a slice."""

from __future__ import annotations

import json
import math
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from nnunet_femur.dataset.nnunet_names import DATASET_FINGERPRINT, READER_WITH_REORIENT
from nnunet_femur.errors import InputError
from nnunet_femur.networks.oblique_planes import OBLIQUE, ObliqueGrid, ObliquePlane
from nnunet_femur.recipe.slice_planes import Plane, axes_and_sign
from nnunet_femur.training.slices.oblique_cuts import cut_oblique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    from numpy.typing import NDArray

    from nnunet_femur.recipe.hyperparameters import SliceRecipe


OUTSIDE = -1
"""Label of pixels outside the image, which nnU-Net's losses and transforms ignore."""


def plane_axes(planes: tuple[Plane, ...], plans_manager: PlansManager) -> tuple[int, ...]:
    """Return the planes of slices in preprocessed arrays: axes that they are across, or numbers of oblique planes.

    Data are read in RAS order, where axial, coronal and sagittal slices are across z, y and x. nnU-Net may then
    transpose the axes.
    """
    return tuple(_axis_of(plane, plans_manager.transpose_forward) for plane in planes)


def _axis_of(plane: Plane, transposed: Sequence[int]) -> int:
    axes, sign = axes_and_sign(plane)
    places = sorted(list(transposed).index(axis) for axis in axes)
    if len(places) == 1:
        return places[0]
    return next(number for number, each in OBLIQUE.items() if each == ObliquePlane(places[0], places[1], sign))


def check_axis_order(folder: Path, plans_manager: PlansManager) -> None:
    """Refuse preprocessed cases whose axes are not in the order that :func:`plane_axes` expects.

    nnU-Net's readers "WithReorient" reorient every CT to RAS. Its other readers keep the order of the file, in which
    the first axis of a sagittal series is not z.

    Args:
        folder: nnU-Net's folder of preprocessed cases.
        plans_manager: The plans, with the name of the reader.

    Raises:
        InputError: The axes of a case are in another order, or are not recorded (code "invalid-dataset").
    """
    reader = str(plans_manager.plans["image_reader_writer"])
    if reader.endswith("WithReorient"):
        return
    remedy = (
        "Convert the data with nnfemur convert, or set "
        f'"overwrite_image_reader_writer" to "{READER_WITH_REORIENT}" in dataset.json and plan again.'
    )
    for record in sorted(folder.glob("*.pkl")):
        with record.open("rb") as file:
            order = _physical_axes(pickle.load(file))  # noqa: S301 - nnU-Net's own, as it reads them itself
        if order is None:
            msg = f"{record}: the reader {reader} records no orientation, so axial slices are unknown. {remedy}"
            raise InputError(msg, code="invalid-dataset")
        if order != (2, 1, 0):
            named = ", ".join("xyz"[axis] for axis in order)
            msg = f"{record}: the axes of this case must be z, y, x, got {named}. {remedy}"
            raise InputError(msg, code="invalid-dataset")


def largest_size(plans: Mapping[str, Any], spacing_mm: Sequence[float]) -> list[int] | None:
    """Return the size in voxels, along each axis of the preprocessed arrays, that contains every case of a dataset.

    Args:
        plans: nnU-Net's plans, with the name of the dataset and the order of axes.
        spacing_mm: Spacing along the arrays' axes in mm.

    Returns:
        The size, or None if the dataset is not in nnUNet_preprocessed.
    """
    dataset = Path(os.environ.get("nnUNet_preprocessed", ""), plans["dataset_name"])
    path = dataset / DATASET_FINGERPRINT
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    sizes = [
        [
            math.ceil(shape[axis] * mm[axis] / edge)
            for axis, edge in zip(plans["transpose_forward"], spacing_mm, strict=True)
        ]
        for shape, mm in zip(found["shapes_after_crop"], found["spacings"], strict=True)
    ]
    return [max(along) for along in zip(*sizes, strict=True)]


def pixels_per_voxel(recipe: SliceRecipe, spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Return the number of slice pixels per voxel along each axis of the preprocessed arrays.

    Args:
        recipe: The recipe, whose pixels are squares of `slice_spacing_mm`.
        spacing_mm: Spacing along the arrays' axes in mm. With two axes, as for configuration ``2d``, pixels are voxels.

    Example:
        >>> from nnunet_femur.recipe.hyperparameters import SliceRecipe
        >>> pixels_per_voxel(SliceRecipe(slice_spacing_mm="finest"), (2.0, 0.8, 0.8))
        (2.5, 1.0, 1.0)
    """
    edge_mm = recipe.slice_spacing_mm
    if edge_mm == "voxels" or len(spacing_mm) == 2:
        return (1.0, 1.0, 1.0)
    pixel_mm = min(spacing_mm) if edge_mm == "finest" else edge_mm
    z, y, x = (_exactly_one_if_near(voxel_mm / pixel_mm) for voxel_mm in spacing_mm)
    return (z, y, x)


@dataclass(frozen=True, kw_only=True)
class SliceWindow:
    """Size, scale and neighbours of a training slice.

    Attributes:
        size: Rows and columns that the network sees, in pixels.
        margin: Further rows and columns, cut out for the transforms to rotate and scale.
        scale: Pixels per voxel along each spatial axis (0 is z); above 1 where voxels are coarser than pixels.
        neighbours: Number of slices on either side, as further channels; oblique ones are one pixel apart.
        reversed_neighbours: True to swap the slices before and behind in half of the draws, as a mirroring of the
            volume across the slice does.

    Example:
        >>> SliceWindow(size=(256, 256), scale=(2.0, 1.0, 1.0)).voxels((256, 256), axis=1)
        (128, 256)
    """

    size: tuple[int, int]
    margin: tuple[int, int] = (0, 0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    neighbours: int = 0
    reversed_neighbours: bool = False

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows and columns before the transforms, margin included."""
        return self.size[0] + self.margin[0], self.size[1] + self.margin[1]

    def voxels(self, pixels: tuple[int, int], axis: int) -> tuple[int, int]:
        """Return rows and columns in voxels, at least 1, of so many pixels of a slice across `axis`.

        Oblique slices have pixels instead of voxels in the direction within their plane.
        """
        scale = [self.scale[other] for other in range(3) if other != axis]
        if axis in OBLIQUE:
            third = self.scale[OBLIQUE[axis].third]
            scale = [1.0, third] if OBLIQUE[axis].has_rows_along else [third, 1.0]
        rows, columns = (max(1, round(n / s)) for n, s in zip(pixels, scale, strict=True))
        return rows, columns

    def slices(self, shape: Sequence[int], axis: int) -> int:
        """Return the number of slices across `axis` of a volume of this shape, z, y, x."""
        return self._grid(shape, axis).count if axis in OBLIQUE else int(shape[axis])

    def _grid(self, shape: Sequence[int], axis: int) -> ObliqueGrid:
        return OBLIQUE[axis].grid(shape, self.scale)

    def _size(self, shape: Sequence[int], axis: int) -> tuple[int, int]:
        """Return rows and columns of a whole slice, in the units of :meth:`voxels`."""
        if axis in OBLIQUE:
            count, third = self._grid(shape, axis).count, int(shape[OBLIQUE[axis].third])
            return (count, third) if OBLIQUE[axis].has_rows_along else (third, count)
        rows, columns = (int(n) for other, n in enumerate(shape) if other != axis)
        return rows, columns

    def cut(
        self, volume: Any, mask: Any, axis: int, index: int, femur: NDArray[np.int64] | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut a slice out of a volume, at a random place.

        Args:
            volume: The image, shape (channels, z, y, x), as an array or a file that can be sliced like one.
            mask: The mask, shape (1, z, y, x).
            axis: The spatial axis (0 is z) that the slice is across, or the number of an oblique plane.
            index: Index of the slice along this axis, or number of the oblique slice.
            femur: Box of the femur in the slice (first row, row behind the last, first column, column behind the last),
                which the window shows as far as it can. None: the window is anywhere in the slice.
            rng: Source of randomness.

        Returns:
            The image, shape (channels, rows, columns), and the mask, shape (1, rows, columns), with -1 outside the
            volume.
        """
        shape = self._size(volume.shape[1:], axis)
        seen = self.voxels(self.size, axis)
        wanted = self.voxels(self.pixels, axis)
        shown = (None, None) if femur is None else ((femur[0], femur[1]), (femur[2], femur[3]))
        # The part that the network sees is placed. The margin around it may reach beyond the image, so that the network
        # sees the borders of the image too.
        starts = [
            place_window(n, s, part, rng) - (w - s) // 2
            for n, s, w, part in zip(shape, seen, wanted, shown, strict=True)
        ]
        inside = [slice(max(0, start), min(n, start + w)) for start, n, w in zip(starts, shape, wanted, strict=True)]
        padding = [
            bound
            for start, n, w in zip(reversed(starts), reversed(shape), reversed(wanted), strict=True)
            for bound in (max(0, -start), max(0, start + w - n))
        ]
        backwards = self.reversed_neighbours and bool(rng.integers(2))
        order = np.arange(index - self.neighbours, index + self.neighbours + 1)[:: -1 if backwards else 1]
        cut = self._read_oblique if axis in OBLIQUE else self._read
        image, labels = cut(volume, mask, axis, index, order, inside)
        if any(padding):
            image = functional.pad(image, padding)
            labels = functional.pad(labels, padding, value=OUTSIDE)
        if wanted != self.pixels:
            image = functional.interpolate(image[None], self.pixels, mode="bilinear", align_corners=False)[0]
            labels = functional.interpolate(labels[None].float(), self.pixels, mode="nearest-exact")[0].short()
        return image, labels

    def _read(
        self, volume: Any, mask: Any, axis: int, index: int, order: NDArray[np.int64], inside: list[slice]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a part of a slice, neighbours as channels; at the volume's ends the last slice is repeated."""
        place: list[Any] = [slice(None), *inside]
        place.insert(1 + axis, index)
        labels = torch.from_numpy(np.asarray(mask[tuple(place)]).astype(np.int16))
        if not self.neighbours:
            return torch.from_numpy(np.asarray(volume[tuple(place)], dtype=np.float32)), labels
        first, last = max(0, min(order)), min(volume.shape[1 + axis], max(order) + 1)
        place[1 + axis] = slice(first, last)
        slab = np.moveaxis(np.asarray(volume[tuple(place)], dtype=np.float32), 1 + axis, 1)
        stack = slab[:, np.clip(order, first, last - 1) - first]
        return torch.from_numpy(np.ascontiguousarray(stack.reshape(-1, *stack.shape[2:]))), labels

    def _read_oblique(
        self, volume: Any, mask: Any, axis: int, index: int, order: NDArray[np.int64], inside: list[slice]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a part of an oblique slice, with neighbours as channels."""
        grid = self._grid(volume.shape[1:], axis)
        stack = cut_oblique(volume, grid, np.clip(order, 0, grid.count - 1), *inside)
        labels = cut_oblique(mask, grid, np.array([index]), *inside, outside=OUTSIDE)
        return torch.from_numpy(stack.reshape(-1, *stack.shape[2:])), torch.from_numpy(labels[:, 0])


def place_window(length: int, window: int, shown: tuple[int, int] | None, rng: np.random.Generator) -> int:
    """Return a random start of a window along one axis.

    The window is within the image, or around it if the window is longer. If it has to show an interval, it covers as
    much of the interval as its length allows.

    Args:
        length: Length of the image.
        window: Length of the window.
        shown: First index of the interval and the index behind its last; None for no interval.
        rng: Source of randomness.

    Example:
        >>> place_window(100, 10, (90, 100), np.random.default_rng(0))
        90
    """
    low, high = sorted((0, length - window))
    if shown is not None:
        first, last = sorted((shown[1] - window, shown[0]))
        low, high = max(low, first), min(high, last)
    return int(rng.integers(low, high + 1))


def _physical_axes(properties: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the nearest physical axis (0 is x) of each array axis, as nnU-Net recorded it; None if unknown."""
    if "nibabel_stuff" in properties:
        matrix = np.asarray(properties["nibabel_stuff"]["original_affine"], dtype=float)[:3, :3]
        matrix = matrix / np.linalg.norm(matrix, axis=0)
    elif len(properties.get("sitk_stuff", {}).get("direction", ())) == 9:
        matrix = np.asarray(properties["sitk_stuff"]["direction"], dtype=float).reshape(3, 3)
    else:
        return None
    # Columns are the file's axes i, j, k; arrays are k, j, i.
    return tuple(int(axis) for axis in np.abs(matrix).argmax(0)[::-1])


def _exactly_one_if_near(scale: float) -> float:
    """Avoid resampling where voxels and pixels differ by less than 0.1 %."""
    return 1.0 if abs(scale - 1) < 1e-3 else scale
