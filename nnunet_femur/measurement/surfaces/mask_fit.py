"""Distance between a mesh and the mask that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.boxes import box_of
from nnunet_femur.imaging.surface_mesh import Surface, bone_surface
from nnunet_femur.measurement.surfaces.mesh_edges import edge_lengths, unique_edges
from nnunet_femur.measurement.surfaces.surface_distance import samples_of, signed_distance_to
from nnunet_femur.measurement.surfaces.triangle_quality import quality_column, topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

FRAGMENT_ML = 0.5
"""Pieces below this volume in ml are left out."""

_SHORT = 0.6
"""Share of the stated edge length below which an edge counts as refined; clusters alone rarely give shorter ones."""


@dataclass(frozen=True)
class MaskFit:
    """Distance between a model's surface and the mask that it was made from.

    Distances are in voxels: each axis of the volume is divided by its spacing.

    Attributes:
        off_mask_voxels: Largest distance of the model's surface from the mask's, which is half-way between voxels in
            and outside the bone.
        off_mask_mm: The same in mm.
        missed_voxels: Largest distance of the mask's smoothed surface from the model's.
        mask_volume_ml: Volume of all voxels of the mask in ml.
        volume_difference_percent: Volume of the model minus that of the mask, in percent of the mask's.
        mask_genus: Number of tunnels through the mask's surface.
        pieces_left_out: Separate pieces of the mask below 0.5 ml, which are not in the model.
        cavities_filled_ml: Volume of cavities inside the mask, which the model fills.
        refined_percent: Share of edges shorter than 0.6 of the stated length: the mesh is finer there, since longer
            edges would leave the mask.

    Example:
        >>> fit = MaskFit(0.4, 0.4, 0.3, 500.0, 0.1, 0, 0, 0.0, 2.0)
        >>> fit.off_mask_voxels
        0.4
    """

    off_mask_voxels: float = quality_column("largest distance from the mask", "voxels")
    off_mask_mm: float = quality_column("largest distance from the mask", "mm")
    missed_voxels: float = quality_column("largest distance of the smoothed mask from the model", "voxels")
    mask_volume_ml: float = quality_column("volume of the mask", "ml")
    volume_difference_percent: float = quality_column("volume, model - mask", "%")
    mask_genus: int = quality_column("genus of the mask")
    pieces_left_out: int = quality_column("pieces left out (below 0.5 ml)")
    cavities_filled_ml: float = quality_column("cavities filled", "ml")
    refined_percent: float = quality_column("edges below 0.6 of the stated length", "%")


class MaskSurfaces:
    """Surfaces of a mask that a model is compared with: pieces of at least 0.5 ml, without cavities.

    Attributes:
        geometry: Geometry of the mask.
        smooth: Smoothed surface of the mask in LPS mm.
        rough: Surface of the mask itself: half-way between voxels in and outside the bone.
        off_smooth_mm: Function that returns the signed distances of points in mm from the smoothed surface.
        mask_ml: Volume of all voxels of the mask in ml.
        pieces_left_out: Number of pieces that are not in the surfaces.
        cavities_ml: Volume of the cavities.
    """

    def __init__(self, mask_zyx: NDArray, geometry: Geometry) -> None:
        solid, self.pieces_left_out, self.cavities_ml = _solid(mask_zyx != 0, geometry.voxel_volume_ml)
        self.geometry = geometry
        self.mask_ml = float(np.count_nonzero(mask_zyx) * geometry.voxel_volume_ml)
        self.smooth = bone_surface(solid, geometry)
        self.rough = bone_surface(solid, geometry, smooth=False)
        self.off_smooth_mm = signed_distance_to(self.smooth)
        self._off_rough_voxels = signed_distance_to(self._in_voxels(self.rough))
        self._smooth_in_voxels = self._in_voxels(self.smooth).points_mm

    def distances_voxels(self, mesh: Surface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the distances between a mesh and the mask in voxels.

        Args:
            mesh: A mesh in LPS mm; not empty.

        Returns:
            Distances of the mesh's samples (:func:`~nnunet_femur.measurement.surfaces.surface_distance.samples_of`)
            from the mask's surface, and distances of the corners of the smoothed surface from the mesh.
        """
        scaled = self._in_voxels(mesh)
        off_mask = np.abs(self._off_rough_voxels(samples_of(scaled)))
        return off_mask, np.abs(signed_distance_to(scaled)(self._smooth_in_voxels))

    def fit_of(self, mesh: Surface, edge_mm: float, distances_voxels: tuple[NDArray, NDArray]) -> MaskFit:
        """Return the facts about a mesh with a stated edge length and its :meth:`distances_voxels`."""
        edges, _ = unique_edges(mesh.triangles)
        lengths_mm = edge_lengths(mesh.points_mm, edges)
        off_mask, missed = distances_voxels
        return MaskFit(
            off_mask_voxels=float(off_mask.max()),
            off_mask_mm=float(np.abs(signed_distance_to(self.rough)(samples_of(mesh))).max()),
            missed_voxels=float(missed.max()),
            mask_volume_ml=self.mask_ml,
            volume_difference_percent=100 * (mesh.volume_ml / self.mask_ml - 1),
            mask_genus=topology(self.smooth)[1],
            pieces_left_out=self.pieces_left_out,
            cavities_filled_ml=self.cavities_ml,
            refined_percent=100 * float((lengths_mm < _SHORT * edge_mm).mean()),
        )

    def _in_voxels(self, surface: Surface) -> Surface:
        """Return a surface in the grid of the volume, in which a voxel has the length 1 along each axis."""
        points = self.geometry.index_of(surface.points_mm)
        # A mirrored grid turns the triangles inwards.
        mirrored = np.linalg.det(np.reshape(self.geometry.direction, (3, 3))) < 0
        return Surface(points, surface.triangles[:, ::-1] if mirrored else surface.triangles)


def _solid(mask_zyx: NDArray[np.bool_], voxel_ml: float) -> tuple[NDArray[np.bool_], int, float]:
    """Return a mask without fragments and cavities, the number of fragments, and the volume of cavities in ml.

    Voxels that share a face are connected. The largest piece stays, however small it is.
    """
    from scipy import ndimage

    box = box_of(mask_zyx)
    labels, _ = ndimage.label(mask_zyx[box])
    sizes = np.bincount(labels.ravel())[1:]
    kept = (sizes * voxel_ml >= FRAGMENT_ML) | (sizes == sizes.max(initial=0))
    body = np.concatenate([[False], kept])[labels]
    filled = ndimage.binary_fill_holes(body)
    solid = np.zeros(mask_zyx.shape, bool)
    solid[box] = filled
    return solid, int(np.count_nonzero(~kept)), float(np.count_nonzero(filled & ~body) * voxel_ml)
