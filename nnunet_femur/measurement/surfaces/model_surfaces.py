"""Surfaces for models: closed meshes of uniform triangles around a femur, checked against its mask."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.surface_mesh import Surface, write_surface
from nnunet_femur.measurement.surfaces.bisection import bisected
from nnunet_femur.measurement.surfaces.mask_fit import FRAGMENT_ML, MaskFit, MaskSurfaces
from nnunet_femur.measurement.surfaces.mesh_edges import longest_edges
from nnunet_femur.measurement.surfaces.remeshing import fitted, remeshed
from nnunet_femur.measurement.surfaces.surface_distance import samples_of
from nnunet_femur.measurement.surfaces.triangle_quality import MeshQuality, faulty_places, mesh_quality, quality_columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

EDGE_MM = 3.0
"""Edge length in mm if none is stated: usual for finite elements of a femur."""

LONGEST_EDGE_MM = 10.0
"""Longest edge: with longer ones a femoral head of 20 mm radius is no longer round."""

LARGEST_DISTANCE_VOXELS = 0.5
"""Largest distance of a model's surface from the mask's, in voxels."""

_ROUNDS = 4
"""Meshes that are tried: each is finer where the one before was not closed or crossed itself."""

_DIVISIONS = 6
"""Divisions of triangles that are too far from the mask; each makes them half as large."""

_AIM_VOXELS = 0.47
"""Distance from the mask from which triangles are divided; less than the limit, as files round coordinates."""

_SHORTEST = 0.4
"""Share of the stated edge length: triangles whose longest edge is shorter, and than a voxel, are not divided."""

_REACH = 1.5
"""Radius of a refinement in edge lengths; less would make neighbouring triangles too different in size."""

MOST_REFINED_PERCENT = 20.0
"""Share of short edges from which a surface has a problem: the stated edge length does not suit this mask."""

LARGEST_VOLUME_DIFFERENCE_PERCENT = 3.0
"""Difference from the mask's volume from which a surface has a problem; a whole femur differs by up to 0.4 %."""

SMALLEST_ANGLE_DEG = 15.0
"""Smallest angle below which a mesh has a problem; solvers of finite elements often ask for 10 to 20 degrees."""


@dataclass(frozen=True, eq=False)
class ModelSurface:
    """Surface of a femur for models.

    Attributes:
        surface: Closed mesh in LPS mm that does not cross itself.
        edge_mm: Stated edge length in mm.
        quality: Quality of the mesh.
        fit: Distance from the mask.
        problems: Properties that deviate, as short texts; empty if none do.

    Example:
        >>> import nnunet_femur.imaging as imaging
        >>> femur = imaging.read_femur("reference.nrrd")
        >>> model = model_surface(femur.voxels_zyx, femur.header.geometry, edge_mm=6)
        >>> model.quality.closed, model.quality.crossing_triangles, model.fit.off_mask_voxels <= 0.5
        (True, 0, True)
        >>> model.surface.volume_ml == model.quality.volume_ml
        True
    """

    surface: Surface
    edge_mm: float
    quality: MeshQuality
    fit: MaskFit
    problems: tuple[str, ...]

    def row(self) -> dict[str, float]:
        """Return stated edge length, quality and fit as one row of a table, by the keys of :data:`QUALITY_COLUMNS`."""
        values: dict[str, float] = {"edge_mm": self.edge_mm}
        for part in (self.quality, self.fit):
            values |= {each.name: getattr(part, each.name) for each in fields(part)}
        return values


QUALITY_COLUMNS = {"edge_mm": ("stated edge length", "mm"), **quality_columns(MeshQuality, MaskFit)}
"""Label and unit of each value of :meth:`ModelSurface.row`."""


def model_surface(mask_zyx: NDArray, geometry: Geometry, *, edge_mm: float = EDGE_MM) -> ModelSurface:
    """Return a closed surface of uniform triangles for models, such as finite elements or printing.

    The smoothed surface of the mask (:func:`~nnunet_femur.imaging.bone_surface`) is remeshed by pyacvd and fitted.
    Where the result is more than half a voxel from the mask's surface, is not closed or crosses itself, the mesh is
    made finer. Cavities are filled, and pieces below 0.5 ml are left out unless there is no larger one.

    Args:
        mask_zyx: The mask of one femur, other than 0 in the bone.
        geometry: Geometry of the mask.
        edge_mm: Mean edge length in mm, from half the smallest voxel spacing to 10.

    Returns:
        The surface with its quality. Read :attr:`ModelSurface.problems`.

    Raises:
        InputError: The mask is empty ("no-femur"), the edge length is out of range ("invalid-option"), or no closed
            mesh of this edge length was found ("unsupported").

    Example:
        >>> import nnunet_femur.imaging as imaging
        >>> femur = imaging.read_femur("reference.nrrd")
        >>> model = model_surface(femur.voxels_zyx, femur.header.geometry, edge_mm=6)
        >>> model.quality.components, model.fit.cavities_filled_ml
        (1, 0.0)
    """
    require_edge(edge_mm, geometry)
    if not np.any(mask_zyx):
        msg = "An empty mask has no surface. Check the mask."
        raise InputError(msg, code="no-femur")
    found = _closed_and_near(MaskSurfaces(mask_zyx, geometry), edge_mm)
    if found is None:
        msg = (
            f"No closed surface with edges of {edge_mm:g} mm was found: parts of the mask are thinner or "
            "rougher than that. Use shorter edges, or smooth the mask."
        )
        raise InputError(msg, code="unsupported")
    mesh, fit = found
    quality = mesh_quality(mesh)
    return ModelSurface(mesh, edge_mm, quality, fit, tuple(_problems(quality, fit)))


def write_model_surface(model: ModelSurface, path: Path | str) -> None:
    """Write a model's surface as binary ``.stl`` or ``.ply``, in LPS mm, which the header states.

    Args:
        model: The surface.
        path: The file; its ending chooses the format.

    Raises:
        InputError: The ending is another one ("invalid-option").
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> import nnunet_femur.imaging as imaging
        >>> femur = imaging.read_femur("reference.nrrd")
        >>> write_model_surface(model_surface(femur.voxels_zyx, femur.header.geometry, edge_mm=6), "femur.stl")
    """
    write_surface(model.surface, path)


def _closed_and_near(surfaces: MaskSurfaces, edge_mm: float) -> tuple[Surface, MaskFit] | None:
    """Return a mesh without faults whose triangles were divided to come near the mask; None if none is found."""
    density = np.ones(len(surfaces.smooth.points_mm))
    shortest_mm = min(_SHORTEST * edge_mm, *surfaces.geometry.spacing_mm_xyz)
    for _ in range(_ROUNDS):
        mesh = remeshed(surfaces.smooth, edge_mm, density)
        if not len(mesh.triangles):
            # The edges are longer than the circumference of the bone.
            density = 4 * density
            continue
        # Divided triangles at a sharp place can cross each other, while the larger ones before do not.
        for stage in reversed(_stages(fitted(mesh, surfaces.off_smooth_mm), surfaces, shortest_mm)):
            # As the files store it.
            rounded = Surface(stage.points_mm.astype(np.float32).astype(float), stage.triangles)
            faulty_mm = faulty_places(rounded).places_mm(rounded)
            if not len(faulty_mm):
                return rounded, surfaces.fit_of(rounded, edge_mm, surfaces.distances_voxels(rounded))
        density = _denser(density, surfaces.smooth.points_mm, faulty_mm, edge_mm)
    return None


def _stages(mesh: Surface, surfaces: MaskSurfaces, shortest_mm: float) -> list[Surface]:
    """Return a mesh, and further ones with smaller triangles where the one before is too far from the mask."""
    stages = [mesh]
    for _ in range(_DIVISIONS):
        marked = _too_far(mesh, surfaces, surfaces.distances_voxels(mesh))
        marked &= longest_edges(mesh.points_mm, mesh.triangles) > shortest_mm
        if not marked.any():
            break
        mesh = fitted(bisected(mesh, marked), surfaces.off_smooth_mm)
        stages.append(mesh)
    return stages


def _too_far(mesh: Surface, surfaces: MaskSurfaces, distances_voxels: tuple[NDArray, NDArray]) -> NDArray[np.bool_]:
    """Return True for each triangle of a mesh that is too far from the mask."""
    from scipy.spatial import cKDTree

    tree = cKDTree(mesh.points_mm[mesh.triangles].mean(axis=1))
    marked = np.zeros(len(mesh.triangles), bool)
    for points_mm, distances in zip((samples_of(mesh), surfaces.smooth.points_mm), distances_voxels, strict=True):
        far_mm = points_mm[distances > _AIM_VOXELS]
        # An edge's middle is as near to the centres of both of its triangles.
        marked[tree.query(far_mm, k=2)[1].ravel()] = True
    return marked


def _denser(
    density: NDArray[np.float64], points_mm: NDArray[np.float64], places_mm: NDArray[np.float64], edge_mm: float
) -> NDArray[np.float64]:
    """Return a density that is four times as high at some places, so that edges there have half the length."""
    from scipy.spatial import cKDTree

    distances_mm, _ = cKDTree(places_mm).query(points_mm)
    local_mm = edge_mm / np.sqrt(density)
    return density * (1 + 3 * np.exp(-((distances_mm / (_REACH * local_mm)) ** 2)))


def _problems(quality: MeshQuality, fit: MaskFit) -> list[str]:
    problems = []
    largest = max(fit.off_mask_voxels, fit.missed_voxels)
    if largest > LARGEST_DISTANCE_VOXELS:
        problems.append(f"the surface is up to {largest:.2f} voxels from the mask; shorter edges come nearer")
    if fit.refined_percent > MOST_REFINED_PERCENT:
        problems.append(f"{fit.refined_percent:.0f} % of the edges are far shorter than stated, to stay near the mask")
    if abs(fit.volume_difference_percent) > LARGEST_VOLUME_DIFFERENCE_PERCENT:
        problems.append(f"its volume differs from the mask's by {fit.volume_difference_percent:+.1f} %")
    if quality.components > 1:
        problems.append(f"the surface consists of {quality.components} separate parts")
    if quality.genus != fit.mask_genus:
        problems.append(f"tunnels: {fit.mask_genus} in the mask, and {quality.genus} in the surface")
    elif quality.genus:
        problems.append(f"tunnels through the surface: {quality.genus}; check the mask for holes")
    if fit.pieces_left_out:
        problems.append(f"pieces of the mask below {FRAGMENT_ML:g} ml that were left out: {fit.pieces_left_out}")
    if fit.cavities_filled_ml:
        problems.append(f"cavities of {fit.cavities_filled_ml:.2g} ml in the mask are filled")
    if quality.smallest_angle_deg < SMALLEST_ANGLE_DEG:
        problems.append(f"the smallest angle is {quality.smallest_angle_deg:.1f} degrees")
    return problems


def require_edge(edge_mm: float, geometry: Geometry | None = None) -> None:
    """Refuse an edge length that is out of range.

    Args:
        edge_mm: The edge length in mm.
        geometry: Geometry of the mask; without one, only the upper limit is checked.

    Raises:
        InputError: It is above 10 mm, or below half the smallest spacing ("invalid-option").

    Example:
        >>> require_edge(2.5)
    """
    shortest = 0 if geometry is None else min(geometry.spacing_mm_xyz) / 2
    if not max(shortest, 1e-3) <= edge_mm <= LONGEST_EDGE_MM:
        least = f"{shortest:g} mm (half a voxel of this mask)" if geometry else "half a voxel"
        msg = f"The edge length must be from {least} to {LONGEST_EDGE_MM:g} mm, got {edge_mm:g}."
        raise InputError(msg, code="invalid-option")
