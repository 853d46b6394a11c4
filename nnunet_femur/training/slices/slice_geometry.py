"""Planes, sizes and scales of slices in nnU-Net's preprocessed arrays."""

from __future__ import annotations

import json
import math
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.nnunet_names import DATASET_FINGERPRINT, READER_WITH_REORIENT
from nnunet_femur.errors import InputError
from nnunet_femur.recipe.hyperparameters import PLANES, Plane, SliceRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def plane_axes(planes: tuple[Plane, ...], plans_manager: PlansManager) -> tuple[int, ...]:
    """Return the axes of the preprocessed arrays that slices of these planes are across.

    Data are read in RAS order, where axial, coronal and sagittal slices are across z, y and x. nnU-Net may then
    transpose the axes.
    """
    return tuple(plans_manager.transpose_forward.index(PLANES.index(plane)) for plane in planes)


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


def _physical_axes(properties: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the nearest physical axis (0 is x) of each array axis, as nnU-Net recorded it; None if unknown."""
    import numpy as np

    if "nibabel_stuff" in properties:
        matrix = np.asarray(properties["nibabel_stuff"]["original_affine"], dtype=float)[:3, :3]
        matrix = matrix / np.linalg.norm(matrix, axis=0)
    elif len(properties.get("sitk_stuff", {}).get("direction", ())) == 9:
        matrix = np.asarray(properties["sitk_stuff"]["direction"], dtype=float).reshape(3, 3)
    else:
        return None
    # Columns are the file's axes i, j, k; arrays are k, j, i.
    return tuple(int(axis) for axis in np.abs(matrix).argmax(0)[::-1])


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
        >>> pixels_per_voxel(SliceRecipe(slice_spacing_mm="finest"), (2.0, 0.8, 0.8))
        (2.5, 1.0, 1.0)
    """
    edge_mm = recipe.slice_spacing_mm
    if edge_mm == "voxels" or len(spacing_mm) == 2:
        return (1.0, 1.0, 1.0)
    pixel_mm = min(spacing_mm) if edge_mm == "finest" else edge_mm
    z, y, x = (_one_if_near(voxel_mm / pixel_mm) for voxel_mm in spacing_mm)
    return (z, y, x)


def _one_if_near(scale: float) -> float:
    """Avoid resampling where voxels and pixels differ by less than 0.1 %."""
    return 1.0 if abs(scale - 1) < 1e-3 else scale
