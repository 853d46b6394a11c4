"""The slices of one volume among DICOM files, in the order of their positions.

Everything that is assumed or left out on the way is a finding; what is ambiguous is an error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.dicom_files import Content, DicomFile
from nnunet_femur.imaging.dicom_slices import slices_of
from nnunet_femur.kinds import KINDS, finding
from nnunet_femur.volumes import Geometry, VolumeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_slices import Slice

_UNEVEN = 0.1
"""Largest part of a slice distance by which it may differ from the others; more would put bone in a wrong place."""

_LISTED = 6
"""Series, or kinds of files, that a message lists."""


@dataclass(frozen=True)
class Series:
    """The slices of one volume, in the order of their positions.

    Attributes:
        slices: One for each position.
        geometry: Position of the voxels; the slices at their mean distance.
        distances_mm: Distance of each slice to the next in mm.
        rescaled: A slope or an intercept is applied when the slices are read.
        findings: What was assumed or left out; their file is the path as given.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry
    distances_mm: tuple[float, ...]
    rescaled: bool
    findings: tuple[Finding, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the slices, each once."""
        return tuple(dict.fromkeys(each.file for each in self.slices))


def find_series(path: Path, files: Sequence[DicomFile], *, mask: bool = False, any_values: bool = False) -> Series:
    """Return the one volume of slices among DICOM files.

    Args:
        path: The file or the folder that was given; errors and findings are about it.
        files: Its DICOM files.
        mask: The slices are a mask: any modality is right, and values are not HU.
        any_values: Take other modalities than CT, with a warning.

    Raises:
        VolumeError: No series or more than one, a file that cannot be read, or slices that are not a box: single, with
            gaps, unevenly spaced, of different sizes, or shifted against each other.
    """
    damaged = [file for file in files if file.content is Content.UNREADABLE]
    if damaged:
        if path == damaged[0].path:
            problem = f"is a DICOM file that cannot be read as a slice ({damaged[0].described})."
        else:
            problem = (
                f"holds {len(damaged)} DICOM file(s) that cannot be read as slices, {damaged[0].path.name} for one."
            )
        raise VolumeError(path, problem, "Copy them again, or take them out.")
    ct = [file for file in files if file.content is Content.CT]
    others = [file for file in files if file.content is Content.IMAGE]
    chosen = ct + others if mask else ct or (others if any_values else [])
    if not chosen:
        raise _no_series(path, files, mask=mask, any_values=any_values)
    findings = left_out(path, files, chosen)
    if not mask and not ct:
        problem = f"is not a CT but {_listing(chosen)}; taken because any values were asked for."
        findings.append(finding("modality", path, problem))
    slices, copies = _without_copies([each for file in chosen for each in slices_of(file, path)])
    if copies:
        problem = f"holds {copies} exact {'copy' if copies == 1 else 'copies'} of slices; left out."
        findings.append(finding("dicom-left-out", path, problem))
    slices, joined = _one_volume(path, slices)
    findings += joined
    if not mask:
        findings += _value_findings(path, slices)
    return _checked(path, slices, tuple(findings))


def _no_series(path: Path, files: Sequence[DicomFile], *, mask: bool, any_values: bool) -> VolumeError:
    if not files:
        return VolumeError(path, "holds no DICOM series.", "Put the slices of one series into it.")
    if all(file.content is Content.COLOUR for file in files):
        first = "" if files[0].path == path else f" ({files[0].path.name})"
        return VolumeError(
            path, f"contains pictures in colour{first}.", "Export the CT itself, not pictures of it.", code="colour"
        )
    if mask:
        problem = f"contains neither a DICOM SEG nor slices of a mask but {_listing(files)}."
        return VolumeError(path, problem, KINDS["not-mask"].remedy, code="not-mask")
    problem = f"contains no slices of a CT but {_listing(files)}."
    remedy = KINDS["not-ct"].remedy
    if any(file.content is Content.IMAGE and file.placed for file in files) and not any_values:
        remedy = f"{remedy} `nnfemur predict --any-values` takes other modalities."
    return VolumeError(path, problem, remedy, code="not-ct")


def _listing(files: Sequence[DicomFile]) -> str:
    counts = Counter(file.described for file in files).most_common()
    named = [f"{count} x {described}" for described, count in counts[:_LISTED]]
    return ", ".join(named) + (f" and {len(counts) - _LISTED} other kinds" if len(counts) > _LISTED else "")


def left_out(path: Path, files: Sequence[DicomFile], chosen: Sequence[DicomFile]) -> list[Finding]:
    """Return the finding about files that are not among the chosen ones, if there are any."""
    taken = {file.path for file in chosen}
    others = [file for file in files if file.path not in taken]
    if not others:
        return []
    problem = f"holds DICOM files that are not part of the volume; left out: {_listing(others)}."
    return [finding("dicom-left-out", path, problem)]


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], int]:
    """Leave out files that were copied: one instance UID and the same bytes."""
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
    """Return the slices of the only series, or of series of one slice each that are one volume together."""
    by_series: dict[str, list[Slice]] = defaultdict(list)
    for each in slices:
        by_series[each.uids.series].append(each)
    if len(by_series) == 1:
        return slices, []
    if all(len(found) == 1 for found in by_series.values()) and _in_one_place(slices):
        problem = (
            f"has another series UID in each of its {len(slices)} slices; they were joined by frame of reference, "
            "orientation and position."
        )
        return slices, [finding("dicom-joined", path, problem)]
    counts = sorted(by_series.values(), key=len, reverse=True)
    named = ", ".join(_described(path, found) for found in counts[:_LISTED])
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    problem = f"holds {len(counts)} DICOM series: {named}{more}."
    single = next((found[0] for found in counts if found[0].frames == len(found) > 1), None)
    remedy = f"Give the file itself, as {single.file.name}." if single else KINDS["several-series"].remedy
    raise VolumeError(path, problem, remedy, code="several-series")


def _in_one_place(slices: Sequence[Slice]) -> bool:
    """Return True if slices are of one body and one box: nothing tells them apart but the series.

    Programs that remove names give a new UID to every slice, sometimes also to its frame of reference and its study;
    a UID that is another one in each slice tells nothing.
    """
    for name in ("frame_of_reference", "study"):
        different = len({getattr(each.uids, name) for each in slices})
        if different not in (1, len(slices)):
            return False
    first = slices[0]
    if any(each.size_xy != first.size_xy for each in slices) or len(slices) < 3:
        return False
    if not all(
        np.allclose(each.spacing_mm_xy, first.spacing_mm_xy, rtol=0, atol=1e-4)
        and np.allclose(each.orientation, first.orientation, rtol=0, atol=1e-3)
        for each in slices
    ):
        return False
    distances_mm = np.diff(np.sort(np.array([each.position_mm for each in slices]) @ _normal(first)))
    usual_mm = float(np.median(distances_mm))
    return bool(usual_mm > 0 and np.abs(distances_mm - usual_mm).max() <= _UNEVEN * usual_mm)


def _described(path: Path, slices: Sequence[Slice]) -> str:
    """Return number, size and distance of slices, and the first one's file in its folder.

    Folders above are not named: an export often has one that is called as the patient.
    """
    first = slices[0]
    place = first.file.name if first.file.parent == path else f"{first.file.parent.name}/{first.file.name}"
    distances_mm = np.diff(np.sort(np.array([each.position_mm for each in slices]) @ _normal(first)))
    apart = f", {float(np.median(distances_mm)):.6g} mm apart" if distances_mm.size else ""
    return f"{len(slices)} slices of {first.size_xy[0]} x {first.size_xy[1]} voxels{apart} ({place}, ...)"


def _value_findings(path: Path, slices: Sequence[Slice]) -> list[Finding]:
    """Return what the headers leave open about the values, which are to be HU.

    Raises:
        VolumeError: Only a part of the slices can be rescaled.
    """
    found = []
    for name, lacking in (
        ("RescaleSlope", [each for each in slices if each.slope is None]),
        ("RescaleIntercept", [each for each in slices if each.intercept is None]),
    ):
        if lacking and len(lacking) < len(slices):
            problem = f"has {len(lacking)} of {len(slices)} slices without {name}, {lacking[0].name} for one."
            raise VolumeError(path, problem, KINDS["dicom-attribute"].remedy, code="dicom-attribute")
        if lacking:
            assumed = "1" if name == "RescaleSlope" else "0"
            problem = f"does not contain {name}; {assumed} was assumed."
            found.append(finding("rescale-missing", path, problem))
    if any(each.rescale_type == "other" for each in slices):
        problem = "has a RescaleType other than HU; the values were taken as HU."
        found.append(finding("rescale-type", path, problem))
    if any(each.modality_missing for each in slices):
        problem = "does not state its modality; taken as a CT by the SOP class of its slices."
        found.append(finding("modality", path, problem))
    return found


def _normal(one: Slice) -> NDArray[np.float64]:
    return np.cross(one.orientation[:3], one.orientation[3:])


def _checked(path: Path, slices: list[Slice], findings: tuple[Finding, ...]) -> Series:
    first = slices[0]
    for other in slices:
        if (
            other.size_xy != first.size_xy
            or not np.allclose(other.spacing_mm_xy, first.spacing_mm_xy, rtol=0, atol=1e-4)
            or not np.allclose(other.orientation, first.orientation, rtol=0, atol=1e-3)
        ):
            problem = f"holds slices of different sizes or directions ({first.name} and {other.name})."
            raise VolumeError(path, problem, "Leave the slices of one volume in it.", code="slices-uneven")
    if len(slices) < 2:
        if path.is_dir():
            raise VolumeError(path, "holds a single slice.", "Add the other slices of the series.", code="not-3d")
        remedy = "Give the folder with all slices of the series."
        raise VolumeError(path, "is a single slice of a series.", remedy, code="not-3d")
    axes = np.reshape(first.orientation, (2, 3))
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    normal = np.cross(axes[0], axes[1])
    normal /= np.linalg.norm(normal)
    slices = sorted(slices, key=lambda each: float(np.dot(each.position_mm, normal)))
    positions_mm = np.array([each.position_mm for each in slices])
    _require_straight(path, positions_mm, normal, first.spacing_mm_xy)
    distances_mm = np.diff(positions_mm @ normal)
    _require_even(path, slices, distances_mm)
    geometry = Geometry(
        (*first.size_xy, len(slices)),
        (*first.spacing_mm_xy, float(distances_mm.mean())),
        tuple(float(number) for number in slices[0].position_mm),
        tuple(float(number) for number in np.column_stack([*axes, normal]).ravel()),
    )
    if not 1e-3 <= geometry.spacing_mm_xyz[2] <= 1e3:
        problem = f"has slices at {geometry.spacing_mm_xyz[2]:.6g} mm from each other."
        raise VolumeError(path, problem, KINDS["bad-geometry"].remedy, code="bad-geometry")
    rescaled = any(each.slope not in (None, 1) or each.intercept not in (None, 0) for each in slices)
    return Series(tuple(slices), geometry, tuple(float(distance) for distance in distances_mm), rescaled, findings)


def _require_straight(
    path: Path, positions_mm: NDArray[np.float64], normal: NDArray[np.float64], spacing_mm_xy: tuple[float, ...]
) -> None:
    """A tilted gantry shifts each slice within its plane, which a volume of three axes at right angles cannot hold."""
    way_mm = positions_mm - positions_mm[0]
    aside_mm = np.linalg.norm(way_mm - np.outer(way_mm @ normal, normal), axis=1).max()
    if aside_mm > max(spacing_mm_xy):
        problem = f"holds slices that are shifted against each other by up to {aside_mm:.1f} mm, as by a tilted gantry."
        raise VolumeError(path, problem, "Export it with the tilt corrected.", code="slices-uneven")


def _require_even(path: Path, slices: Sequence[Slice], distances_mm: NDArray[np.float64]) -> None:
    usual_mm = float(np.median(distances_mm))
    closest = int(np.argmin(distances_mm))
    if distances_mm[closest] < 0.01 * max(usual_mm, 0.1):
        pair = f"{slices[closest].name} and {slices[closest + 1].name}"
        problem = f"holds two slices at one place ({pair}), as where two reconstructions are in one series."
        raise VolumeError(path, problem, "Leave one slice per place.", code="slices-uneven")
    widest = int(np.argmax(distances_mm))
    pair = f"between {slices[widest].name} and {slices[widest + 1].name}"
    if distances_mm[widest] > 1.5 * usual_mm:
        gaps = int((distances_mm > 1.5 * usual_mm).sum())
        problem = (
            f"lacks slices at {gaps} place(s): {pair} are {distances_mm[widest]:.6g} mm instead of {usual_mm:.6g} mm."
        )
        raise VolumeError(path, problem, "Add the missing slices.", code="slice-gap")
    if np.abs(distances_mm - usual_mm).max() > _UNEVEN * usual_mm:
        problem = f"has slices at {distances_mm.min():.6g} to {distances_mm.max():.6g} mm from each other."
        raise VolumeError(path, problem, "Export it resampled to even slices.", code="slices-uneven")
