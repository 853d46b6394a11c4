"""Kinds of findings: code, severity, meaning and remedy of each, in one table.

A check returns the problem of one file as text; everything else about the finding is in this table. To add a check, add
a row to the table and register a function in the checks of headers, images or masks.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from nnunet_femur.findings import Finding, Severity, file_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        severity: Effect on the conversion.
        code: Short name of the kind, the same in every report.
        meaning: The problem in general, for the documentation.
        remedy: The fix; empty if nothing needs to be done.
    """

    severity: Severity
    code: str
    meaning: str
    remedy: str = ""


_error, _warning, _note = (partial(Kind, severity) for severity in Severity)

_ALL = (
    # Files and cases of a source folder.
    _note("layout", "the layout that was detected, and the reason", "Choose another layout with --layout."),
    _note("stray-file", "a file that is not a volume"),
    _error("no-id", "a volume without an id in its name", "Rename it, remove it, or use --id-pattern."),
    _note("id-changed", "an id that is not a safe file name; it was changed"),
    _error("unpaired-image", "a CT without a mask", "Add the mask, or remove the CT."),
    _error("unpaired-mask", "a mask without a CT", "Add the CT, or remove the mask."),
    _error("duplicate-id", "two files or rows with the same id", "Keep one of them, or give them different ids."),
    _error("table-row", "an invalid row of a table", "Correct the row, or remove it."),
    _note("femur-missing", "a subject in which not both femurs are visible; left out"),
    _note("femur-cut", "a subject with a femur that is cut off; left out", "Lower --min-volume-ml to keep it."),
    _note("no-set", "a subject without a set in meta.csv"),
    _warning(
        "other-exam",
        "a mask with another date, number, side or time in its name than its CT",
        "Check that both are of the same exam.",
    ),
    _error(
        "ct-twice",
        "the same CT in several cases with different masks; each mask marks the other femur as background",
        "Give the CT once, with all of its masks: in a table, one row with mask = left.nrrd|right.nrrd.",
    ),
    _warning(
        "same-exam", "one exam in several cases with equal masks; the split keeps them together", "Keep one of them."
    ),
    _warning(
        "patient-without-case",
        "a row of --patients without a case",
        "Check the id. Until then, cases keep the patient of their id.",
    ),
    _warning(
        "case-without-patient",
        "a case that is not in --patients; its patient is that of its id",
        "Add it, unless it is the only case of its patient.",
    ),
    _error(
        "of-test-patient",
        "a case of --update whose patient is in the test set; the test set stays as it is",
        "Give both cases in --patients if they are of different patients.",
    ),
    _error(
        "other-ct",
        "a case of --update with the id of a case of the dataset, but another CT",
        "Predict the CT under another name, and correct that mask.",
    ),
    _error(
        "known-ct",
        "a case of --update whose CT is that of another case of the dataset",
        "Predict the CT under the id of that case to replace its mask.",
    ),
    _error("split", "too few patients for the split (in a dry run)", "Add patients."),
    # Headers and content of files.
    _error("unreadable", "a file that is missing, truncated, damaged, or not a volume", "Export or copy it again."),
    _error("too-large", "a volume that does not fit into memory", "Use fewer --jobs, or crop the volume to the leg."),
    _error(
        "crash",
        "a volume that ended the process that read it",
        "Open and save CT and mask in 3D Slicer. If memory is short, use fewer --jobs.",
    ),
    _error("not-3d", "a volume that is not three-dimensional", "Export a single 3D series."),
    _error("colour", "several values per voxel, as in RGB", "Export grey values, or a single mask."),
    _error("bad-geometry", "an impossible spacing, origin or direction", "Export it again. Resample a sheared volume."),
    _error(
        "no-spacing",
        "a header without the spacing in mm",
        "Export it again from the scanner's DICOM, as NRRD or NIfTI with its spacing.",
    ),
    _error("ending-wrong", "a format that does not match the ending of the name", "Rename it."),
    _note("ending", "a compressed file without such an ending, or the reverse; it was read by its content"),
    _warning(
        "orientation-unknown",
        "a header without an orientation, so left and right were assumed",
        "Compare left and right with the original, or export it again with its orientation.",
    ),
    _warning(
        "space-unnamed",
        "a header without the name of the space of its directions, so left and right were assumed",
        "Compare left and right with the original, or export it again with its space.",
    ),
    _warning(
        "transforms-differ",
        "a header with two different positions or spacings, or with negative spacings",
        "Compare the size of the volume with the original.",
    ),
    _warning("origin-unknown", "a header without its origin", "Export it again with its origin, if positions matter."),
    _note("axes-straightened", "axes that are not quite at right angles; the nearest right angles were used"),
    _warning("reader-warning", "a warning of the library that reads the file", "Check the volume in a viewer."),
    _error(
        "not-ct",
        "DICOM files without slices of a CT: another modality, a report, contours, a localizer, pictures of slices",
        "Export the CT series itself.",
    ),
    _error("not-mask", "DICOM files without a mask, such as a report", "Export the mask as DICOM SEG, NRRD or NIfTI."),
    _error(
        "dicom-attribute",
        "a missing or invalid DICOM attribute of the position or the values",
        "Export the series itself from the scanner or PACS, with all its attributes.",
    ),
    _warning("modality", "a DICOM file that does not state the modality CT", "Check that it is a CT in HU."),
    _warning("rescale-missing", "a CT without slope or intercept", "Check that its values are HU."),
    _warning("rescale-type", "a CT whose values are not HU according to its header", "Check that its values are HU."),
    _note("dicom-left-out", "DICOM files of a folder that are not part of the volume"),
    _note("dicom-joined", "slices with a different series UID each, joined by position"),
    _note("seg-fractional", "a DICOM SEG of probabilities or occupancies; 0.5 was the threshold"),
    _note("contours-filled", "an RTSTRUCT; the voxels whose centres are within its contours were used"),
    _error("too-thin", "a slab of less than 10 mm or 3 voxels", "Give the whole series, and check the spacing."),
    _error("several-series", "a folder with more than one DICOM series", "Leave one series in the folder."),
    _error("slice-gap", "a DICOM series with missing slices", "Add the missing slices."),
    _error("slices-uneven", "a DICOM series whose slices are not an even grid", "Resample it to even distances."),
    _warning(
        "slice-distance",
        "slices with slightly uneven distances, or slightly shifted against each other",
        "Compare the length with the original.",
    ),
    _note("image-direction", "a CT that is flipped, permuted or oblique; it was written in RAS order"),
    _note("image-rescaled", "slope and intercept in the header, which were applied"),
    # Grid of a mask and of its CT.
    _note("mask-reordered", "a mask with another order of axes than its CT"),
    _note("grid-snapped", "a mask that differs from the grid of its CT by a rounding error"),
    _warning(
        "grid-settled",
        "an unknown orientation; the one was chosen in which mask and CT have the same grid",
        "Compare left and right with the original.",
    ),
    _error(
        "mask-geometry",
        "a mask with the CT's number of voxels on another grid, probably saved without its geometry",
        "Use --trust voxels to place it on the CT voxel by voxel, or --trust headers to resample it by its header.",
    ),
    _warning("mask-trusted", "a mask that was placed on its CT according to --trust", "Check the mask."),
    _note("mask-cropped", "a mask on another box of its CT's grid; it was placed exactly"),
    _note("mask-resampled", "a mask on another grid than its CT; it was resampled by nearest neighbour"),
    _error("grids-apart", "a mask outside its CT", "Check the patient of both. Export the mask on the CT's grid."),
    _error("mask-outside", "a femur that extends beyond its CT", "Export the mask on the CT's grid."),
    # Values of a CT.
    _error("not-finite", "values that are NaN or infinite", "Export it again without them."),
    _error("image-constant", "the same value in all voxels", "Export or copy it again."),
    _error("image-8bit", "8-bit grey values instead of HU", "Export the CT in HU, not as a picture."),
    _error(
        "image-positive",
        "values without air and fat, or raw values, so not HU",
        "Export the CT with slope and intercept (often -1024) applied. Other modalities cannot be used.",
    ),
    _error("image-below-air", "HU with the offset applied twice", "Export it with slope and intercept applied once."),
    _error("image-normalised", "values that were normalised", "Give the CT in HU. nnU-Net normalises it itself."),
    _warning("image-range", "no values as high as cortical bone", "Check that it is a CT in HU and was not windowed."),
    _warning("image-windowed", "values that were clipped to a window", "Export the CT in HU without a window."),
    _warning("image-air", "air that is far from -1000 HU", "Check its scale. Calibrate a cone-beam CT to HU."),
    _warning("image-tissue", "few values of fat or muscle", "Check that it is a CT in HU."),
    _note("image-rounded", "fractions of HU, which were rounded"),
    _warning("image-clipped", "values outside the range of int16, which were clipped", "Check that it is a CT in HU."),
    _note("padding", "voxels that the scanner did not measure"),
    _warning("metal", "metal in the CT", "Check the mask beside it."),
    _warning(
        "image-wrapped",
        "dark voxels within metal: values beyond 12 bits that wrapped around",
        "Export it with 16 bits, or check the mask beside the metal.",
    ),
    # Values of a mask.
    _error("empty-mask", "a mask without a femur", "Export the segmentation again, or remove the case."),
    _note("mask-type", "a mask that is not stored as whole numbers"),
    _note("mask-label-2", "2 as the only label, which was used as femur"),
    _note("mask-label-other", "another label than 1 as the only one, which was used as femur"),
    _error("mask-labels", "several labels, without --labels", "Name the labels that are femur with --labels."),
    _note("labels-left-out", "labels that are not in --labels, or values that are not in any segment"),
    _note("segments-chosen", "some of several segments, which were used as femur"),
    _error("segment-missing", "no segment of that name", "Name the segments that are femur with --segment."),
    _error(
        "segments-unclear",
        "several segments with names that contain femur and other words",
        "Name the segments that are femur with --segment. Repeat it to join several.",
    ),
    _error("mask-layers", "layers without names of segments", "Save it as .seg.nrrd, or as a single mask."),
    # Shape and position of a femur.
    _warning("mask-border", "a femur that touches the border of its CT", "Check that it is meant to be cut off there."),
    _warning("mask-padding", "a mask that covers padding, where nothing was measured", "Check the mask."),
    _warning("mask-off-bone", "a mask that covers little bone", "Check that it is of this CT, and its position."),
    _warning(
        "mask-mirrored",
        "a mask that covers far more bone after it is mirrored or turned",
        "Check the mask on the CT. Export it again if its axes are reversed.",
    ),
    _warning(
        "mask-side",
        "a mask on the other side of the body than its id or table states",
        "Check the id, and that left and right are not exchanged in the files.",
    ),
    _warning(
        "side-contradiction",
        "a femur whose shape is that of the other side than its id, table, label or network states",
        "Check the id, and that the volume is not mirrored: a mirrored femur has the shape of the other side.",
    ),
    _warning(
        "upside-down",
        "a femur whose head is below its condyles by the header",
        "Compare the orientation in the header with the original.",
    ),
    _warning(
        "back-to-front",
        "a femur whose condyles point to the front by the header",
        "Compare the orientation in the header with the original.",
    ),
    _warning(
        "same-side",
        "two femurs in one volume that have the shape of the same side",
        "Check that no bone was mirrored or copied onto the other leg.",
    ),
    _warning(
        "sides-exchanged",
        "a left femur to the patient's right of a right femur, by the header",
        "Compare left and right in the header with the original.",
    ),
    _note(
        "shape-unchecked",
        "a femur whose shape could not be compared with header and id, because of an unexpected error",
        "Report this line to the developers.",
    ),
    _warning("mask-components", "a mask in several pieces", "Remove stray voxels, or check the pieces."),
    _warning("mask-tiny", "a mask too small for a part of a femur", "Check the mask."),
    _warning("mask-volume", "a mask larger than any femur", "Check labels and spacing."),
    _warning("mask-length", "a mask longer or shorter than any part of a femur", "Check the spacing and the mask."),
)

KINDS = {kind.code: kind for kind in _ALL}
"""All kinds of findings by code."""


def finding(code: str, file: Path | str, problem: str, remedy: str | None = None) -> Finding:
    """Return a finding about one file.

    Args:
        code: A code of :data:`KINDS`, which determines severity and remedy.
        file: The file, relative to the source folder.
        problem: The problem, as a sentence without its subject, with any action that was taken.
        remedy: A more precise fix than that of the code.

    Example:
        >>> print(finding("no-spacing", "L1.nrrd", "does not contain its spacing.", "Export it again."))
        L1.nrrd: does not contain its spacing. Export it again.
    """
    kind = KINDS[code]
    return Finding(code, kind.severity, file_text(file), problem, kind.remedy if remedy is None else remedy)


def unexpected(error: Exception, file: Path | str) -> Finding:
    """Return the finding about an unexpected exception.

    It names the place in the code, and does not quote the message, which may contain a patient's name.
    """
    problem = f"caused an unexpected error ({error_place(error)})."
    return finding("crash", file, problem, "Report this line to the developers, and leave the case out.")


def error_place(error: Exception) -> str:
    """Return the type of an exception and the file and line that raised it, without its message.

    Example:
        >>> error_place(ValueError("L001"))
        'ValueError'
    """
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {PurePath(last[0].filename).name}, line {last[0].lineno}" if last else ""
    return f"{type(error).__name__}{place}"


class Checks(dict[str, "Callable[..., str | None]"]):
    """Checks by code. A check is a function of facts that returns the problem as text, or None.

    Example:
        >>> checks = Checks()
        >>> @checks.register("metal")
        ... def metal(volume_ml):
        ...     return f"contains {volume_ml} ml of metal." if volume_ml else None
        >>> [str(found) for found in checks.run(3, "L1.nrrd")]
        ['L1.nrrd: contains 3 ml of metal. Check the mask beside it.']
    """

    def register(self, code: str) -> Callable[[Callable[..., str | None]], Callable[..., str | None]]:
        """Return a decorator that adds a function as the check with this code.

        Raises:
            ValueError: The code is not in :data:`KINDS`, or already has a check.
        """

        def add(check: Callable[..., str | None]) -> Callable[..., str | None]:
            """Register a check and return it unchanged."""
            if code not in KINDS or code in self:
                msg = f"{code}: must be a code of the table of kinds that has no check yet."
                raise ValueError(msg)
            self[code] = check
            return check

        return add

    def run(self, facts: object, file: Path | str) -> list[Finding]:
        """Return the findings of all checks about the facts of a file."""
        found = ((code, check(facts)) for code, check in self.items())
        return [finding(code, file, problem) for code, problem in found if problem]
