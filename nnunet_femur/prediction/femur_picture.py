"""Picture of a femur's mask for notebooks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry

if TYPE_CHECKING:
    import SimpleITK as sitk
    from numpy.typing import NDArray

_PANEL_PIXELS = 180
"""Height of the picture."""


def projections(mask: sitk.Image) -> bytes:
    """Return a PNG of the mask's thickness, coronal, sagittal and axial, the patient's right on the left."""
    import SimpleITK as sitk
    from matplotlib.image import imsave

    geometry = Geometry.of(mask)
    order = AxisOrder.between(geometry, RAS)
    # From superior to inferior, from anterior to posterior, from right to left.
    voxels = order.of_array(sitk.GetArrayViewFromImage(mask))[::-1, ::-1, ::-1] > 0
    z_mm, y_mm, x_mm = order.of_geometry(geometry).spacing_mm_zyx
    panels = [
        _scaled(voxels.sum(1) * y_mm, z_mm, x_mm),
        _scaled(voxels.sum(2) * x_mm, z_mm, y_mm),
        _scaled(voxels.sum(0) * z_mm, y_mm, x_mm),
    ]
    file = io.BytesIO()
    imsave(file, np.hstack(panels), cmap="bone", format="png")
    return file.getvalue()


def _scaled(thickness_mm: NDArray[np.float64], row_mm: float, column_mm: float) -> NDArray[np.float64]:
    """Bring a projection to square pixels and the height of the picture, its brightest pixel to 1."""
    rows, columns = thickness_mm.shape
    width = max(1, round(_PANEL_PIXELS * (columns * column_mm) / (rows * row_mm)))
    row = (np.arange(_PANEL_PIXELS) * rows) // _PANEL_PIXELS
    column = (np.arange(width) * columns) // width
    return thickness_mm[row][:, column] / max(float(thickness_mm.max()), 1.0)
