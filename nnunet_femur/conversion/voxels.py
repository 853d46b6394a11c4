"""Read the voxels of a case and convert them to the form of the dataset: int16 HU, mask 0/1, RAS, one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.conversion.checks.header_checks import settled_headers
from nnunet_femur.conversion.checks.mask_checks import MASK_CHECKS, Body, MaskFacts
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.findings import Finding, Severity, errors_of
from nnunet_femur.imaging.femur_mask import femur_box
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry, image_of
from nnunet_femur.imaging.grids import Femur, Placement, Relation, onto_image, settled
from nnunet_femur.imaging.hounsfield import IMAGE_CHECKS, hounsfield
from nnunet_femur.imaging.sides import LEFT, RIGHT
from nnunet_femur.imaging.sources import read_source, read_source_header
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.conversion.cases import Case

_MISPLACED = {
    Relation.APART: ("grids-apart", "does not overlap its CT."),
    Relation.DOUBTFUL: ("mask-geometry", "has as many voxels as its CT, but another grid."),
}


@dataclass(frozen=True)
class CaseVoxels:
    """A case in the form of the dataset.

    Attributes:
        image_zyx: The CT in HU, int16, shape (z, y, x).
        mask_zyx: The femur, uint8 0/1, on the same grid.
        geometry: Grid of both.
        volume_ml: Volume of the femur in millilitres.
        source_geometry: Geometry of the CT as stored in the source.
        findings: Findings about the files, including all changes that were made.
    """

    image_zyx: NDArray[np.int16]
    mask_zyx: NDArray[np.uint8]
    geometry: Geometry
    volume_ml: float
    source_geometry: Geometry
    findings: tuple[Finding, ...]

    @property
    def image(self) -> sitk.Image:
        """The CT as an image."""
        return image_of(self.image_zyx, self.geometry)

    @property
    def mask(self) -> sitk.Image:
        """The femur as an image."""
        return image_of(self.mask_zyx, self.geometry)


def read_case(root: Path, case: Case, options: ConversionOptions | None = None) -> CaseVoxels | list[Finding]:
    """Read a case whose headers have been checked. Errors in the voxels are returned as findings.

    Args:
        root: The folder that the case's files are relative to.
        case: The case.
        options: Options about the files.

    Returns:
        The case in the form of the dataset, or all errors in its voxels.
    """
    options = options or ConversionOptions()
    source = read_source(root, case.image)
    if isinstance(source, Finding):
        unreadable = (read_source(root, file, mask=True, ct=case.image) for file in case.masks)
        return [source, *(mask for mask in unreadable if isinstance(mask, Finding))]
    header, image = source
    geometry = header.geometry
    if header.alternatives:
        masks = [read_source_header(root, file, mask=True, ct=case.image) for file in case.masks]
        geometry, _ = settled_headers(header, [mask for mask in masks if not isinstance(mask, Finding)])
    hu_zyx, facts = hounsfield(_array(image), padding_hu=options.padding_hu, voxel_volume_ml=geometry.voxel_volume_ml)
    findings = IMAGE_CHECKS.run(facts, case.image)
    padding = facts.padding
    known_side = case.side in (LEFT, RIGHT) and padding.region_zyx is None
    body = Body.of(hu_zyx, geometry) if known_side else None
    femurs = []
    for file in case.masks:
        femur, found = _read_femur(root, case, file, geometry, options)
        findings += found
        if femur is not None:
            femurs.append(femur)
            findings += MASK_CHECKS.run(
                MaskFacts(femur, hu_zyx[femur.slices], geometry, padding.of(femur.slices), case.side, body, hu_zyx),
                file,
            )
    errors = [found for found in findings if found.severity is Severity.ERROR]
    if errors:
        return errors
    order = AxisOrder.between(geometry, RAS)
    femur = _joined(femurs)
    if padding.region_zyx is not None and options.padding_hu is not None:
        # Tissue elsewhere has the same value, so this padding is replaced by its position instead of its value.
        hu_zyx = np.where(padding.region_zyx, np.int16(options.padding_hu), hu_zyx)
    values = () if options.padding_hu is None else padding.everywhere
    turned_zyx = _in_written_order(hu_zyx, order, values, options)
    return CaseVoxels(
        turned_zyx,
        _mask(femur, order, geometry, turned_zyx.shape),
        order.of_geometry(geometry),
        int(np.count_nonzero(femur.voxels_zyx)) * geometry.voxel_volume_ml,
        geometry,
        tuple(findings),
    )


def _array(image: sitk.Image) -> NDArray:
    import SimpleITK as sitk

    return sitk.GetArrayViewFromImage(image)


def _read_femur(
    root: Path, case: Case, file: Path, image: Geometry, options: ConversionOptions
) -> tuple[Femur | None, list[Finding]]:
    """Return the femur of a mask on the grid of its CT, and the findings about it; None in case of an error."""
    source = read_source(root, file, mask=True, ct=case.image)
    if isinstance(source, Finding):
        return None, [source]
    header, mask = source
    _, (geometry,) = settled((image,), [(header.geometry, *header.alternatives)])
    way = Placement.of(geometry, image, trust=options.trust)
    if way.relation in _MISPLACED:
        code, problem = _MISPLACED[way.relation]
        return None, [finding(code, file, problem)]
    femur_zyx, box, findings = femur_box(header, mask, file, segments=options.segments, labels=options.labels)
    if errors_of(findings):
        return None, findings
    if box is None:
        return Femur.empty(), findings
    start = _start(way.order, box, header.geometry)
    return onto_image(way.order.of_array(femur_zyx), start, way, image), findings


def _start(order: AxisOrder, box: tuple[slice, ...], mask: Geometry) -> tuple[int, int, int]:
    """Return the index (z, y, x) of the first voxel of a box after the axes of the mask are reordered."""
    box_xyz = box[::-1]
    x, y, z = (
        mask.size_xyz[axis] - box_xyz[axis].stop if flipped else box_xyz[axis].start
        for axis, flipped in zip(order.axes_xyz, order.flipped_xyz, strict=True)
    )
    return z, y, x


def _joined(femurs: list[Femur]) -> Femur:
    """Join the femurs of all masks of a case in one box."""
    if len(femurs) == 1:
        return femurs[0]
    starts = np.array([femur.start_zyx for femur in femurs])
    ends = starts + [femur.voxels_zyx.shape for femur in femurs]
    first = starts.min(axis=0)
    joined = np.zeros(ends.max(axis=0) - first, bool)
    for femur, start in zip(femurs, starts - first, strict=True):
        place = tuple(slice(int(a), int(a) + n) for a, n in zip(start, femur.voxels_zyx.shape, strict=True))
        joined[place] |= femur.voxels_zyx
    z, y, x = (int(n) for n in first)
    return Femur(joined, (z, y, x))


def _mask(femur: Femur, order: AxisOrder, image: Geometry, shape_zyx: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the femur as a mask on the written grid, whose shape is given."""
    mask_zyx = np.zeros(shape_zyx, np.uint8)
    box_zyx = order.of_array(femur.voxels_zyx)
    start_zyx = _start(order, femur.slices, image)
    place = tuple(slice(start, start + length) for start, length in zip(start_zyx, box_zyx.shape, strict=True))
    mask_zyx[place] = box_zyx
    return mask_zyx


def _in_written_order(
    hu_zyx: NDArray[np.int16], order: AxisOrder, padding: tuple[int, ...], options: ConversionOptions
) -> NDArray[np.int16]:
    """Return a copy of the CT in the written order of axes, with padding replaced."""
    turned = np.array(order.of_array(hu_zyx), np.int16, order="C")
    for plane in turned if padding else ():
        for value in padding:
            plane[plane == value] = options.padding_hu
    return turned
