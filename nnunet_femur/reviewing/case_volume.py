"""Volume and surface of a case in the form of the review page: small enough for a page, fine enough to judge a mask.

The CT around the mask is resampled to even voxels and compressed with loss (WebP). Mask and disagreement of the folds
are compressed without loss (PNG). All three are mosaics of axial slices, from which the page makes the three planes.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnunet_femur.imaging.boxes import box_of, is_empty
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnunet_femur.reviewing.reviewed_cases import CheckedCase

LARGEST_CASE_BYTES = 2_000_000
"""Largest size of one case in the page."""

WINDOW_HU = (-250, 1250)
"""Values that are shown as black and white."""

_MARGIN_MM = 20.0
_FINEST_MM = 0.8
"""Finest voxel of the page; a contour is not judged better with smaller ones."""

_MOST_VOXELS = 8_000_000
"""Largest number of voxels of a case, which a browser decodes in about a second."""

_QUALITIES = (75, 55, 35)
_TRIANGLES = 12_000
"""Number of triangles of a surface, which a processor draws in a few milliseconds."""

_SURFACE_SHARE = 0.3
"""Largest share of a case's size for its surface."""


@dataclass(frozen=True, eq=False)
class CaseVolume:
    """Volumes around a mask on one grid in RAS order.

    Attributes:
        hu_zyx: The CT in HU; None without a CT.
        mask_zyx: True in the femur.
        deviation_zyx: Standard deviation over the folds, 0 to 0.5; None without one.
        geometry: Their geometry.
    """

    hu_zyx: NDArray[np.int16] | None
    mask_zyx: NDArray[np.bool_]
    deviation_zyx: NDArray[np.float32] | None
    geometry: Geometry

    @classmethod
    def of(cls, checked: CheckedCase) -> CaseVolume:
        """Return the part of a case around its mask, the middle of the volume if the mask is empty.

        Args:
            checked: A case with a mask.
        """
        import SimpleITK as sitk

        if checked.femur is None:
            msg = "a case without a mask has no volume"
            raise ValueError(msg)
        grid = Geometry.of(checked.femur.mask)
        mask_zyx = sitk.GetArrayViewFromImage(checked.femur.mask) != 0
        hu_zyx = None
        if checked.ct is not None:
            mask_zyx, grid, hu_zyx = checked.ct.placed(mask_zyx), checked.ct.geometry, checked.ct.hu_zyx
        box = _around(mask_zyx, grid)
        order = AxisOrder.between(grid, RAS)
        deviation_zyx = _deviation(checked, grid)
        return cls(
            None if hu_zyx is None else order.of_array(hu_zyx[box]),
            order.of_array(mask_zyx[box]),
            None if deviation_zyx is None else order.of_array(deviation_zyx[box]),
            order.of_geometry(_boxed(grid, box)),
        )

    def resampled(self, step_mm: float) -> CaseVolume:
        """Return the volumes with voxels of about `step_mm`, along no axis finer than they are.

        Args:
            step_mm: The new spacing.
        """
        old_mm = np.array(self.geometry.spacing_mm_zyx)
        extent_mm = old_mm * self.mask_zyx.shape
        shape = np.maximum(1, np.round(extent_mm / np.maximum(old_mm, step_mm))).astype(int)
        if tuple(shape) == self.mask_zyx.shape:
            return self
        spacing_mm = extent_mm / shape
        # The outer edges of the volume stay where they are.
        origin = np.array(self.geometry.origin_mm_xyz) + (
            np.reshape(self.geometry.direction, (3, 3)) @ ((spacing_mm - old_mm)[::-1] / 2)
        )
        geometry = Geometry(
            tuple(int(n) for n in shape[::-1]),
            tuple(float(mm) for mm in spacing_mm[::-1]),
            tuple(float(mm) for mm in origin),
            self.geometry.direction,
        )
        soft = _resampled(self.mask_zyx.astype(np.float32), shape)
        return CaseVolume(
            None if self.hu_zyx is None else np.round(_resampled(self.hu_zyx, shape)).astype(np.int16),
            soft >= 0.5,
            None if self.deviation_zyx is None else _resampled(self.deviation_zyx, shape),
            geometry,
        )

    def encoded(self, most_bytes: int) -> dict[str, Any]:
        """Return the volumes as the page reads them, with the finest voxels and the best quality that fit.

        Args:
            most_bytes: Largest size of the encoded text.
        """
        step_mm = max(_FINEST_MM, self.step_mm_of(_MOST_VOXELS))
        while True:
            smaller = self.resampled(step_mm)
            for quality in _QUALITIES:
                found = smaller.at_quality(quality)
                if sum(len(found[name] or "") for name in ("ct", "mask")) <= most_bytes:
                    return found
            step_mm *= 1.25

    def step_mm_of(self, voxels: int) -> float:
        """Return the edge of even voxels, of which the volume has a number.

        Args:
            voxels: The number.
        """
        extent_mm = np.array(self.geometry.spacing_mm_zyx) * self.mask_zyx.shape
        return float(np.prod(extent_mm) / voxels) ** (1 / 3)

    def at_quality(self, quality: int) -> dict[str, Any]:
        """Return the volumes as the page reads them.

        Args:
            quality: Quality of WebP, 0 to 100.
        """
        low, high = WINDOW_HU
        columns = max(1, math.isqrt(self.mask_zyx.shape[0]))
        ct = None
        if self.hu_zyx is not None:
            grey = np.clip((self.hu_zyx.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
            ct = _picture(_mosaic(grey, columns), "WEBP", quality=quality, method=4)
        mask = _mosaic(self.mask_zyx.astype(np.uint8) * 255, columns)
        if self.deviation_zyx is not None:
            deviation = _mosaic(np.clip(self.deviation_zyx * 510, 0, 255).astype(np.uint8), columns)
            mask = np.stack([mask, deviation, np.zeros_like(mask)], axis=-1)
        return {
            "shape_zyx": list(self.mask_zyx.shape),
            "spacing_mm_zyx": [round(float(mm), 4) for mm in self.geometry.spacing_mm_zyx],
            "origin_mm": [round(float(mm), 4) for mm in self.geometry.origin_mm_xyz],
            "steps_mm": [[round(float(mm), 6) for mm in row] for row in self.geometry.steps_mm],
            "index_of_mm": [[round(float(each), 8) for each in row] for row in np.linalg.inv(self.geometry.steps_mm)],
            "columns": columns,
            "ct": ct,
            "mask": _picture(mask, "PNG", optimize=True),
            "deviation": self.deviation_zyx is not None,
        }


def encoded_surface(volume: CaseVolume, most_bytes: int) -> dict[str, Any] | None:
    """Return the surface of a mask as the page reads it; None for an empty mask.

    Points are 16-bit numbers in the box of the surface, triangles are indices of points.

    Args:
        volume: The volumes; the disagreement of the folds colours the surface.
        most_bytes: Largest size of the encoded text.
    """
    from nnunet_femur.imaging.surface_mesh import bone_surface

    if not volume.mask_zyx.any():
        return None
    coarse = volume.resampled(max(1.0, volume.step_mm_of(_MOST_VOXELS)))
    surface = bone_surface(coarse.mask_zyx, coarse.geometry)
    if not len(surface.triangles):
        return None
    triangles = _TRIANGLES
    while True:
        points_mm, faces = _decimated(surface.points_mm, surface.triangles, triangles)
        low, high = points_mm.min(0), points_mm.max(0)
        scale = float((high - low).max()) or 1.0
        quantised = np.round((points_mm - low) / scale * 65535).astype("<u2")
        kind = "<u2" if len(points_mm) < 65536 else "<u4"
        found: dict[str, Any] = {
            "points": _base64(quantised.tobytes()),
            "triangles": _base64(faces.astype(kind).tobytes()),
            "wide": kind == "<u4",
            "scale_mm": round(scale, 3),
            "low_mm": [round(float(mm), 3) for mm in low],
            "size_mm": [round(float(mm), 3) for mm in high - low],
            "deviation": None,
        }
        if volume.deviation_zyx is not None:
            values = _at_points(volume.deviation_zyx, volume.geometry, points_mm)
            found["deviation"] = _base64(np.clip(values * 510, 0, 255).astype(np.uint8).tobytes())
        if sum(len(found[name] or "") for name in ("points", "triangles", "deviation")) <= most_bytes:
            return found
        triangles = triangles * 3 // 4


def encoded_case(checked: CheckedCase) -> dict[str, Any]:
    """Return volume and surface of a case as the page reads them, at most :data:`LARGEST_CASE_BYTES`.

    Args:
        checked: A case with a mask.
    """
    volume = CaseVolume.of(checked)
    room = LARGEST_CASE_BYTES - 50_000
    surface = encoded_surface(volume, int(room * _SURFACE_SHARE))
    used = 0 if surface is None else sum(len(surface[name] or "") for name in ("points", "triangles", "deviation"))
    return {"volume": volume.encoded(room - used), "surface": surface}


def _around(mask_zyx: NDArray[np.bool_], grid: Geometry) -> tuple[slice, ...]:
    box = box_of(mask_zyx)
    if is_empty(box):
        return tuple(slice(0, length) for length in mask_zyx.shape)
    margins = [math.ceil(_MARGIN_MM / mm) for mm in grid.spacing_mm_zyx]
    return tuple(
        slice(max(0, each.start - margin), min(length, each.stop + margin))
        for each, margin, length in zip(box, margins, mask_zyx.shape, strict=True)
    )


def _boxed(grid: Geometry, box: tuple[slice, ...]) -> Geometry:
    start = np.array([each.start for each in box[::-1]])
    origin = np.array(grid.origin_mm_xyz) + grid.steps_mm @ start
    size = tuple(each.stop - each.start for each in box[::-1])
    return Geometry(size, grid.spacing_mm_xyz, tuple(float(mm) for mm in origin), grid.direction)


def _deviation(checked: CheckedCase, grid: Geometry) -> NDArray[np.float32] | None:
    """Return the standard deviation over the folds, if it is on this grid, also in the order of its axes."""
    import SimpleITK as sitk

    from nnunet_femur.errors import FemurError
    from nnunet_femur.imaging.files import read_volume

    if checked.found.uncertainty is None:
        return None
    try:
        image = read_volume(checked.found.uncertainty)
    except FemurError:
        return None
    if image.GetDimension() != 3 or Geometry.of(image).differences(grid):
        return None
    values: NDArray[np.float32] = sitk.GetArrayFromImage(image)
    return values.astype(np.float32)


def _resampled(values_zyx: NDArray, shape: Sequence[int] | NDArray) -> NDArray[np.float32]:
    from scipy.ndimage import zoom

    factors = np.divide(shape, values_zyx.shape)
    return zoom(values_zyx.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True)


def _mosaic(values_zyx: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Return the axial slices beside and below each other, as many in a row as `columns`."""
    slices, height, width = values_zyx.shape
    rows = -(-slices // columns)
    padded = np.zeros((rows * columns, height, width), np.uint8)
    padded[:slices] = values_zyx
    return padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def _picture(pixels: NDArray[np.uint8], form: str, **options: Any) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return f"data:image/{form.lower()};base64,{_base64(file.getvalue())}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decimated(
    points_mm: NDArray[np.float64], triangles: NDArray[np.int64], wanted: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    import pyvista

    if len(triangles) <= wanted:
        return points_mm, triangles
    mesh = pyvista.PolyData.from_regular_faces(points_mm, triangles)
    smaller = mesh.decimate(1 - wanted / len(triangles))
    return np.asarray(smaller.points), np.asarray(smaller.regular_faces)


def _at_points(values_zyx: NDArray[np.float32], grid: Geometry, points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest value in the voxels around each point."""
    from scipy.ndimage import maximum_filter

    indices = np.round(grid.index_of(points_mm)).astype(int)
    x, y, z = (np.clip(indices[:, axis], 0, length - 1) for axis, length in enumerate(grid.size_xyz))
    found: NDArray[np.float32] = maximum_filter(values_zyx, 3)[z, y, x]
    return found
