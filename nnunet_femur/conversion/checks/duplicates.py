"""Find cases with the same exam: equal files, or equal voxels under other names, formats and ids.

Cases of one exam must not be in different sets, so they get the same patient. Different masks of one exam are an error,
because the femur of one mask is background in the other, as for a left and a right mask of one CT in two rows.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from nnunet_femur.conversion.splits import SplitError
from nnunet_femur.findings import Finding
from nnunet_femur.imaging.geometry import oriented
from nnunet_femur.imaging.sources import digest, parts, read_source
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.conversion.case_record import CaseRecord
    from nnunet_femur.conversion.cases import Case

_SAMPLES, _SAMPLE_BYTES = 8, 4096
"""Number and size (bytes) of the samples of a file that are compared before whole files are read."""

_COMPARED = 1 << 20
"""Approximate number of voxels of a volume that are compared; two exams never agree in so many."""


@dataclass(frozen=True)
class Duplicates:
    """Cases of a source, and those among them with the same exam.

    Attributes:
        cases: The cases in their order; cases of one exam have the same patient.
        warnings: A warning for each exam that several cases have, with equal masks.
        errors: By case, the error that another case has the same CT with another mask.
    """

    cases: tuple[Case, ...]
    warnings: tuple[Finding, ...] = ()
    errors: dict[str, tuple[Finding, ...]] = field(default_factory=dict)


def fingerprint(voxels_zyx: NDArray) -> str:
    """Return a digest of a volume in the form of the dataset; of a large volume, every n-th row is sampled.

    Args:
        voxels_zyx: The voxels as written, independent of format, axes and padding of the source.
    """
    step = max(1, voxels_zyx.size // _COMPARED)
    rows = voxels_zyx[:, ::step] if voxels_zyx.shape[1] >= 8 * step else voxels_zyx[::step]
    known = hashlib.sha256(repr((voxels_zyx.shape, voxels_zyx.dtype.str)).encode())
    known.update(np.ascontiguousarray(rows).data)
    return known.hexdigest()


def same_files(root: Path, cases: Sequence[Case]) -> Duplicates:
    """Compare the files of cases, without reading voxels; only files of one size are read.

    Args:
        root: The folder that the files are relative to.
        cases: The cases.
    """
    images = _contents(root, {case.id: (case.image,) for case in cases})
    shared = {case for cases_of_one in _groups(images) for case in cases_of_one}
    masks = {case.id: _mask_content(root, case.masks) for case in cases if case.id in shared}
    return _together(cases, images, masks)


def same_voxels(cases: Sequence[Case], records: Iterable[CaseRecord]) -> Duplicates:
    """Compare cases by the voxels that were read.

    Args:
        cases: The cases.
        records: Their records; records of older versions cannot be compared.
    """
    known = [record for record in records if record.contents]
    images = {record.case: record.contents["image"] for record in known}
    masks = {record.case: record.contents["mask"] for record in known}
    return _together(cases, images, masks)


@contextmanager
def naming_copies(findings: Iterable[Finding]) -> Iterator[None]:
    """Add the duplicate exams, which count once, to an error about too few patients.

    Raises:
        InputError: The error of the block, with a line for each duplicate exam.
    """
    try:
        yield
    except SplitError as error:
        copies = [str(found) for found in findings if found.code == "same-exam"]
        if not copies:
            raise
        raise SplitError(error.problem, "\n".join([error.remedy, *copies]), code=error.code) from error


def _contents(root: Path, files: Mapping[str, Sequence[Path]]) -> dict[str, Hashable]:
    """Return a key for the content of the files of each case; only files of equal size and samples are read."""
    paths = {case: [root / file for file in named] for case, named in files.items()}
    keys: dict[str, tuple[Hashable, ...]] = dict.fromkeys(paths, ())
    for look in (_bytes, _samples, _digest):
        for case in {case for group in _groups(keys) for case in group}:
            keys[case] = (*keys[case], *(look(path) for path in paths[case]))
    alike = {case for group in _groups(keys) for case in group}
    return {case: keys[case] if case in alike else (case,) for case in keys}


def _mask_content(root: Path, files: Sequence[Path]) -> Hashable | None:
    """Read the masks of a case and return a key for their voxels; None if they cannot be compared yet."""
    import SimpleITK as sitk

    found = set()
    for file in files:
        source = read_source(root, file, mask=True)
        if isinstance(source, Finding) or source[1].GetNumberOfComponentsPerPixel() != 1:
            return None
        voxels = sitk.GetArrayFromImage(oriented(source[1]))
        segments = source[0].segments
        # Data type and label of a plain mask do not matter.
        found.add((fingerprint(voxels if segments else (voxels != 0).astype(np.uint8)), segments))
    return frozenset(found)


def _bytes(path: Path) -> Hashable:
    try:
        return sum(file.stat().st_size for file in parts(path))
    except OSError:
        return str(path)


def _samples(path: Path) -> Hashable:
    """Return samples of the first file of a volume, which distinguish uncompressed volumes of equal size."""
    try:
        file = parts(path)[0]
        size = file.stat().st_size
        with file.open("rb") as content:
            return tuple(_read_at(content, share * size // _SAMPLES) for share in range(_SAMPLES))
    except (OSError, IndexError):
        return str(path)


def _read_at(content: BinaryIO, position: int) -> bytes:
    content.seek(position)
    return content.read(_SAMPLE_BYTES)


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError:
        return str(path)


def _groups(keys: Mapping[str, Hashable]) -> list[list[str]]:
    """Return the groups of several cases with the same key."""
    by_key: dict[Hashable, list[str]] = defaultdict(list)
    for case, key in keys.items():
        by_key[key].append(case)
    return [sorted(cases) for cases in by_key.values() if len(cases) > 1]


def _together(
    cases: Sequence[Case], images: Mapping[str, Hashable], masks: Mapping[str, Hashable | None]
) -> Duplicates:
    """Give the cases of one exam the same patient, or an error if their masks differ.

    Args:
        cases: The cases.
        images: Key of the content of each CT, by case.
        masks: Key of the content of each mask, by case; None if it cannot be compared.
    """
    by_id = {case.id: case for case in cases}
    warnings: list[Finding] = []
    errors: dict[str, tuple[Finding, ...]] = {}
    patient_of = {case.patient: case.patient for case in cases}
    for group in _groups({case: key for case, key in images.items() if case in by_id}):
        first, *others = (by_id[case] for case in group)
        keys = {masks[case] for case in group}
        if len(keys) > 1 and None not in keys:
            for case in group:
                rest = ", ".join(other for other in group if other != case)
                problem = f"is the CT of {case} and of {rest}, but their masks differ."
                errors[case] = (finding("ct-twice", by_id[case].image, problem),)
            continue
        names = ", ".join(other.id for other in others)
        same_patient = all(other.patient == first.patient for other in others)
        done = "" if same_patient else "; they were assigned to one patient"
        warnings.append(finding("same-exam", first.image, f"is the same exam as {names}{done}."))
        kept = _root(patient_of, first.patient)
        for other in others:
            patient_of[_root(patient_of, other.patient)] = kept
    joined = tuple(replace(case, patient=_root(patient_of, case.patient)) for case in cases)
    return Duplicates(joined, tuple(warnings), errors)


def _root(patient_of: dict[str, str], patient: str) -> str:
    while patient_of[patient] != patient:
        patient = patient_of[patient]
    return patient
