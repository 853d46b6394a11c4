"""Every kind of finding in one table: its code, what it does to the conversion, what it means and what to do about it.

A check gives the problem of one file in words; everything else about its finding stands here. To add a check, add its
row here and its function to the checks of headers, images or masks.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from nnunet_femur.findings import Finding, Severity, file_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        code: Its short name, the same in every report.
        severity: What it does to the conversion.
        meaning: What it says about a file, for the handbook.
        remedy: What the user can do; empty where nothing needs to be done.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str = ""


_EXPORT = "Export or copy it again."
_LOOK_MASK = "Look at the mask."

_ALL = (
    # Which files there are.
    Kind("layout", _NOTE, "which layout was found, and why", "Say another one with --layout."),
    Kind("stray-file", _NOTE, "a file that is no volume"),
    Kind("no-id", _ERROR, "a volume whose name has no id", "Rename it, take it out, or give --id-pattern."),
    Kind("id-changed", _NOTE, "an id that is no safe file name and was changed"),
    Kind("unpaired-image", _ERROR, "a CT without a mask", "Add the mask, or take this file out."),
    Kind("unpaired-mask", _ERROR, "a mask without a CT", "Add the image, or take this file out."),
    Kind("duplicate-id", _ERROR, "two files or rows with one id", "Keep one of them, or give them different ids."),
    Kind("table-row", _ERROR, "a row of a table that cannot be used", "Correct the row, or take it out."),
    Kind("femur-missing", _NOTE, "a subject without both femurs in view; left out"),
    Kind("femur-cut", _NOTE, "a subject with a femur cut short; left out", "Lower --min-volume-ml to keep it."),
    Kind("no-set", _NOTE, "a subject for which meta.csv names no set"),
    Kind(
        "other-exam",
        _WARNING,
        "a mask whose name has another date, number, side or time than its CT's",
        "Check that both are of one exam.",
    ),
    Kind(
        "ct-twice",
        _ERROR,
        "one CT in several cases with different masks, each of which calls the other's femur background",
        "Give the CT once, with all of its masks: in a table, one row with mask = left.nrrd|right.nrrd.",
    ),
    Kind(
        "same-exam",
        _WARNING,
        "one exam in several cases with equal masks; they stay together in the split",
        "Keep one of them.",
    ),
    Kind(
        "patient-without-case",
        _WARNING,
        "a line of --patients for which there is no case",
        "Check how the id is written; a case under another id keeps the patient of its id.",
    ),
    Kind(
        "case-without-patient",
        _WARNING,
        "a case that --patients does not name; its patient is that of its id",
        "Add it, unless no other case is of the same patient.",
    ),
    Kind("split", _ERROR, "a split that cannot be made of these patients (in a dry run)", "Add patients."),
    # What a file's header and bytes tell.
    Kind("unreadable", _ERROR, "missing, truncated, or no volume", _EXPORT),
    Kind(
        "too-large",
        _ERROR,
        "a volume that does not fit into memory",
        "Use fewer --jobs, or crop the volume to the leg.",
    ),
    Kind(
        "crash",
        _ERROR,
        "a volume whose reading ended the process",
        "Open and save both in 3D Slicer, or use fewer --jobs if memory is short.",
    ),
    Kind("not-3d", _ERROR, "not three-dimensional", "Export a single 3D series."),
    Kind("colour", _ERROR, "several values per voxel, as in RGB", "Export grey values, or one mask."),
    Kind(
        "bad-geometry",
        _ERROR,
        "spacing, origin or direction that no scanner writes",
        "Export it again; resample a sheared volume.",
    ),
    Kind(
        "no-spacing",
        _ERROR,
        "a header that does not state the spacing in mm",
        "Export it again from the scanner's DICOM, as NRRD or NIfTI with its spacing.",
    ),
    Kind("ending-wrong", _ERROR, "a format that its name does not fit", "Rename it."),
    Kind("ending", _NOTE, "packed or not, against its ending; read by content"),
    Kind(
        "orientation-unknown",
        _WARNING,
        "a header without orientation, so that left and right are a guess",
        "Compare left and right with the original, or export it again with its orientation.",
    ),
    Kind(
        "space-unnamed",
        _WARNING,
        "directions in a space that the header does not name",
        "Compare left and right with the original, or export it again with its space.",
    ),
    Kind(
        "transforms-differ",
        _WARNING,
        "a header with two different positions or spacings, or with negative ones",
        "Compare the volume's size with the original.",
    ),
    Kind(
        "origin-unknown",
        _WARNING,
        "a header that does not state the position of its first voxel",
        "Export it again with its origin, where positions matter.",
    ),
    Kind("axes-straightened", _NOTE, "axes a little off right angles; read as the nearest right ones"),
    Kind("reader-warning", _WARNING, "a warning of the library that reads the file", "Look at the volume in a viewer."),
    Kind(
        "not-ct",
        _ERROR,
        "DICOM files without slices of a CT: another modality, a report, contours, a localizer, pictures of slices",
        "Export the CT series itself.",
    ),
    Kind(
        "not-mask",
        _ERROR,
        "DICOM files without a mask, such as contours (RTSTRUCT)",
        "Export the mask as a DICOM SEG, NRRD or NIfTI.",
    ),
    Kind(
        "dicom-attribute",
        _ERROR,
        "a DICOM attribute that the position or the values need is missing or invalid",
        "Export the series itself from the scanner or PACS, with all its attributes.",
    ),
    Kind("modality", _WARNING, "a DICOM file that does not state that it is a CT", "Check that it is a CT in HU."),
    Kind("rescale-missing", _WARNING, "a CT without slope or intercept", "Check that its values are HU."),
    Kind("rescale-type", _WARNING, "a CT whose values are not HU by its header", "Check that its values are HU."),
    Kind("dicom-left-out", _NOTE, "DICOM files of a folder that are not part of the volume"),
    Kind("dicom-joined", _NOTE, "slices with a series UID each, joined by position"),
    Kind("seg-fractional", _NOTE, "a DICOM SEG of probabilities or occupancies, cut at 0.5"),
    Kind(
        "too-thin",
        _ERROR,
        "a single slice, or a slab thinner than 10 mm or 3 voxels",
        "Give the whole series, and check the spacing.",
    ),
    Kind("several-series", _ERROR, "a folder with more than one DICOM series", "Leave one series in the folder."),
    Kind("slice-gap", _ERROR, "a DICOM series in which slices are missing", "Add the missing slices."),
    Kind("slices-uneven", _ERROR, "a DICOM series that is no box of slices", "Export it resampled to even slices."),
    Kind(
        "slice-distance",
        _WARNING,
        "slices at distances that differ a little, or shifted a little against each other",
        "Compare the length with the original.",
    ),
    Kind("image-direction", _NOTE, "a CT that is flipped, permuted or oblique; written in RAS order"),
    Kind("image-rescaled", _NOTE, "a header's slope and intercept, which were applied"),
    # How a mask lies on its CT.
    Kind("mask-reordered", _NOTE, "stored along other axes than its CT"),
    Kind("grid-snapped", _NOTE, "a rounding error beside its CT's grid"),
    Kind(
        "grid-settled",
        _WARNING,
        "an unknown orientation, taken as the one in which mask and CT agree voxel for voxel",
        "Compare left and right with the original.",
    ),
    Kind(
        "mask-geometry",
        _ERROR,
        "the CT's number of voxels on another grid, as of a mask saved without its geometry",
        "--trust voxels lays it on the CT voxel by voxel; --trust headers resamples it by its header.",
    ),
    Kind("mask-trusted", _WARNING, "laid on the CT as --trust says", "Look at the mask."),
    Kind("mask-cropped", _NOTE, "covers another box of the CT's grid; placed exactly"),
    Kind("mask-resampled", _NOTE, "on another grid; nearest neighbour took it onto the CT's"),
    Kind("grids-apart", _ERROR, "lies nowhere on its CT", "Check that both are of one patient; export it on the CT."),
    Kind("mask-outside", _ERROR, "femur beyond the end of its CT", "Export the mask on the CT's own grid."),
    # The values of a CT.
    Kind("not-finite", _ERROR, "values that are NaN or infinite", "Export it again without them."),
    Kind("image-constant", _ERROR, "one value everywhere", _EXPORT),
    Kind("image-8bit", _ERROR, "8-bit grey values instead of HU", "Export the CT in HU, not as a picture."),
    Kind(
        "image-positive",
        _ERROR,
        "neither air nor fat, or raw values, so not HU",
        "Export the CT with slope and intercept (often -1024) applied; another modality cannot be used.",
    ),
    Kind(
        "image-below-air",
        _ERROR,
        "an offset applied twice, so not HU",
        "Export it with slope and intercept (often -1024) applied once.",
    ),
    Kind(
        "image-normalised", _ERROR, "values scaled to a small range", "Give the CT in HU; nnU-Net normalises it itself."
    ),
    Kind("image-range", _WARNING, "no value as high as cortical bone", "Check that it is a CT in HU and not windowed."),
    Kind("image-windowed", _WARNING, "values cut to a window", "Export the CT in HU without a window."),
    Kind("image-air", _WARNING, "air far from -1000 HU", "Check its scale; calibrate a cone-beam CT to HU."),
    Kind("image-tissue", _WARNING, "few values of fat or muscle", "Check that it is a CT in HU."),
    Kind("image-rounded", _NOTE, "fractions of HU, rounded"),
    Kind("image-clipped", _WARNING, "values beyond int16, clipped", "Check that it is a CT in HU."),
    Kind("padding", _NOTE, "voxels that the scanner did not measure"),
    Kind("metal", _WARNING, "metal", "Check the mask beside it."),
    Kind(
        "image-wrapped",
        _WARNING,
        "dark voxels within metal: values beyond 12 bits that started again below",
        "Export it with 16 bits, or check the mask beside the metal.",
    ),
    # The values of a mask.
    Kind("empty-mask", _ERROR, "no femur in it", "Export the segmentation again, or take the case out."),
    Kind("mask-type", _NOTE, "not stored as whole numbers"),
    Kind("mask-label-2", _NOTE, "the label 2 alone, which means femur too"),
    Kind("mask-label-other", _NOTE, "one label other than 1"),
    Kind("mask-labels", _ERROR, "several labels, without --labels", "Name those that are femur with --labels."),
    Kind("labels-left-out", _NOTE, "labels that --labels does not name, or values of no segment"),
    Kind("segments-chosen", _NOTE, "some of several segments"),
    Kind("segment-missing", _ERROR, "no segment of that name", "Name the segments that are femur with --segment."),
    Kind(
        "segments-unclear",
        _ERROR,
        "several segments whose names contain femur and something else",
        "Name the segments that are femur with --segment; repeat it to join several.",
    ),
    Kind("mask-layers", _ERROR, "layers without names of segments", "Save it as .seg.nrrd, or as one mask."),
    # The shape of a femur.
    Kind(
        "mask-border", _WARNING, "touches the border of its CT, so it may be cut", "See whether it is meant to be cut."
    ),
    Kind("mask-padding", _WARNING, "covers padding, where nothing was measured", _LOOK_MASK),
    Kind("mask-off-bone", _WARNING, "covers little bone", "Check that it belongs to this CT and lies in place."),
    Kind(
        "mask-mirrored",
        _WARNING,
        "covers far more bone once it is mirrored or turned in its CT",
        "Look at the mask on the CT; export it again if its axes are turned around.",
    ),
    Kind(
        "mask-side",
        _WARNING,
        "on the other side of the body than its id or table says",
        "Check the id, and that left and right are not exchanged in the files.",
    ),
    Kind("mask-components", _WARNING, "in several pieces", "Take stray voxels away, or check what the pieces are."),
    Kind("mask-tiny", _WARNING, "too small for a part of a femur", _LOOK_MASK),
    Kind("mask-volume", _WARNING, "larger than any femur", "Check labels and spacing."),
    Kind("mask-length", _WARNING, "longer or shorter than a femur or a part of one", "Check the spacing and the mask."),
)

KINDS = {kind.code: kind for kind in _ALL}
"""Every kind of finding by its code."""


def finding(code: str, file: Path | str, problem: str, remedy: str | None = None) -> Finding:
    """The finding of one kind about one file.

    Args:
        code: One of :data:`KINDS`.
        file: The file, relative to the source's root.
        problem: What was found in this file, and what was done about it if anything was.
        remedy: A more precise remedy than the kind's own.
    """
    kind = KINDS[code]
    return Finding(code, kind.severity, file_text(file), problem, kind.remedy if remedy is None else remedy)


def unexpected(error: Exception, file: Path | str) -> Finding:
    """Return the finding about an exception that no check expects: it names the place in the code, not the content."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {PurePath(last[0].filename).name}, line {last[0].lineno}" if last else ""
    problem = f"stopped the program that read it ({type(error).__name__}{place})."
    return finding("crash", file, problem, "Report this line to the developers, and leave the case out.")


class Checks(dict[str, "Callable[..., str | None]"]):
    """Checks of one kind of facts, by code: each takes the facts and gives the problem in words, or None."""

    def register(self, code: str) -> Callable[[Callable[..., str | None]], Callable[..., str | None]]:
        """Add the decorated function as the check that gives findings of this code."""

        def add(check: Callable[..., str | None]) -> Callable[..., str | None]:
            if code not in KINDS or code in self:
                msg = f"{code}: is in the table of kinds, and has one check"
                raise ValueError(msg)
            self[code] = check
            return check

        return add

    def run(self, facts: object, file: Path | str) -> list[Finding]:
        """What the checks say about the facts of a file."""
        found = ((code, check(facts)) for code, check in self.items())
        return [finding(code, file, problem) for code, problem in found if problem]
