"""What is done for one case, alone in a process or beside others: take it from an earlier run, or read and write it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.checks.duplicates import fingerprint
from nnunet_femur.conversion.record import CaseRecord
from nnunet_femur.conversion.staging import finish, staged
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.findings import file_text
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.sources import digest
from nnunet_femur.imaging.writing import write_nrrd
from nnunet_femur.kinds import finding, unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.options import IntakeOptions
    from nnunet_femur.conversion.staging import Finished
    from nnunet_femur.conversion.voxels import CaseVoxels
    from nnunet_femur.findings import Finding

Sources = dict[str, dict[str, str]]
"""The relative path and the SHA-256 of every source of a case, by its kind."""


@dataclass(frozen=True)
class Task:
    """One case and all that is needed to convert it in another process.

    Attributes:
        root: The folder that the case's files are relative to.
        case: The case.
        options: How its files are read.
        made_with: What besides the sources decides about the written files.
        header_findings: What its headers have told.
        staging: The folder to write to; None reads everything and writes nothing.
        earlier: What earlier runs have finished of it.
    """

    root: Path
    case: Case
    options: IntakeOptions
    made_with: dict[str, Any]
    header_findings: tuple[Finding, ...] = ()
    staging: Path | None = None
    earlier: tuple[Finished, ...] = ()


@dataclass(frozen=True)
class Done:
    """What has become of a case.

    Attributes:
        case: Its id.
        record: What was read and written; None if it cannot be used.
        findings: Everything found, as in the record.
        reused: Whether its files were taken from an earlier run.
    """

    case: str
    record: CaseRecord | None
    findings: tuple[Finding, ...]
    reused: bool = False

    def refused(self, errors: Sequence[Finding]) -> Done:
        """Return the same case as one that cannot be used; its files are kept for a later run."""
        return Done(self.case, None, _each_once(self.findings, tuple(errors)))


def sources_of(root: Path, case: Case) -> Sources:
    """The files of a case and what is in them.

    Raises:
        OSError: A file cannot be read.
    """
    files = {"image": case.image} | {f"mask{number or ''}": mask for number, mask in enumerate(case.masks)}
    return {kind: {"file": file_text(file), "sha256": digest(root / file)} for kind, file in files.items()}


def matches(record: CaseRecord, case: Case, sources: Sources, made_with: dict[str, Any]) -> bool:
    """Whether a record tells what converting the case now would give."""
    return record.sources == sources and record.made_with == made_with and record.side == case.side


def convert_case(task: Task) -> Done:
    """Read a case and write it to the staging folder, unless an earlier run has finished it from the same sources.

    Raises:
        SetupError: A file cannot be written.
    """
    case = task.case
    try:
        sources = sources_of(task.root, case)
    except OSError as error:
        return _failed(task, "unreadable", f"cannot be read ({error.strerror}).", "Check its permissions.")
    if task.staging is not None:
        for earlier in task.earlier:
            if matches(earlier.record, case, sources, task.made_with):
                record = earlier.taken_into(task.staging)
                if record is not None:
                    return Done(case.id, record, record.findings, reused=True)
    try:
        voxels = read_case(task.root, case, task.options)
    except MemoryError:
        return _failed(task, "too-large", "does not fit into memory.")
    except Exception as error:  # noqa: BLE001  # whatever one case raises, the others go on
        return Done(case.id, None, _each_once(task.header_findings, [unexpected(error, case.image)]))
    if isinstance(voxels, list):
        return Done(case.id, None, _each_once(task.header_findings, voxels))
    return _written(task, voxels, sources)


def crashed(task: Task) -> Done:
    """What is said of a case whose process died of it."""
    return _failed(task, "crash", "or its mask ended the process that read it.")


def _failed(task: Task, code: str, problem: str, remedy: str | None = None) -> Done:
    found = finding(code, task.case.image, problem, remedy)
    return Done(task.case.id, None, _each_once(task.header_findings, [found]))


def _written(task: Task, voxels: CaseVoxels, sources: Sources) -> Done:
    import SimpleITK as sitk

    case, files, digests = task.case, staged(task.case.id), {"image": "", "mask": ""}
    geometry = Geometry.of(voxels.image)
    if task.staging is not None:
        for kind, volume in (("image", voxels.image), ("mask", voxels.mask)):
            digests[kind] = write_nrrd(sitk.GetArrayViewFromImage(volume), geometry, task.staging / files[kind])
    contents = {
        kind: fingerprint(sitk.GetArrayViewFromImage(volume))
        for kind, volume in (("image", voxels.image), ("mask", voxels.mask))
    }
    record = CaseRecord(
        case=case.id,
        side=case.side,
        sources=sources,
        made_with=task.made_with,
        image=files["image"],
        image_sha256=digests["image"],
        mask=files["mask"],
        mask_sha256=digests["mask"],
        size_xyz=geometry.size_xyz,
        spacing_mm_xyz=geometry.spacing_mm_xyz,
        volume_ml=round(voxels.volume_ml, 3),
        stored=asdict(voxels.source_geometry),
        findings=_each_once(task.header_findings, voxels.findings),
        contents=contents,
    )
    if task.staging is not None:
        finish(task.staging, record)
    return Done(case.id, record, record.findings)


def _each_once(*several: list[Finding] | tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(one for findings in several for one in findings))
