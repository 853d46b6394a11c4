"""Errors of the cortex on hollow cylinders by voxel size, thickness, blur and noise, and the picture of a section.

Run: uv run python benchmarks/measure_cortex.py [--figure]

The cylinder has an outer radius of 13.4 mm, is tilted by 8 degrees, and is sampled at 0.25 mm or finer before it is
blurred and averaged over each voxel. --figure draws the parts and a section of a phantom to docs/images/cortex.png.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from nnunet_femur.imaging import Geometry  # noqa: E402
from nnunet_femur.measurement.density.bone_parts import parts_of, shaft_levels  # noqa: E402
from nnunet_femur.measurement.density.cortex import RAYS, CorticalSection, cortical_section  # noqa: E402
from nnunet_femur.measurement.measuring import measure_mask  # noqa: E402
from nnunet_femur.testing import make_phantom  # noqa: E402
from tests.measurement.tubes import tube  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nnunet_femur.measurement.landmarks import Anatomy

OUTER_MM = 13.4
SPACINGS_MM = ((0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (1.5, 1.5, 2.0), (2.0, 2.0, 2.0), (3.0, 3.0, 3.0))
THICKNESSES_MM = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0)
SCANS = ((0.6, 15.0), (0.8, 40.0))
"""Standard deviations of blur in mm and noise in HU."""


def main() -> None:
    """Print the table, and draw the picture if it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", action="store_true", help="draw docs/images/cortex.png instead")
    if parser.parse_args().figure:
        _draw(ROOT / "docs/images/cortex.png")
        return
    print("voxel mm       blur noise  true mm  thickness mm  cortex %  marrow %  whole %")
    for spacing in SPACINGS_MM:
        for blur, noise in SCANS:
            for thickness in THICKNESSES_MM:
                _print_errors(spacing, blur, noise, thickness)


def _print_errors(spacing: tuple[float, float, float], blur: float, noise: float, thickness: float) -> None:
    inner = OUTER_MM - thickness
    bone = tube(OUTER_MM, inner, spacing_mm=spacing, blur_mm=blur, noise_hu=noise)
    found = cortical_section(bone.ct_zyx, bone.mask_zyx, bone.geometry, np.zeros(3), bone.axis)
    scan = f"{' x '.join(f'{each:g}' for each in spacing):14} {blur:4g} {noise:5g}  {thickness:7g}"
    if not isinstance(found, CorticalSection):
        print(f"{scan}  {found.code}")
        return
    whole, marrow = np.pi * OUTER_MM**2, np.pi * inner**2
    print(
        f"{scan}  {found.thickness_mm - thickness:+12.2f}  {found.cortical_area_mm2 / (whole - marrow) - 1:+8.1%}  "
        f"{found.marrow_area_mm2 / marrow - 1:+8.1%}  {found.total_area_mm2 / whole - 1:+7.1%}"
    )


def _draw(path: Path) -> None:
    """Draw a section of a phantom with the edges of its cortex, and the profile of one ray."""
    import matplotlib as mpl
    import SimpleITK as sitk
    from matplotlib import pyplot as plt
    from scipy.ndimage import map_coordinates

    mpl.use("Agg")
    phantom = make_phantom(2, size_zyx=(240, 110, 110), spacing_mm_zyx=(2.0, 1.0, 1.0))
    ct, mask = (sitk.GetArrayFromImage(each) for each in (phantom.image, phantom.mask))
    grid = Geometry.of(phantom.image)
    anatomy = measure_mask(mask, grid).anatomy
    levels = None if anatomy is None else shaft_levels(anatomy)
    if anatomy is None or levels is None:
        msg = "The phantom was not measured."
        raise SystemExit(msg)
    along = (levels.top_mm - levels.length_mm / 2) * levels.axis.direction
    section = cortical_section(ct, mask > 0, grid, levels.axis.point_mm + along, levels.axis.direction)
    if not isinstance(section, CorticalSection):
        raise SystemExit(section.text)
    edges, axis = section.edges, levels.axis.direction
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)

    def values(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        points = section.center_mm + u[..., None] * first + v[..., None] * second
        index = grid.index_of(points.reshape(-1, 3))[:, ::-1].T
        return np.asarray(map_coordinates(ct, index, float, order=1)).reshape(u.shape)

    figure, (front, left, right) = plt.subplots(1, 3, figsize=(11, 4), width_ratios=(0.5, 1, 1.4), layout="constrained")
    _draw_parts(front, mask, grid, anatomy)
    reach = np.arange(-22, 22, 0.2)
    left.imshow(values(*np.meshgrid(reach, reach)), cmap="gray", vmin=-200, vmax=1900, extent=(-22, 22, 22, -22))
    angles = np.arange(RAYS + 1) * 2 * np.pi / RAYS
    for radii in (edges.outer_mm, edges.inner_mm):
        closed = np.append(radii, radii[0])
        left.plot(closed * np.cos(angles), closed * np.sin(angles), color="tab:orange", lw=1.2)
    left.plot([0, 21], [0, 0], color="tab:blue", lw=1)
    left.set(xlabel="mm", ylabel="mm", title="Section at 50 % of the length")
    radii = np.arange(0, 21, 0.1)
    right.plot(radii, values(radii, np.zeros_like(radii)), color="tab:blue", label="profile")
    for radius, beside in ((edges.inner_mm[0], edges.marrow_hu), (edges.outer_mm[0], 60)):
        right.axvline(radius, color="tab:orange")
        right.plot(radius, (edges.cortex_hu + beside) / 2, "o", color="tab:orange")
    right.axhline(edges.cortex_hu, color="gray", ls=":", label="cortex, corrected for blur")
    right.axhline(edges.marrow_hu, color="gray", ls="--", label="marrow")
    right.set(xlabel="distance from the middle in mm", ylabel="HU", title="Edges at half of the difference")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    print(path)


def _draw_parts(axes: Axes, mask_zyx: np.ndarray, grid: Geometry, anatomy: Anatomy) -> None:
    """Draw the parts of the bone as seen from the front."""
    from matplotlib.colors import ListedColormap

    index = np.argwhere(mask_zyx)
    labels = np.zeros(mask_zyx.shape, int)
    points = index[:, ::-1] @ grid.steps_mm.T + grid.origin_mm_xyz
    labels[tuple(index.T)] = parts_of(points, anatomy, {}).labels
    seen = np.take_along_axis(labels, (labels > 0).argmax(1)[:, None], 1)[::-1, 0]
    colors = ("white", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")
    x, _, z = grid.spacing_mm_xyz
    axes.imshow(seen, cmap=ListedColormap(colors), vmin=0, vmax=6, aspect=z / x, interpolation="nearest")
    names = ("head", "neck", "trochanter", "upper shaft", "shaft", "condyles")
    for label, name in enumerate(names, 1):
        rows, columns = np.nonzero(seen == label)
        axes.text(columns.mean(), rows.mean(), name, ha="center", va="center", fontsize=7)
    axes.set(xticks=[], yticks=[], title="Parts")


if __name__ == "__main__":
    main()
