"""Planes and millimetres of the preprocessed arrays."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.training.recipe import PLANES, Plane, SliceRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def plane_axes(planes: tuple[Plane, ...], plans_manager: PlansManager) -> tuple[int, ...]:
    """The axes of the preprocessed arrays across which these planes lie.

    Data are read in RAS order, where axial, coronal and sagittal slices lie across z, y and x; nnU-Net may then put
    another axis first.
    """
    return tuple(plans_manager.transpose_forward.index(PLANES.index(plane)) for plane in planes)


def largest_size(plans: Mapping[str, Any], spacing_mm: Sequence[float]) -> list[int] | None:
    """Voxels along each axis of the preprocessed arrays that hold any case of the dataset; None if it is not here.

    Args:
        plans: nnU-Net's plans, which name the dataset and the order of axes.
        spacing_mm: Edges of a voxel along the arrays' axes.
    """
    dataset = Path(os.environ.get("nnUNet_preprocessed", ""), plans["dataset_name"])
    path = dataset / "dataset_fingerprint.json"
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
    """How many pixels of a slice make up a voxel's edge along each axis of the preprocessed arrays.

    Args:
        recipe: The recipe, whose pixels are squares of `slice_spacing_mm`.
        spacing_mm: Edges of a voxel along the arrays' axes; two of them for configuration ``2d``, whose pixels are
            nnU-Net's.
    """
    edge_mm = recipe.slice_spacing_mm
    if edge_mm == "voxels" or len(spacing_mm) == 2:
        return (1.0, 1.0, 1.0)
    pixel_mm = min(spacing_mm) if edge_mm == "finest" else edge_mm
    z, y, x = (_one_if_near(voxel_mm / pixel_mm) for voxel_mm in spacing_mm)
    return (z, y, x)


def _one_if_near(scale: float) -> float:
    """Spare the resizing where voxels and pixels differ by less than a pixel in a thousand."""
    return 1.0 if abs(scale - 1) < 1e-3 else scale
