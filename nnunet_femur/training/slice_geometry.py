"""Planes and millimetres of the preprocessed arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.training.recipe import PLANES, Plane, SliceRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


def plane_axes(planes: tuple[Plane, ...], plans_manager: PlansManager) -> tuple[int, ...]:
    """The axes of the preprocessed arrays across which these planes lie.

    Data are read in RAS order, where axial, coronal and sagittal slices lie across z, y and x; nnU-Net may then put
    another axis first.
    """
    return tuple(plans_manager.transpose_forward.index(PLANES.index(plane)) for plane in planes)


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
