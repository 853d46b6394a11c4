"""A bone's surface as a mesh of triangles in the patient's space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.atomic_files import written_beside
from nnunet_femur.errors import SetupError
from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

_ITERATIONS, _PASS_BAND = 20, 0.05
"""Of the windowed sinc filter, which unlike repeated averaging does not shrink a surface."""

_LARGEST_STEP = 0.5
"""How far smoothing may move a point along each axis of the volume, in voxels."""


@dataclass(frozen=True)
class Surface:
    """Triangles that close around a bone, their corners counter-clockwise as seen from outside.

    Attributes:
        points_mm: Corners, n x 3: left, posterior, superior (LPS) in mm, as in DICOM and SimpleITK.
        triangles: Three indices of corners each, m x 3.
    """

    points_mm: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @property
    def volume_ml(self) -> float:
        """The volume inside in ml; negative if the triangles face inwards."""
        a, b, c = (self.points_mm[self.triangles[:, corner]] for corner in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000.0


def bone_surface(mask_zyx: NDArray, geometry: Geometry) -> Surface:
    """The smoothed surface of a mask, closed also where the field of view cuts the bone.

    Flying edges (the marching cubes of VTK), then a windowed sinc filter in mm. No point is moved by more than half a
    voxel along any axis of the volume, so that the surface stays within one voxel of the mask's.

    Args:
        mask_zyx: The mask, not 0 in the bone; it may be empty.
        geometry: Where its voxels lie, in any direction.
    """
    box = box_of(mask_zyx)
    part = mask_zyx[box] != 0
    if not part.size:
        return Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))
    spacing = np.array(geometry.spacing_mm_xyz)
    rough_mm, smooth_mm, triangles = _triangulated(np.pad(part, 1).astype(np.uint8), spacing)
    largest = _LARGEST_STEP * spacing
    smooth_mm = rough_mm + np.clip(smooth_mm - rough_mm, -largest, largest)
    # The padding put one voxel before the box.
    start_mm = (np.array([part.start for part in box[::-1]]) - 1) * spacing
    axes = np.reshape(geometry.direction, (3, 3))
    points_mm = (smooth_mm + start_mm) @ axes.T + geometry.origin_mm_xyz
    surface = Surface(points_mm, triangles)
    # Axes that are mirrored turn all triangles around.
    return surface if surface.volume_ml >= 0 else Surface(points_mm, triangles[:, ::-1])


def _triangulated(
    voxels_zyx: NDArray[np.uint8], spacing_mm_xyz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Corners in mm from the first voxel along the volume's axes, before and after smoothing, and triangles."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

    image = vtkImageData()
    image.SetDimensions(*voxels_zyx.shape[::-1])
    image.SetSpacing(*spacing_mm_xyz)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels_zyx.ravel()))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    rough = edges.GetOutput()
    smoothing = vtkWindowedSincPolyDataFilter()
    smoothing.SetInputData(rough)
    smoothing.SetNumberOfIterations(_ITERATIONS)
    smoothing.SetPassBand(_PASS_BAND)
    smoothing.BoundarySmoothingOff()
    smoothing.FeatureEdgeSmoothingOff()
    smoothing.NormalizeCoordinatesOn()
    smoothing.Update()
    meshes = (rough, smoothing.GetOutput())
    points, smoothed = (vtk_to_numpy(mesh.GetPoints().GetData()).astype(float) for mesh in meshes)
    triangles = vtk_to_numpy(rough.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return points, smoothed, triangles


def write_stl(surface: Surface, path: Path) -> None:
    """Write a binary STL file, whole or not at all.

    Its header says ``SPACE=LPS``, by which 3D Slicer knows the patient's axes; STL itself has no place for them.

    Raises:
        SetupError: The file cannot be written.
    """
    corners = surface.points_mm[surface.triangles].astype(np.float32)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets = np.zeros(len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")])
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    facets["corners"] = corners
    head = b"SPACE=LPS; millimetres; made by nnunet_femur".ljust(80) + np.array(len(facets), "<u4").tobytes()
    try:
        with written_beside(path) as partial:
            partial.write_bytes(head + facets.tobytes())
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}). Check the folder and the space on the disk."
        raise SetupError(msg) from error
