"""Convert one case, in this process or in a worker: reuse the files of an earlier run, or read and write them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.case_record import CaseRecord
from nnunet_femur.conversion.checks.duplicates import fingerprint
from nnunet_femur.conversion.staging import finish, staged
from nnunet_femur.conversion.voxels import read_case
from nnunet_femur.findings import file_text
from nnunet_femur.imaging.sources import digest
from nnunet_femur.imaging.writing import write_nrrd
from nnunet_femur.kinds import finding, unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.conversion.case_record import Sources
    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.conversion.staging import Finished
    from nnunet_femur.conversion.voxels import CaseVoxels
    from nnunet_femur.findings import Finding


@dataclass(frozen=True)
class Task:
    """A case, with everything that a worker needs to convert it.

    Attributes:
        root: The folder that the case's files are relative to.
        case: The case.
        options: Options about the files.
        made_with: Everything besides the sources that determines the written files.
        header_findings: Findings about the headers of the case.
        staging: The folder to write to; None to read everything and write nothing.
        earlier: The files that earlier runs have written for the case, the latest first.
    """

    root: Path
    case: Case
    options: ConversionOptions
    made_with: dict[str, Any]
    header_findings: tuple[Finding, ...] = ()
    staging: Path | None = None
    earlier: tuple[Finished, ...] = ()


@dataclass(frozen=True)
class Done:
    """Result of one case.

    Attributes:
        case: Id of the case.
        record: Record of the case; None if the case cannot be used.
        findings: Findings about the files of the case.
        reused: True if the files of an earlier run were used.
    """

    case: str
    record: CaseRecord | None
    findings: tuple[Finding, ...]
    reused: bool = False

    def refused(self, errors: Sequence[Finding]) -> Done:
        """Return the case with further errors, as one that cannot be used. Its files are kept for a later run."""
        return Done(self.case, None, _each_once(self.findings, tuple(errors)))


def sources_of(root: Path, case: Case) -> Sources:
    """Return path and checksum of each file of a case.

    Raises:
        OSError: A file cannot be read.
    """
    files = {"image": case.image} | {f"mask{number or ''}": mask for number, mask in enumerate(case.masks)}
    return {kind: {"file": file_text(file), "sha256": digest(root / file)} for kind, file in files.items()}


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
            if earlier.record.is_current(case.side, sources, task.made_with):
                record = earlier.taken_into(task.staging)
                if record is not None:
                    return Done(case.id, record, record.findings, reused=True)
    try:
        voxels = read_case(task.root, case, task.options)
    except MemoryError:
        return _failed(task, "too-large", "does not fit into memory.")
    except Exception as error:  # noqa: BLE001  # an unexpected error of one case must not stop the others
        return Done(case.id, None, _each_once(task.header_findings, [unexpected(error, case.image)]))
    if isinstance(voxels, list):
        return Done(case.id, None, _each_once(task.header_findings, voxels))
    return _written(task, voxels, sources)


def crashed(task: Task) -> Done:
    """Return the result of a case whose worker process died."""
    return _failed(task, "crash", "or its mask crashed the process that read it.")


def _failed(task: Task, code: str, problem: str, remedy: str | None = None) -> Done:
    found = finding(code, task.case.image, problem, remedy)
    return Done(task.case.id, None, _each_once(task.header_findings, [found]))


def _written(task: Task, voxels: CaseVoxels, sources: Sources) -> Done:
    """Write a converted case to the staging folder, unless it is a dry run, and return it with its record."""
    case, files, digests = task.case, staged(task.case.id), {"image": "", "mask": ""}
    geometry = voxels.geometry
    arrays_zyx: dict[str, NDArray] = {"image": voxels.image_zyx, "mask": voxels.mask_zyx}
    if task.staging is not None:
        for kind, array_zyx in arrays_zyx.items():
            digests[kind] = write_nrrd(array_zyx, geometry, task.staging / files[kind])
    contents = {kind: fingerprint(array_zyx) for kind, array_zyx in arrays_zyx.items()}
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
