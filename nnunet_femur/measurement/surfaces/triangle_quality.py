"""Quality of a mesh of triangles, as users of finite elements check it: closed, angles, edge lengths."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.measurement.surfaces.mesh_edges import directed_edges, edge_lengths, unique_edges
from nnunet_femur.measurement.surfaces.self_intersections import crossing_triangles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface


def quality_column(label: str, unit: str = "") -> Any:
    """Return a field of a data class that is a column of a quality table."""
    return field(metadata={"label": label, "unit": unit})


@dataclass(frozen=True)
class MeshQuality:
    """Quality of a mesh of triangles.

    Attributes:
        triangles: Number of triangles.
        points: Number of corners.
        components: Number of connected parts.
        genus: Number of tunnels through the bone, by Euler's formula; 0 for a whole bone.
        faulty_edges: Edges that do not belong to exactly two triangles that run along it in opposite directions.
        faulty_points: Corners whose triangles are not one closed fan.
        crossing_triangles: Pairs of triangles that cross each other.
        smallest_angle_deg: Smallest angle of all triangles, in degrees; 60 is ideal.
        smallest_angle_p5_deg: 5th percentile of the smallest angle of each triangle.
        largest_angle_deg: Largest angle of all triangles.
        radius_ratio_max: Largest ratio of a triangle's circumscribed circle to twice its inscribed one; 1 is ideal.
        edge_mean_mm: Mean edge length in mm.
        edge_sd_mm: Standard deviation of the edge lengths.
        edge_min_mm: Shortest edge.
        edge_max_mm: Longest edge.
        area_cm2: Area of the surface in cm2.
        volume_ml: Volume inside the surface in ml.

    Example:
        >>> from nnunet_femur.imaging.surface_mesh import Surface
        >>> corners_mm = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        >>> quality = mesh_quality(Surface(corners_mm, np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])))
        >>> quality.closed, quality.genus, round(quality.smallest_angle_deg), round(quality.radius_ratio_max, 3)
        (True, 0, 60, 1.0)
    """

    triangles: int = quality_column("triangles")
    points: int = quality_column("points")
    components: int = quality_column("components")
    genus: int = quality_column("genus")
    faulty_edges: int = quality_column("edges not between two triangles")
    faulty_points: int = quality_column("points without one closed fan")
    crossing_triangles: int = quality_column("pairs of crossing triangles")
    smallest_angle_deg: float = quality_column("smallest angle", "deg")
    smallest_angle_p5_deg: float = quality_column("smallest angle, 5th percentile", "deg")
    largest_angle_deg: float = quality_column("largest angle", "deg")
    radius_ratio_max: float = quality_column("largest radius ratio (1: equilateral)")
    edge_mean_mm: float = quality_column("edge length, mean", "mm")
    edge_sd_mm: float = quality_column("edge length, SD", "mm")
    edge_min_mm: float = quality_column("edge length, shortest", "mm")
    edge_max_mm: float = quality_column("edge length, longest", "mm")
    area_cm2: float = quality_column("area", "cm2")
    volume_ml: float = quality_column("volume", "ml")

    @property
    def closed(self) -> bool:
        """True if the surface is watertight, and a manifold at each edge and corner."""
        return self.triangles > 0 and not self.faulty_edges and not self.faulty_points


def mesh_quality(surface: Surface) -> MeshQuality:
    """Return the quality of a mesh.

    Args:
        surface: The mesh; not empty.

    Returns:
        Its quality. Angles and edge lengths of triangles without area are not defined, and give 0 or 180 degrees.

    Example:
        >>> import nnunet_femur.imaging as imaging
        >>> femur = imaging.read_femur("reference.nrrd")
        >>> mesh_quality(imaging.bone_surface(femur.voxels_zyx, femur.header.geometry)).closed
        True
    """
    faults = faulty_places(surface)
    corners_mm = surface.points_mm[surface.triangles]
    sides_mm = np.linalg.norm(corners_mm[:, [1, 2, 0]] - corners_mm[:, [2, 0, 1]], axis=2)
    angles = _angles_deg(sides_mm)
    smallest = angles.min(axis=1)
    edges, _ = unique_edges(surface.triangles)
    lengths_mm = edge_lengths(surface.points_mm, edges)
    components, genus = topology(surface)
    areas_mm2 = np.linalg.norm(surface.normals_mm2, axis=1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        # Circumscribed radius abc / 4A, inscribed radius 2A / (a + b + c).
        ratios = sides_mm.prod(axis=1) * sides_mm.sum(axis=1) / (16 * areas_mm2**2)
    return MeshQuality(
        triangles=len(surface.triangles),
        points=len(np.unique(surface.triangles)),
        components=components,
        genus=genus,
        faulty_edges=len(faults.edges),
        faulty_points=len(faults.points),
        crossing_triangles=len(faults.crossing),
        smallest_angle_deg=float(smallest.min()),
        smallest_angle_p5_deg=float(np.percentile(smallest, 5)),
        largest_angle_deg=float(angles.max()),
        radius_ratio_max=float(np.nan_to_num(ratios, nan=np.inf, posinf=np.inf).max()),
        edge_mean_mm=float(lengths_mm.mean()),
        edge_sd_mm=float(lengths_mm.std()),
        edge_min_mm=float(lengths_mm.min()),
        edge_max_mm=float(lengths_mm.max()),
        area_cm2=float(areas_mm2.sum()) / 100,
        volume_ml=surface.volume_ml,
    )


@dataclass(frozen=True)
class Faults:
    """Places at which a mesh is not the closed surface of a body.

    Attributes:
        edges: Corners of the faulty edges, shape (n, 2).
        points: Faulty corners, shape (n,).
        crossing: Pairs of crossing triangles, shape (n, 2).
    """

    edges: NDArray[np.int64]
    points: NDArray[np.int64]
    crossing: NDArray[np.int64]

    def places_mm(self, surface: Surface) -> NDArray[np.float64]:
        """Return points of the faults in mm, shape (n, 3)."""
        corners = [self.edges.ravel(), self.points, surface.triangles[self.crossing.ravel()].ravel()]
        return surface.points_mm[np.unique(np.concatenate(corners))]


def faulty_places(surface: Surface) -> Faults:
    """Return the places at which a mesh is not closed, not a manifold, or crosses itself."""
    directed = directed_edges(surface.triangles)
    base = len(surface.points_mm)
    codes, counts = np.unique(directed[:, 0] * base + directed[:, 1], return_counts=True)
    once = np.stack(np.divmod(codes, base), axis=1)
    faulty = once[(counts != 1) | ~np.isin(once[:, 1] * base + once[:, 0], codes)]
    edges = np.unique(np.sort(faulty, axis=1), axis=0)
    return Faults(edges, _points_of_several_fans(surface), crossing_triangles(surface))


def _points_of_several_fans(surface: Surface) -> NDArray[np.int64]:
    """Return the corners whose triangles are not connected through edges at this corner.

    A node is a corner of a triangle. Two nodes of one point are connected if their triangles share an edge there.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    triangles = surface.triangles
    count = len(triangles)
    nodes = np.arange(3 * count).reshape(3, count)
    starts = np.stack([np.sort(triangles[:, [i, (i + 1) % 3]], axis=1) for i in range(3)]).reshape(-1, 2)
    # For each edge, the nodes at its lower and its higher corner.
    ends = np.stack([np.stack([nodes[i], nodes[(i + 1) % 3]], axis=1) for i in range(3)]).reshape(-1, 2)
    first = np.concatenate([triangles[:, i] for i in range(3)])
    swapped = starts[:, 0] != first
    ends[swapped] = ends[swapped, ::-1]
    order = np.lexsort((starts[:, 1], starts[:, 0]))
    same = (starts[order][1:] == starts[order][:-1]).all(axis=1)
    one, other = ends[order][:-1][same], ends[order][1:][same]
    links = coo_matrix((np.ones(2 * len(one)), (one.ravel(), other.ravel())), shape=(3 * count, 3 * count))
    _, fans = connected_components(links, directed=False)
    pairs = np.unique(first * np.int64(3 * count) + fans)
    points, fans_of_each = np.unique(pairs // (3 * count), return_counts=True)
    return points[fans_of_each > 1]


def _angles_deg(sides_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles of triangles, each opposite to the side in the same place."""
    squares = sides_mm**2
    opposite, one, other = squares, squares[:, [1, 2, 0]], squares[:, [2, 0, 1]]
    products = np.maximum(2 * np.sqrt(one * other), np.finfo(float).tiny)
    return np.degrees(np.arccos(np.clip((one + other - opposite) / products, -1, 1)))


def topology(surface: Surface) -> tuple[int, int]:
    """Return the number of connected parts of a closed mesh, and that of its tunnels by Euler's formula.

    Example:
        >>> from nnunet_femur.imaging.surface_mesh import Surface
        >>> topology(Surface(np.eye(4, 3), np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])))
        (1, 0)
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    used, triangles = np.unique(surface.triangles, return_inverse=True)
    edges, _ = unique_edges(triangles.reshape(-1, 3))
    links = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(used), len(used)))
    components = int(connected_components(links, directed=False)[0])
    euler = len(used) - len(edges) + len(surface.triangles)
    return components, round(components - euler / 2)


def quality_columns(*kinds: type) -> dict[str, tuple[str, str]]:
    """Return label and unit of the columns of a quality table by field.

    Args:
        kinds: Data classes whose fields are columns, such as :class:`MeshQuality`.
    """
    return {each.name: (each.metadata["label"], each.metadata["unit"]) for kind in kinds for each in fields(kind)}
