"""Choose the slices of one volume among DICOM files.

Every assumption and omission is a finding. Ambiguous files are an error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.dicom_content import PLACED_CAPTURE, Content, DicomFile
from nnunet_femur.imaging.dicom_slices import slices_of
from nnunet_femur.imaging.dicom_stack import UNEVEN, distances_mm, same_plane, stack, uneven_problems
from nnunet_femur.imaging.geometry import Geometry, VolumeError
from nnunet_femur.kinds import KINDS, finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_slices import Slice


_MOST_LOCALIZERS = 4
"""Largest number of slices in another plane that are taken for localizers; the volume has more than twice as many."""

_LISTED = 6
"""Largest number of series, or of kinds of files, that a message lists."""


@dataclass(frozen=True)
class Series:
    """Slices of one volume, sorted by position.

    Attributes:
        slices: One for each position.
        geometry: Grid of the voxels, with the mean distance of the slices as spacing.
        distances_mm: Distance from each slice to the next in mm.
        rescaled: True if a slope or an intercept is applied when the slices are read.
        findings: Assumptions and omissions; their file is the path as given.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry
    distances_mm: tuple[float, ...]
    rescaled: bool
    findings: tuple[Finding, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the slices, each once."""
        return tuple(dict.fromkeys(each.file for each in self.slices))


def find_series(path: Path, files: Sequence[DicomFile], *, mask: bool = False, any_values: bool = False) -> Series:
    """Return the one volume of slices among DICOM files.

    Args:
        path: The file or the folder that the user gave; errors and findings name it.
        files: Its DICOM files.
        mask: True for the slices of a mask: any modality is accepted, and values are not HU.
        any_values: True to accept other modalities than CT, with a warning.

    Raises:
        VolumeError: The files contain no series or several, a file cannot be read, or the slices are not an even grid
            (see :func:`~nnunet_femur.imaging.dicom_stack.stack`).
    """
    damaged = [file for file in files if file.content is Content.UNREADABLE]
    if damaged:
        if path == damaged[0].path:
            problem = f"is a DICOM file that cannot be read as a slice ({damaged[0].described})."
        else:
            problem = (
                f"contains {len(damaged)} DICOM file(s) that cannot be read as slices, such as {damaged[0].path.name}."
            )
        raise VolumeError(path, problem, "Copy them again, or remove them.")
    ct = [file for file in files if file.content is Content.CT]
    others = [file for file in files if file.content is Content.IMAGE]
    chosen = ct + others if mask else ct or (others if any_values else [])
    if not chosen:
        raise _no_series(path, files, mask=mask, any_values=any_values)
    findings = left_out(path, files, chosen)
    if not mask and not ct:
        problem = f"is not a CT but {_counts_text(chosen)}; used because any values were allowed."
        findings.append(finding("modality", path, problem))
    captured = [file for file in chosen if file.described == PLACED_CAPTURE]
    if captured and not mask:
        problem = f"contains {len(captured)} secondary captures with a position and the modality CT; used as a CT."
        findings.append(finding("modality", path, problem))
    slices, copies = _without_copies([each for file in chosen for each in slices_of(file, path)])
    if copies:
        problem = f"contains {copies} exact {'copy' if copies == 1 else 'copies'} of slices; left out."
        findings.append(finding("dicom-left-out", path, problem))
    slices, joined = _one_volume(path, slices)
    findings += joined
    if not mask:
        findings += _value_findings(path, slices)
    ordered, geometry = stack(path, slices)
    findings += [finding("slice-distance", path, problem) for problem in uneven_problems(ordered, geometry)]
    between_mm = tuple(float(each) for each in distances_mm(ordered))
    rescaled = any(each.slope not in (None, 1) or each.intercept not in (None, 0) for each in ordered)
    return Series(ordered, geometry, between_mm, rescaled, tuple(findings))


def left_out(path: Path, files: Sequence[DicomFile], chosen: Sequence[DicomFile]) -> list[Finding]:
    """Return the finding about files that are not among the chosen ones; an empty list if all were chosen."""
    taken = {file.path for file in chosen}
    others = [file for file in files if file.path not in taken]
    if not others:
        return []
    problem = f"contains DICOM files that are not part of the volume; left out: {_counts_text(others)}."
    return [finding("dicom-left-out", path, problem)]


def _no_series(path: Path, files: Sequence[DicomFile], *, mask: bool, any_values: bool) -> VolumeError:
    """Return the error about files without slices of a CT or a mask, with the most helpful reason."""
    if not files:
        return VolumeError(path, "contains no DICOM series.", "Put the slices of one series into it.")
    if all(file.content is Content.COLOUR for file in files):
        first = "" if files[0].path == path else f" ({files[0].path.name})"
        return VolumeError(
            path, f"contains colour pictures{first}.", "Export the CT itself, not pictures of it.", code="colour"
        )
    if mask:
        problem = f"contains neither a DICOM SEG nor slices of a mask but {_counts_text(files)}."
        return VolumeError(path, problem, KINDS["not-mask"].remedy, code="not-mask")
    problem = f"contains no slices of a CT but {_counts_text(files)}."
    remedy = KINDS["not-ct"].remedy
    if any(file.content is Content.IMAGE and file.placed for file in files) and not any_values:
        remedy = f"{remedy} `nnfemur predict --any-values` accepts other modalities."
    return VolumeError(path, problem, remedy, code="not-ct")


def _counts_text(files: Sequence[DicomFile]) -> str:
    counts = Counter(file.described for file in files).most_common()
    named = [f"{count} x {described}" for described, count in counts[:_LISTED]]
    return ", ".join(named) + (f" and {len(counts) - _LISTED} other kinds" if len(counts) > _LISTED else "")


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], int]:
    """Leave out copies of files: the same instance UID and the same bytes. Return the rest and the number left out."""
    kept: list[Slice] = []
    by_instance: dict[tuple[str, int], list[Slice]] = defaultdict(list)
    for each in slices:
        twins = by_instance[each.uids.instance, each.frame] if each.uids.instance else []
        if any(twin.file != each.file and _same_bytes(twin.file, each.file) for twin in twins):
            continue
        twins.append(each)
        kept.append(each)
    return kept, len(slices) - len(kept)


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def _one_volume(path: Path, slices: list[Slice]) -> tuple[list[Slice], list[Finding]]:
    """Return the slices of the only series, or of several series of one slice each that form one volume."""
    by_series: dict[str, list[Slice]] = defaultdict(list)
    for each in slices:
        by_series[each.uids.series].append(each)
    if len(by_series) == 1:
        return slices, []
    rest = _without_localizers(slices)
    if len(rest) < len(slices):
        problem = f"contains {len(slices) - len(rest)} slice(s) of another series and plane; left out as localizers."
        kept, found = _one_volume(path, rest)
        return kept, [finding("dicom-left-out", path, problem), *found]
    if all(len(found) == 1 for found in by_series.values()) and _form_one_volume(slices):
        problem = (
            f"has a different series UID in each of its {len(slices)} slices; they were joined by frame of reference, "
            "orientation and position."
        )
        return slices, [finding("dicom-joined", path, problem)]
    counts = sorted(by_series.values(), key=len, reverse=True)
    named = ", ".join(_described_series(path, found) for found in counts[:_LISTED])
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    problem = f"contains {len(counts)} DICOM series: {named}{more}."
    single = next((found[0] for found in counts if found[0].frames == len(found) > 1), None)
    remedy = f"Give the file itself, such as {single.file.name}." if single else KINDS["several-series"].remedy
    raise VolumeError(path, problem, remedy, code="several-series")


def _without_localizers(slices: list[Slice]) -> list[Slice]:
    """Leave out a few slices of other series in another plane than the rest: localizers that are not marked as such."""
    planes: list[list[Slice]] = []
    for each in slices:
        plane = next((found for found in planes if same_plane(found[0], each)), None)
        if plane is None:
            planes.append([each])
        else:
            plane.append(each)
    most = max(planes, key=len)
    others = [each for plane in planes if plane is not most for each in plane]
    mixed = {each.uids.series for each in most} & {each.uids.series for each in others}
    return slices if mixed or len(others) > _MOST_LOCALIZERS or len(most) <= 2 * _MOST_LOCALIZERS else most


def _form_one_volume(slices: Sequence[Slice]) -> bool:
    """Return True if slices of different series form one volume of one patient.

    Some anonymisation programs give a new series UID to every slice, and sometimes also a new frame of reference and
    a new study. A UID that is different in every slice is therefore ignored.
    """
    for name in ("frame_of_reference", "study"):
        different = len({getattr(each.uids, name) for each in slices})
        if different not in (1, len(slices)):
            return False
    if len(slices) < 3 or not all(same_plane(slices[0], each) for each in slices):
        return False
    between_mm = distances_mm(slices)
    usual_mm = float(np.median(between_mm))
    return bool(usual_mm > 0 and np.abs(between_mm - usual_mm).max() <= UNEVEN * usual_mm)


def _described_series(path: Path, slices: Sequence[Slice]) -> str:
    """Return number, size and distance of slices, and the first slice's file and folder.

    Folders above are not named: in an export, one of them is often named after the patient.
    """
    first = slices[0]
    place = first.file.name if first.file.parent == path else f"{first.file.parent.name}/{first.file.name}"
    between_mm = distances_mm(slices)
    apart = f", {float(np.median(between_mm)):.6g} mm apart" if between_mm.size else ""
    return f"{len(slices)} slices of {first.size_xy[0]} x {first.size_xy[1]} voxels{apart} ({place}, ...)"


def _value_findings(path: Path, slices: Sequence[Slice]) -> list[Finding]:
    """Return the findings about values that may not be HU.

    Raises:
        VolumeError: Only some of the slices contain a slope or an intercept.
    """
    found = []
    for name, lacking in (
        ("RescaleSlope", [each for each in slices if each.slope is None]),
        ("RescaleIntercept", [each for each in slices if each.intercept is None]),
    ):
        if lacking and len(lacking) < len(slices):
            problem = f"has {len(lacking)} of {len(slices)} slices without {name}, such as {lacking[0].name}."
            raise VolumeError(path, problem, KINDS["dicom-attribute"].remedy, code="dicom-attribute")
        if lacking:
            assumed = "1" if name == "RescaleSlope" else "0"
            problem = f"does not contain {name}; {assumed} was assumed."
            found.append(finding("rescale-missing", path, problem))
    if any(each.rescale_type == "other" for each in slices):
        problem = "has a RescaleType other than HU; the values were used as HU."
        found.append(finding("rescale-type", path, problem))
    if any(each.modality_missing for each in slices):
        problem = "does not contain its modality; used as a CT because of the SOP class of its slices."
        found.append(finding("modality", path, problem))
    return found
