"""Surface of a bone as a mesh of triangles in the patient's space, and as an STL or PLY file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.atomic_files import cannot_write, written_beside
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.boxes import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkIOGeometry import vtkSTLWriter
    from vtkmodules.vtkIOPLY import vtkPLYWriter

    from nnunet_femur.imaging.geometry import Geometry


_ITERATIONS, _PASS_BAND = 20, 0.05
"""Settings of the windowed sinc filter, which does not shrink a surface, unlike repeated averaging."""

_LARGEST_STEP = 0.5
"""Largest displacement of a point by smoothing along each axis of the volume, in voxels."""

_HEADER = "SPACE=LPS; millimetres; made by nnunet_femur"


@dataclass(frozen=True)
class Surface:
    """Closed mesh of triangles around a bone; the corners of a triangle are counter-clockwise as seen from outside.

    Attributes:
        points_mm: Corners in mm, shape (n, 3): left, posterior, superior (LPS), as in DICOM and SimpleITK.
        triangles: Indices of the three corners of each triangle, shape (m, 3).

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])).volume_ml
        1.0
    """

    points_mm: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @property
    def normals_mm2(self) -> NDArray[np.float64]:
        """Normal of each triangle, whose length is twice the area of the triangle in mm², shape (m, 3)."""
        a, b, c = (self.points_mm[self.triangles[:, corner]] for corner in range(3))
        return np.cross(b - a, c - a)

    @property
    def volume_ml(self) -> float:
        """Volume inside the mesh in ml; negative if the triangles face inwards."""
        a, b, c = (self.points_mm[self.triangles[:, corner]] for corner in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000.0


def bone_surface(mask_zyx: NDArray, geometry: Geometry, *, smooth: bool = True) -> Surface:
    """Return the smoothed surface of a mask, which is closed even if the field of view cuts the bone.

    Flying edges (VTK's marching cubes) are followed by a windowed sinc filter in mm. Smoothing moves no point by more
    than half a voxel along any axis of the volume, so the surface stays within one voxel of the mask's.

    Args:
        mask_zyx: The mask, other than 0 in the bone; it may be empty.
        geometry: Geometry of the mask, in any direction.
        smooth: Smooth the surface. Otherwise it is the mask's own: half-way between voxels in and outside the bone.

    Example:
        >>> from nnunet_femur.imaging import Geometry
        >>> cube = np.zeros((20, 20, 20), bool)
        >>> cube[4:14, 4:14, 4:14] = True
        >>> grid = Geometry((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> 7.0 < bone_surface(cube, grid).volume_ml <= 8.0
        True
    """
    box = box_of(mask_zyx)
    part = mask_zyx[box] != 0
    if not part.size:
        return Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))
    spacing = np.array(geometry.spacing_mm_xyz)
    rough_mm, smooth_mm, triangles = _triangulated(np.pad(part, 1).astype(np.uint8), spacing)
    largest = _LARGEST_STEP * spacing if smooth else 0
    smooth_mm = rough_mm + np.clip(smooth_mm - rough_mm, -largest, largest)
    # The padding added one voxel before the box.
    start_mm = (np.array([part.start for part in box[::-1]]) - 1) * spacing
    axes = np.reshape(geometry.direction, (3, 3))
    points_mm = (smooth_mm + start_mm) @ axes.T + geometry.origin_mm_xyz
    surface = Surface(points_mm, triangles)
    # Mirrored axes turn all triangles inwards.
    return surface if surface.volume_ml >= 0 else Surface(points_mm, triangles[:, ::-1])


def write_stl(surface: Surface, path: Path | str) -> None:
    """Write a surface to a binary STL file in LPS millimetres, atomically.

    Its header contains ``SPACE=LPS``, by which 3D Slicer recognises the patient's axes. STL has no field for them.

    Args:
        surface: The surface; not empty.
        path: The file, ``.stl``; its folder must exist.

    Raises:
        InputError: The surface is empty ("unsupported").
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> from nnunet_femur.imaging import read_femur
        >>> femur = read_femur("reference.nrrd")
        >>> write_stl(bone_surface(femur.voxels_zyx, femur.header.geometry), "femur.stl")
        >>> Path("femur.stl").read_bytes()[:9]
        b'SPACE=LPS'
        >>> Path("femur.stl").unlink()
    """
    write_surface(surface, path, ending=".stl")


def write_surface(surface: Surface, path: Path | str, *, ending: str = "") -> None:
    """Write a surface to a binary STL or PLY file in LPS millimetres, atomically.

    The header contains ``SPACE=LPS``, by which 3D Slicer recognises the patient's axes.

    Args:
        surface: The surface; not empty.
        path: The file; its folder must exist.
        ending: Format: ".stl" or ".ply". Default: the ending of the path.

    Raises:
        InputError: The surface is empty ("unsupported"), or the format is another one ("invalid-option").
        SetupError: The file cannot be written ("cannot-write").

    Example:
        >>> corners_mm = np.array([[0.0, 0, 0], [30, 0, 0], [0, 20, 0], [0, 0, 10]])
        >>> surface = Surface(corners_mm, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
        >>> write_surface(surface, "femur.ply")
        >>> Path("femur.ply").read_bytes()[:3]
        b'ply'
        >>> Path("femur.ply").unlink()
    """
    path = Path(path)
    if not len(surface.triangles):
        msg = f"{path}: an empty surface cannot be written. Check the mask."
        raise InputError(msg, code="unsupported")
    ending = ending or path.suffix.lower()
    writer = _writer(path, ending)
    writer.SetInputData(vtk_mesh(surface))
    writer.SetFileTypeToBinary()
    try:
        # VTK adds .ply to other endings, such as .PLY.
        with written_beside(path, ending=".ply" if ending == ".ply" else None) as partial:
            _write(writer, partial)
    except OSError as error:
        raise cannot_write(path, error) from error


def _writer(path: Path, ending: str) -> vtkSTLWriter | vtkPLYWriter:
    if ending == ".stl":
        from vtkmodules.vtkIOGeometry import vtkSTLWriter

        writer = vtkSTLWriter()
        writer.SetHeader(_HEADER)
        return writer
    if ending == ".ply":
        from vtkmodules.vtkIOPLY import vtkPLYWriter

        writer = vtkPLYWriter()
        writer.AddComment(_HEADER)
        return writer
    msg = f"{path}: a surface is written as .stl or .ply. Use one of these endings."
    raise InputError(msg, code="invalid-option")


def isosurface(
    values_zyx: NDArray, spacing_mm_xyz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the surface at which the values of a volume are 0.5, by flying edges (VTK's marching cubes).

    Args:
        values_zyx: The volume: above 0.5 inside, and below at its border, so that the surface is closed.
        spacing_mm_xyz: Voxel spacing in mm along x, y, z.

    Returns:
        Corners in mm from the first voxel along the axes of the volume, shape (n, 3), and the indices of the three
        corners of each triangle, shape (m, 3).

    Example:
        >>> cube = np.zeros((5, 5, 5), np.float32)
        >>> cube[2, 2, 2] = 1
        >>> corners_mm, triangles = isosurface(cube, np.array([1.0, 1.0, 1.0]))
        >>> len(corners_mm), len(triangles)
        (6, 8)
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy

    mesh = _flying_edges(values_zyx, spacing_mm_xyz)
    if not mesh.GetNumberOfPoints():
        return np.empty((0, 3)), np.empty((0, 3), np.int64)
    return vtk_to_numpy(mesh.GetPoints().GetData()).astype(float), _triangles_of(mesh)


def _flying_edges(values_zyx: NDArray, spacing_mm_xyz: NDArray[np.float64]) -> vtkPolyData:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    image = vtkImageData()
    image.SetDimensions(*values_zyx.shape[::-1])
    image.SetSpacing(*spacing_mm_xyz)
    image.GetPointData().SetScalars(numpy_to_vtk(values_zyx.ravel()))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _triangulated(
    voxels_zyx: NDArray[np.uint8], spacing_mm_xyz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return corners before and after smoothing, and triangles.

    The corners are in mm from the first voxel, along the axes of the volume.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    rough = _flying_edges(voxels_zyx, spacing_mm_xyz)
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
    return points, smoothed, _triangles_of(rough)


def _triangles_of(mesh: vtkPolyData) -> NDArray[np.int64]:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)


def _write(writer: vtkSTLWriter | vtkPLYWriter, path: Path) -> None:
    """Write a file with VTK, which reports errors by a code instead of an exception.

    Raises:
        OSError: The file cannot be written.
    """
    from vtkmodules.vtkCommonMisc import vtkErrorCode

    # The usual reasons, such as a missing folder, are better described by Python.
    path.touch()
    writer.SetFileName(str(path))
    # With an observer, VTK does not print errors.
    writer.AddObserver("ErrorEvent", lambda *_: None)
    if not writer.Write():
        raise OSError(0, vtkErrorCode.GetStringFromErrorCode(writer.GetErrorCode()))


def vtk_mesh(surface: Surface) -> vtkPolyData:
    """Return a surface as VTK's mesh."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    points, cells, mesh = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(surface.points_mm), deep=True))
    corners = np.ascontiguousarray(surface.triangles, np.int64).ravel()
    starts = np.arange(0, len(corners) + 1, 3, dtype=np.int64)
    cells.SetData(numpy_to_vtkIdTypeArray(starts, deep=True), numpy_to_vtkIdTypeArray(corners, deep=True))
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    return mesh
