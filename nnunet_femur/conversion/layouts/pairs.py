"""Layout "pairs": a folder of CTs and a folder of masks, paired by the id at the start of their names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.conversion.cases import Case, Found, Layout, named
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Finding, Severity
from nnunet_femur.imaging.dicom import holds_dicom, is_dicom_file
from nnunet_femur.imaging.geometry import VOLUME_ENDINGS, stem, volume_ending
from nnunet_femur.imaging.sides import BOTH, SIDES, side_called
from nnunet_femur.imaging.sources import parts
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.progress import Progress


def find_pairs(source: Path, options: ConversionOptions) -> Found:
    """Pair the images of a folder with their masks.

    Args:
        source: The folder that contains the two folders.
        options: The names of the two folders and the pattern of an id.

    Returns:
        The pairs, ordered by id, and the findings; a file without a partner is an error among them.

    Raises:
        InputError: A folder is missing or empty.
    """
    folders = []
    for name in (options.images_folder, options.masks_folder):
        folder = subfolder(source, name)
        if folder is None:
            there = ", ".join(each.name for each in sorted(source.iterdir()) if each.is_dir()) or "no folders"
            msg = (
                f"{source}: folder {name} not found, got {there}. Put the CTs into {options.images_folder} and the "
                f"masks into {options.masks_folder}, or give other names with --images-folder and --masks-folder."
            )
            raise InputError(msg, code="not-found")
        folders.append(folder)
    pattern = re.compile(options.id_pattern, re.IGNORECASE)
    images, image_findings, other_images = _by_id(source, folders[0], pattern)
    masks, mask_findings, other_masks = _by_id(source, folders[1], pattern)
    findings = image_findings + mask_findings
    if not images and not masks and not any(found.severity is Severity.ERROR for found in findings):
        names = f"{options.images_folder} and {options.masks_folder}"
        msg = (
            f"{source}: no volumes found in {names}. Put the CTs and their masks there ({', '.join(VOLUME_ENDINGS)}, "
            "or a folder of DICOM slices each)."
        )
        raise InputError(msg, code="no-cases")
    findings += [
        finding(
            "unpaired-image",
            images[case].file,
            f"has no mask: no volume in {folders[1].name} starts with {case}{_except_file(other_masks.get(case))}.",
        )
        for case in sorted(images.keys() - masks.keys())
    ]
    findings += [
        finding(
            "unpaired-mask",
            masks[case].file,
            f"has no CT: no volume in {folders[0].name} starts with {case}{_except_file(other_images.get(case))}.",
        )
        for case in sorted(masks.keys() - images.keys())
    ]
    # It is unknown which of two files with one id is meant, so neither becomes a case.
    unclear = {found.file for found in findings if found.code == "duplicate-id"}
    cases = tuple(
        Case(case, images[case].patient, images[case].side, images[case].file, (masks[case].file,))
        for case in sorted(images.keys() & masks.keys())
        if not unclear & {images[case].file.as_posix(), masks[case].file.as_posix()}
    )
    findings += [
        finding("other-exam", masks[case].file, f"has another date or number in its name than its CT ({what}).")
        for case, what in differing_exams(
            {case.id: case.image for case in cases},
            {case.id: case.mask for case in cases},
            {case.id: images[case.id].written for case in cases},
        ).items()
    ]
    return Found(source, "pairs", cases, tuple(findings))


def differing_exams(images: Mapping[str, Path], masks: Mapping[str, Path], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the cases whose CT and mask belong to different exams according to their names, with the difference.

    Dates and numbers are compared, and words for the side and the time of an exam. Parts that all CTs or all masks have
    in common are ignored.

    Args:
        images: The CT of each case.
        masks: The mask of each case.
        ids: The id of each case as written in the name of its CT.
    """
    of_images = _without_common({case: _exam_words(file, ids[case]) for case, file in images.items()})
    of_masks = _without_common({case: _exam_words(file, ids[case]) for case, file in masks.items()})
    found = {}
    for case, tokens in of_images.items():
        only_image, only_mask = tokens - of_masks[case], of_masks[case] - tokens
        if only_image and only_mask:
            found[case] = f"{', '.join(sorted(only_image))} and {', '.join(sorted(only_mask))}"
    return found


def subfolder(source: Path, name: str) -> Path | None:
    """Return the folder with a name in a source; upper and lower case are equal unless both folders exist."""
    found = [folder for folder in sorted(source.iterdir()) if folder.is_dir() and folder.name.lower() == name.lower()]
    exact = source / name
    return exact if exact in found else found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class _VolumeFile:
    """A volume of one of the two folders.

    Attributes:
        file: The file or DICOM folder, relative to the source.
        patient: The patient by its id, without leading zeros.
        side: Side by its id: "left", "right", "both" or "unknown".
        written: The id as written in the name.
    """

    file: Path
    patient: str
    side: str
    written: str


def _by_id(
    source: Path, folder: Path, pattern: re.Pattern[str]
) -> tuple[dict[str, _VolumeFile], list[Finding], dict[str, Path]]:
    """Return the volumes of a folder by id, the findings, and other files by id.

    Hidden files (``.DS_Store``, ``._L442_CT.nrrd``) are ignored.
    """
    others: dict[str, Path] = {}
    findings: list[Finding] = []
    by_id: dict[str, list[_VolumeFile]] = defaultdict(list)
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    belonging = {part for path in paths if path.is_file() and volume_ending(path) for part in parts(path)[1:]}
    loose: list[Path] = []
    for path in paths:
        file = path.relative_to(source)
        is_slices, is_folder = is_dicom_file(path), path.is_dir() and holds_dicom(path)
        if volume_ending(path) is None and not is_slices and not is_folder:
            if path not in belonging:
                findings.append(finding("stray-file", file, "is not a volume and was left out."))
                others |= _id_of_other_file(path, pattern)
            continue
        if is_folder:
            findings += [
                finding("stray-file", each.relative_to(source), "is beside DICOM slices and was left out.")
                for each in parts(path)
                if volume_ending(each) and not is_dicom_file(each)
            ]
        match = pattern.match(unicodedata.normalize("NFC", path.name))
        if match is None or not match.group():
            if is_slices:
                loose.append(file)
                continue
            problem = f"does not start with an id ({pattern.pattern}, as in L442_CT.nrrd)."
            findings.append(finding("no-id", file, problem))
            continue
        case, changed = named(match.group(), file)
        findings += changed
        groups = match.groupdict()
        patient = (groups.get("patient") or case).upper()
        side = side_called(groups.get("side") or "")
        by_id[case].append(_VolumeFile(file, patient.lstrip("0") or "0", side, match.group()))
    if loose:
        problem = f"and {len(loose) - 1} more DICOM file(s) of {folder.name} do not start with an id."
        remedy = "Put the slices of each CT into a folder named after its id."
        findings.append(finding("no-id", loose[0], problem, remedy))
    for case, files in by_id.items():
        if len(files) > 1:
            names = ", ".join(other.file.name for other in files[1:_MOST_FILES])
            names += f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
            findings.append(finding("duplicate-id", files[0].file, f"has the id {case}, as {names}."))
    return {case: files[0] for case, files in by_id.items()}, findings, others


_MOST_FILES = 6
"""Largest number of files of one id that a message names."""


def _id_of_other_file(path: Path, pattern: re.Pattern[str]) -> dict[str, Path]:
    match = pattern.match(unicodedata.normalize("NFC", path.name))
    return {named(match.group(), path)[0]: path} if match is not None and match.group() and path.is_file() else {}


def _except_file(other: Path | None) -> str:
    return f", except {other.name}, which does not end in {', '.join(VOLUME_ENDINGS)}" if other else ""


_WORD = re.compile(r"[a-z]+|\d+")

_PART = re.compile(r"[^0-9a-z]+")

_TIMES = {"pre": "before", "preop": "before", "before": "before", "baseline": "before"} | {
    "post": "after",
    "postop": "after",
    "after": "after",
    "followup": "after",
}
"""Words for the time of an exam, and their meaning."""

_SIDES = {word: side for word, side in SIDES.items() if side != BOTH}

_NOT_AN_EXAM = re.compile(r"0000|v\d+|rev\d+|\d+(mm|hu|bit)|\d+x\d+(x\d+)?")
"""Channels, versions, spacings and sizes, which may differ between a CT and its mask."""


def _exam_words(file: Path, id_text: str) -> set[str]:
    """Return the parts of a name that identify an exam: numbers without leading zeros, sides and times."""
    name = stem(file).lower()
    rest = name[len(id_text) :] if name.startswith(id_text.lower()) else name
    tokens = set()
    for part in _PART.split(rest):
        if not part or _NOT_AN_EXAM.fullmatch(part):
            continue
        for word in _WORD.findall(part):
            if word.isdigit():
                tokens.add(word.lstrip("0") or "0")
            elif word in _TIMES or word in _SIDES:
                tokens.add(_TIMES.get(word) or _SIDES[word])
    return tokens


def _without_common(tokens: dict[str, set[str]]) -> dict[str, set[str]]:
    if len(tokens) < 2:
        return tokens
    common = set.intersection(*tokens.values())
    return {case: of_case - common for case, of_case in tokens.items()}


def _find(source: Path, options: ConversionOptions, _progress: Progress) -> Found:
    return find_pairs(source, options)


def _recognise(source: Path, options: ConversionOptions) -> str | None:
    names = (options.images_folder, options.masks_folder)
    if source.is_dir() and all(subfolder(source, name) for name in names):
        return f"the folder contains {names[0]} and {names[1]}"
    return None


LAYOUT = Layout("pairs", _find, _recognise)
"""A folder of CTs and a folder of masks."""
