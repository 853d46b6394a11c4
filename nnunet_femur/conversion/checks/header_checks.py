"""Check the headers of a case, before any voxel is read or written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.findings import Finding
from nnunet_femur.imaging.geometry import AxisOrder
from nnunet_femur.imaging.grids import Placement, Relation, settled
from nnunet_femur.imaging.segments import femur_segments
from nnunet_femur.imaging.sources import read_source_header
from nnunet_femur.imaging.usability import thin_problem
from nnunet_femur.kinds import Checks, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.imaging.reading import SourceHeader

IMAGE_HEADER_CHECKS = Checks()
"""Checks of the header of a CT."""

_ROUNDING_VOXELS = 1e-6
"""Displacements below this are rounding errors of arithmetic or of the digits of a header, and are not reported."""


def check_headers(root: Path, case: Case, options: ConversionOptions | None = None) -> list[Finding]:
    """Return findings about the headers of a case, and about the treatment of different grids of CT and mask.

    Args:
        root: The folder that the case's files are relative to.
        case: The case.
        options: Options about the files.
    """
    options = options or ConversionOptions()
    image = read_source_header(root, case.image)
    read = {file: read_source_header(root, file, mask=True, ct=case.image) for file in case.masks}
    masks = {file: mask for file, mask in read.items() if not isinstance(mask, Finding)}
    findings = [mask for mask in read.values() if isinstance(mask, Finding)]
    for file, mask in masks.items():
        findings += femur_segments(mask.segments, options.segments, file)[1]
    if isinstance(image, Finding):
        return [image, *findings, *(one for mask in masks.values() for one in mask.findings)]
    geometry, mask_geometries = settled_headers(image, tuple(masks.values()))
    headers = _header_findings(case.image, image, geometry)
    headers += IMAGE_HEADER_CHECKS.run(replace(image, geometry=geometry), case.image)
    for (file, mask), mask_geometry in zip(masks.items(), mask_geometries, strict=True):
        findings += _header_findings(file, mask, mask_geometry)
        findings += _check_grids(case.image, file, geometry, mask_geometry, options)
    return [*headers, *findings]


def settled_headers(image: SourceHeader, masks: Sequence[SourceHeader]) -> tuple[Geometry, tuple[Geometry, ...]]:
    """Return the geometries of a CT and its masks; each resolves what the header of another leaves ambiguous."""
    return settled((image.geometry, *image.alternatives), [(mask.geometry, *mask.alternatives) for mask in masks])


def _header_findings(file: Path, header: SourceHeader, geometry: Geometry) -> list[Finding]:
    """Return the findings about a header, after the other grids have resolved an ambiguous orientation."""
    if geometry == header.geometry:
        return list(header.findings)
    problem = "does not define its orientation; the one in which mask and CT agree voxel for voxel was assumed."
    known = [found for found in header.findings if found.code not in ("orientation-unknown", "space-unnamed")]
    return [*known, finding("grid-settled", file, problem)]


@IMAGE_HEADER_CHECKS.register("too-thin")
def _thin(image: SourceHeader) -> str | None:
    return thin_problem(image.geometry)


@IMAGE_HEADER_CHECKS.register("image-direction")
def _direction(image: SourceHeader) -> str | None:
    axes = np.reshape(image.geometry.direction, (3, 3))
    if np.allclose(axes, np.eye(3), atol=1e-4):
        return None
    nearest = AxisOrder.between(image.geometry, _patient_axes(image.geometry))
    words = []
    if nearest.axes_xyz != (0, 1, 2):
        words.append("permuted")
    if any(nearest.flipped_xyz):
        words.append("flipped")
    tilt = float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0).min(), -1, 1))))
    if tilt > 0.05:
        words.append(f"oblique by {tilt:.1f} degrees")
    if not words:
        return None
    return f"has axes that are {' and '.join(words)}; it was written in RAS order, and its geometry is recorded."


def _patient_axes(geometry: Geometry) -> Geometry:
    """Return the same volume along the axes of the patient (LPS)."""
    return replace(geometry, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@IMAGE_HEADER_CHECKS.register("image-rescaled")
def _rescaled(image: SourceHeader) -> str | None:
    return "has a slope or an intercept in its header, which was applied to the values." if image.rescaled else None


def _check_grids(
    image_file: Path, file: Path, image: Geometry, mask: Geometry, options: ConversionOptions
) -> list[Finding]:
    """Return findings about the placement of a mask on the grid of its CT."""
    way = Placement.of(mask, image, trust=options.trust)
    differences = "; ".join(way.turned.differences(image))
    if way.relation is Relation.DOUBTFUL:
        problem = f"has as many voxels as its CT, but another grid ({differences})."
        return [finding("mask-geometry", file, problem)]
    if way.relation is Relation.APART:
        problem = f"does not overlap {image_file.as_posix()}: {differences}."
        return [finding("grids-apart", file, problem)]
    findings = []
    if way.trusted:
        done = "placed on its CT voxel by voxel" if way.relation is Relation.SAME else "placed by its header"
        problem = f"has as many voxels as its CT, but another grid; it was {done} (--trust {options.trust})."
        findings.append(finding("mask-trusted", file, problem))
    if not way.order.changes_nothing:
        problem = "is stored along other axes than its CT, at the same position; its axes were reordered."
        findings.append(finding("mask-reordered", file, problem))
    if way.relation is Relation.SHIFTED:
        problem = f"covers another box of the grid of its CT ({differences}); it was placed there voxel by voxel."
        findings.append(finding("mask-cropped", file, problem))
    elif way.relation is Relation.OTHER:
        problem = f"has another grid than its CT ({differences}); it was resampled by nearest neighbour."
        findings.append(finding("mask-resampled", file, problem))
    elif not way.trusted and (apart := image.displacement_voxels(way.turned)) > _ROUNDING_VOXELS:
        problem = f"is {apart:.2g} voxels off the grid of its CT, a rounding error; it was moved onto the grid."
        findings.append(finding("grid-snapped", file, problem))
    return findings
