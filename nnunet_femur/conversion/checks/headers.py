"""Check what the headers of a case tell, before any voxel is read or anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.conversion.options import IntakeOptions
from nnunet_femur.findings import Finding
from nnunet_femur.imaging.geometry import AxisOrder
from nnunet_femur.imaging.grids import Placement, Relation, settled
from nnunet_femur.imaging.labels import femur_segments
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
"""Checks of a CT's header."""

_ROUNDING_VOXELS = 1e-6
"""Displacements below this come from arithmetic or a header's digits and are not reported."""


def check_headers(root: Path, case: Case, options: IntakeOptions | None = None) -> list[Finding]:
    """Return what is wrong with the headers of a case, and what will be done about differences of their grids.

    Args:
        root: The folder that the case's files are relative to.
        case: The case.
        options: What the user says about the files.
    """
    options = options or IntakeOptions()
    image = read_source_header(root, case.image)
    read = {file: read_source_header(root, file, mask=True) for file in case.masks}
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
    """Return the geometries of a CT and its masks, after one has settled what another's header leaves open."""
    return settled((image.geometry, *image.alternatives), [(mask.geometry, *mask.alternatives) for mask in masks])


def _header_findings(file: Path, header: SourceHeader, geometry: Geometry) -> list[Finding]:
    """Return the findings of reading a header, after the grids have settled what it leaves open."""
    if geometry == header.geometry:
        return list(header.findings)
    problem = "does not define its orientation; it was taken as the one in which mask and CT agree voxel for voxel."
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
    return f"has axes that are {' and '.join(words)} against the patient's; written in RAS order, the way back is kept."


def _patient_axes(geometry: Geometry) -> Geometry:
    """The same volume along the patient's own axes (LPS), for what it says about axes."""
    return replace(geometry, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))


@IMAGE_HEADER_CHECKS.register("image-rescaled")
def _rescaled(image: SourceHeader) -> str | None:
    return "has a slope or an intercept in its header; it was applied to the values." if image.rescaled else None


def _check_grids(
    image_file: Path, file: Path, image: Geometry, mask: Geometry, options: IntakeOptions
) -> list[Finding]:
    """Return how a mask gets onto its CT's grid, or why it cannot."""
    way = Placement.of(mask, image, trust=options.trust)
    differences = "; ".join(way.turned.differences(image))
    if way.relation is Relation.DOUBTFUL:
        problem = f"has as many voxels as its CT, but another grid ({differences})."
        return [finding("mask-geometry", file, problem)]
    if way.relation is Relation.APART:
        problem = f"is nowhere on {image_file.as_posix()}: {differences}."
        return [finding("grids-apart", file, problem)]
    findings = []
    if way.trusted:
        done = "laid on its CT voxel by voxel" if way.relation is Relation.SAME else "placed by its header"
        problem = f"has as many voxels as its CT, but another grid; it was {done} (--trust {options.trust})."
        findings.append(finding("mask-trusted", file, problem))
    if not way.order.changes_nothing:
        problem = "is stored along other axes than its CT, at the same place in space; it was turned."
        findings.append(finding("mask-reordered", file, problem))
    if way.relation is Relation.SHIFTED:
        problem = f"covers another box of its CT's grid ({differences}); it was placed there voxel by voxel."
        findings.append(finding("mask-cropped", file, problem))
    elif way.relation is Relation.OTHER:
        problem = f"is on another grid than its CT ({differences}); nearest neighbour took it onto the CT's."
        findings.append(finding("mask-resampled", file, problem))
    elif not way.trusted and (apart := image.displacement_voxels(way.turned)) > _ROUNDING_VOXELS:
        problem = f"is {apart:.2g} voxels off its CT's grid, a rounding error, and was put onto it."
        findings.append(finding("grid-snapped", file, problem))
    return findings
