"""Surfaces for models beside VTK's quadric decimation to as many triangles: quality, distance from the mask, time.

Run: uv run python benchmarks/measure_surfaces.py [MESHES] [--bones 1] [--figure PATH]

Without MESHES, the femur of nnunet_femur.testing is used. MESHES is an archive of femurs as closed triangle meshes,
``ID_v`` (corners in mm) and ``ID_f`` (triangles). The first bones are voxelised at 1 mm and at 2 x 2 x 3 mm. --figure
draws the upper end of the first bone.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from nnunet_femur.imaging.surface_mesh import Surface, bone_surface, vtk_mesh  # noqa: E402
from nnunet_femur.measurement.surfaces.mask_fit import MaskFit, MaskSurfaces  # noqa: E402
from nnunet_femur.measurement.surfaces.model_surfaces import model_surface  # noqa: E402
from nnunet_femur.measurement.surfaces.triangle_quality import MeshQuality, mesh_quality  # noqa: E402
from nnunet_femur.testing.analytic_femur import AnalyticFemur  # noqa: E402
from nnunet_femur.testing.voxelising import grid_around, voxelise  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry

SPACINGS_MM = ((1.0, 1.0, 1.0), (2.0, 2.0, 3.0))
EDGES_MM = (2.0, 3.0, 4.0)
HEADER = (
    "bone  voxel mm   edge mm  method     triangles  angle min (p5) deg  edge mean +- SD (min-max) mm"
    "  off mask voxels (mm)  missed voxels  volume %  crossing  CPU seconds"
)


def main() -> None:
    """Print the table, and draw the picture if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path, nargs="?")
    parser.add_argument("--bones", type=int, default=1)
    parser.add_argument("--figure", type=Path, help="draw this picture instead")
    given = parser.parse_args()
    bones = _bones(given.meshes, given.bones) if given.meshes else {"known": AnalyticFemur().surface(step_mm=1.0)}
    if given.figure:
        _draw(next(iter(bones.values())), given.figure)
        return
    print(HEADER)
    for name, bone in bones.items():
        for spacing in SPACINGS_MM:
            geometry = grid_around(bone, spacing, margin_voxels=3)
            _print_rows(name, voxelise(bone, geometry), geometry)


def _bones(path: Path, count: int) -> dict[str, Surface]:
    with np.load(path) as archive:
        names = sorted({name.rpartition("_")[0] for name in archive.files})[:count]
        return {
            name: Surface(archive[f"{name}_v"].astype(float), archive[f"{name}_f"].astype(np.int64)) for name in names
        }


def _print_rows(name: str, mask_zyx: NDArray[np.uint8], geometry: Geometry) -> None:
    surfaces = MaskSurfaces(mask_zyx, geometry)
    for edge_mm in EDGES_MM:
        start = time.process_time()
        model = model_surface(mask_zyx, geometry, edge_mm=edge_mm)
        taken = time.process_time() - start
        voxel = " x ".join(f"{each:g}" for each in geometry.spacing_mm_xyz)
        first = f"{name:5} {voxel:10} {edge_mm:7g}  "
        print(f"{first}ours     {_row(model.quality, model.fit)}{taken:9.1f}", flush=True)
        start = time.process_time()
        mesh = _decimated(bone_surface(mask_zyx, geometry), len(model.surface.triangles))
        taken = time.process_time() - start
        fit = surfaces.fit_of(mesh, edge_mm, surfaces.distances_voxels(mesh))
        print(f"{first}quadric  {_row(mesh_quality(mesh), fit)}{taken:9.1f}", flush=True)


def _row(quality: MeshQuality, fit: MaskFit) -> str:
    return (
        f"{quality.triangles:11}  {quality.smallest_angle_deg:9.1f} ({quality.smallest_angle_p5_deg:.1f})"
        f"  {quality.edge_mean_mm:12.2f} +- {quality.edge_sd_mm:.2f}"
        f" ({quality.edge_min_mm:.2f}-{quality.edge_max_mm:.2f})"
        f"  {fit.off_mask_voxels:12.2f} ({fit.off_mask_mm:.2f})  {fit.missed_voxels:12.2f}"
        f"  {fit.volume_difference_percent:+10.2f}  {quality.crossing_triangles:8}"
    )


def _decimated(surface: Surface, triangles: int) -> Surface:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    decimation = vtkQuadricDecimation()
    decimation.SetInputData(vtk_mesh(surface))
    decimation.SetTargetReduction(max(0.0, 1 - triangles / len(surface.triangles)))
    decimation.VolumePreservationOn()
    decimation.Update()
    mesh = decimation.GetOutput()
    corners = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return Surface(vtk_to_numpy(mesh.GetPoints().GetData()).astype(float), corners)


def _draw(bone: Surface, path: Path) -> None:
    """Draw the upper end of the bone as voxels' surface, decimated and remeshed, and the angles of the triangles."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    geometry = grid_around(bone, SPACINGS_MM[0], margin_voxels=3)
    mask_zyx = voxelise(bone, geometry)
    start = bone_surface(mask_zyx, geometry)
    model = model_surface(mask_zyx, geometry, edge_mm=3.0)
    meshes = {
        "smoothed surface of a 1 mm mask": start,
        "quadric decimation (VTK)": _decimated(start, len(model.surface.triangles)),
        "model surface, edges of 3 mm": model.surface,
    }
    figure, axes = plt.subplots(1, 4, figsize=(15, 4.6), width_ratios=(1, 1, 1, 1.1), layout="constrained")
    for axis, (title, mesh) in zip(axes, meshes.items(), strict=False):
        _draw_mesh(axis, mesh)
        axis.set_title(f"{title}\n{len(mesh.triangles):,} triangles")
        axes[3].hist(
            _smallest_angles_deg(mesh), np.arange(0, 61, 2), histtype="step", density=True, label=title, lw=1.6
        )
    axes[3].set(xlabel="smallest angle of a triangle (degrees)", ylabel="share per degree", xlim=(0, 60))
    axes[3].legend(loc="upper left", frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_mesh(axis, mesh: Surface) -> None:
    """Draw the triangles of the highest 70 mm that face the viewer, from the front."""
    from matplotlib.collections import PolyCollection

    corners = mesh.points_mm[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    top = mesh.points_mm[:, 2].max()
    shown = (normals[:, 1] < 0) & (corners[:, :, 2].min(axis=1) > top - 70)
    order = np.argsort(-corners[shown].mean(axis=1)[:, 1])
    shades = 0.45 + 0.5 * np.clip(normals[shown] @ (0.4, -0.8, 0.45), 0, 1)
    colours = np.stack([shades, shades, shades * 0.93], axis=1)
    polygons = corners[shown][order][:, :, [0, 2]]
    axis.add_collection(PolyCollection(polygons, facecolors=colours[order], edgecolors="0.25", linewidths=0.25))
    axis.autoscale_view()
    axis.set_aspect("equal")
    axis.axis("off")


def _smallest_angles_deg(mesh: Surface) -> NDArray[np.float64]:
    corners = mesh.points_mm[mesh.triangles]
    sides = [corners[:, (i + 1) % 3] - corners[:, i] for i in range(3)]
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in sides]
    cosines = [np.einsum("ij,ij->i", units[i], -units[i - 1]) for i in range(3)]
    return np.degrees(np.arccos(np.clip(cosines, -1, 1))).min(axis=0)


if __name__ == "__main__":
    main()
