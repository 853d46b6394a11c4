"""Find the images and masks of a hospital folder and pair them by the id at the start of their names."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError
from nnunet_femur.intake.cases import Case
from nnunet_femur.intake.findings import Finding, Severity
from nnunet_femur.intake.options import ID_PATTERN, IMAGES_FOLDER, MASKS_FOLDER
from nnunet_femur.volumes import volume_ending

if TYPE_CHECKING:
    from pathlib import Path

_SIDES = {"L": "left", "R": "right"}
_SAFE_ID = re.compile(r"[A-Z0-9][A-Z0-9_-]*")


def find_pairs(
    source: Path,
    *,
    images_folder: str = IMAGES_FOLDER,
    masks_folder: str = MASKS_FOLDER,
    id_pattern: str = ID_PATTERN,
) -> tuple[list[Case], list[Finding]]:
    """Pair the images of a folder with their masks.

    Args:
        source: The folder that holds the two folders.
        images_folder: Name of the folder with the CTs.
        masks_folder: Name of the folder with the masks.
        id_pattern: Regular expression of an id, matched at the start of a file's name.

    Returns:
        The pairs, ordered by id, and what was found; a file that has no partner is an error among the findings.

    Raises:
        InputError: A folder is missing or empty, or the pattern is no regular expression.
    """
    try:
        pattern = re.compile(id_pattern, re.IGNORECASE)
    except re.error as error:
        msg = f"{id_pattern}: is no regular expression ({error}). The study's ids are {ID_PATTERN}"
        raise InputError(msg) from error
    images, image_findings = _by_id(source, _subfolder(source, images_folder), pattern)
    masks, mask_findings = _by_id(source, _subfolder(source, masks_folder), pattern)
    findings = image_findings + mask_findings
    if not images and not masks and not any(finding.severity is Severity.ERROR for finding in findings):
        msg = f"{source}: no .nrrd file in {images_folder} and {masks_folder}. Put the CTs and their masks there."
        raise InputError(msg)

    for here, there, code, partner in (
        (images, masks, "unpaired-image", "mask"),
        (masks, images, "unpaired-mask", "image"),
    ):
        folder = masks_folder if partner == "mask" else images_folder
        findings += [
            Finding(
                code,
                Severity.ERROR,
                here[case].file.as_posix(),
                f"has no {partner}: no .nrrd file in {folder} begins with {case}.",
                f"Add the {partner}, or take this file out.",
            )
            for case in sorted(here.keys() - there.keys())
        ]
    cases = [
        Case(case, images[case].patient, images[case].side, images[case].file, (masks[case].file,))
        for case in sorted(images.keys() & masks.keys())
    ]
    return cases, findings


@dataclass(frozen=True)
class _Named:
    file: Path
    patient: str
    side: str


def _subfolder(source: Path, name: str) -> Path:
    if not source.is_dir():
        msg = f"{source}: there is no such folder. Give the folder that holds {name}."
        raise InputError(msg)
    found = [folder for folder in sorted(source.iterdir()) if folder.is_dir() and folder.name.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    exact = source / name
    if exact in found:
        return exact
    there = ", ".join(folder.name for folder in sorted(source.iterdir()) if folder.is_dir()) or "no folder at all"
    msg = f"{source}: has no folder {name}, only {there}. CTs belong in {IMAGES_FOLDER}, masks in {MASKS_FOLDER}."
    raise InputError(msg)


def _by_id(source: Path, folder: Path, pattern: re.Pattern[str]) -> tuple[dict[str, _Named], list[Finding]]:
    """The NRRD files of a folder by their ids. Hidden files (``.DS_Store``, ``._L442_CT.nrrd``) are nobody's data."""
    findings = []
    named: dict[str, list[_Named]] = defaultdict(list)
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        file = path.relative_to(source)
        if volume_ending(path) != ".nrrd":
            findings.append(_left_out(path, file.as_posix()))
            continue
        match = pattern.match(path.name)
        case = match.group().upper() if match else ""
        if match is None or not _SAFE_ID.fullmatch(case):
            findings.append(_no_id(file.as_posix(), case, pattern))
            continue
        groups = match.groupdict()
        patient = (groups.get("patient") or case).upper()
        side = _SIDES.get((groups.get("side") or "").upper(), "unknown")
        named[case].append(_Named(file, patient.lstrip("0") or "0", side))
    for case, files in named.items():
        if len(files) > 1:
            names = ", ".join(other.file.name for other in files[1:])
            problem = f"has the id {case}, and so has {names}."
            remedy = "Keep one of them, or give them different ids."
            findings.append(Finding("duplicate-id", Severity.ERROR, files[0].file.as_posix(), problem, remedy))
    return {case: files[0] for case, files in named.items()}, findings


def _left_out(path: Path, file: str) -> Finding:
    ending = volume_ending(path)
    if ending is None:
        return Finding("stray-file", Severity.NOTE, file, "is no volume and was left out.")
    problem = f"is a volume, but only .nrrd is read so far; the {ending} file was left out."
    return Finding("other-format", Severity.WARNING, file, problem, "Save it as .nrrd.")


def _no_id(file: str, case: str, pattern: re.Pattern[str]) -> Finding:
    if case:
        problem = f"has the id {case!r}, which cannot be a file name in the dataset."
        return Finding("unsafe-id", Severity.ERROR, file, problem, "Use letters, digits, - and _ in ids.")
    problem = f"does not begin with an id ({pattern.pattern}, as in L442_CT.nrrd)."
    return Finding("no-id", Severity.ERROR, file, problem, "Rename it, or take it out.")
