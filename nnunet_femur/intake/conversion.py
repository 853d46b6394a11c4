"""One conversion from beginning to end: pairs, header checks, splits, voxels, dataset."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.intake.checks import check_headers
from nnunet_femur.intake.findings import Finding, stop_at_errors
from nnunet_femur.intake.layouts import find_cases
from nnunet_femur.intake.options import IntakeOptions
from nnunet_femur.intake.record import (
    CaseRecord,
    DatasetRecord,
    place,
    read_record,
    record_file,
    versions,
    write_descriptions,
    write_record,
)
from nnunet_femur.intake.report import Outcome
from nnunet_femur.intake.sources import digest
from nnunet_femur.intake.splits import Member, Split, split
from nnunet_femur.intake.staging import (
    Staging,
    drop_staging,
    locked,
    recover,
    require_replaceable,
    require_untouched,
    sha256,
)
from nnunet_femur.intake.voxels import read_case
from nnunet_femur.progress import silent
from nnunet_femur.version import __version__
from nnunet_femur.volumes import Geometry, write_volume

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.intake.cases import Case
    from nnunet_femur.progress import Track

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is to be converted, and into what.

    Attributes:
        source: Folder with a folder of CTs and a folder of masks.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        raw_folder: nnU-Net's folder of raw datasets.
        name: The part of the dataset's name after its number.
        seed: Seed of the split into patients.
        intake: How the files of the source are found and read.
    """

    source: Path
    dataset_id: int
    raw_folder: Path
    name: str = "Femur"
    seed: int = 0
    intake: IntakeOptions = field(default_factory=IntakeOptions)

    def __post_init__(self) -> None:
        """Refuse what cannot be a dataset's number or name."""
        if not 1 <= self.dataset_id <= 999:
            msg = f"{self.dataset_id}: nnU-Net's dataset numbers go from 1 to 999. Choose another one."
            raise InputError(msg)
        if not _SAFE_NAME.fullmatch(self.name):
            msg = f"{self.name!r}: cannot be part of a folder's name. Use letters, digits, - and _."
            raise InputError(msg)

    @property
    def target(self) -> Path:
        """The dataset's folder."""
        return self.raw_folder / f"Dataset{self.dataset_id:03d}_{self.name}"

    @property
    def options(self) -> dict[str, Any]:
        """Everything that decides about the dataset besides the files; it goes into the record."""
        return {"name": self.name, "seed": self.seed, **self.intake.as_json()}

    def run(self, *, track: Track = silent) -> Outcome:
        """Convert, or take up an interrupted conversion, or do nothing if the dataset is up to date.

        Raises:
            InputError: Files of the source cannot be used, or the dataset's place is taken. All that can be said is
                said at once, and the dataset does not appear or stays as it was.
            SetupError: Something cannot be written, or another process is writing it.
        """
        try:
            self.raw_folder.mkdir(parents=True, exist_ok=True)
            with locked(self.target):
                return self._run(track)
        except OSError as error:
            msg = f"{error.filename or self.target}: {error.strerror}. Check its permissions and the space on the disk."
            raise SetupError(msg) from error

    def _run(self, track: Track) -> Outcome:
        recover(self.target)
        require_replaceable(self.target)
        drop = find_cases(self.source, self.intake, track=track)
        pairs, findings = drop.cases, list(drop.findings)
        cases = {case.id: case for case in pairs}
        headers = {case.id: check_headers(drop.root, case, self.intake) for case in track(pairs, "Checking")}
        found = findings + [finding for case in headers.values() for finding in case]
        stop_at_errors(found, self.source, outcome=f"nothing was written to {self.target.name}:")
        parts = split((Member(case.id, case.patient, case.side) for case in pairs), seed=self.seed)

        sources = {case.id: self._sources(drop.root, case) for case in track(pairs, "Comparing")}
        if self._up_to_date(sources, findings):
            drop_staging(self.target)
            return Outcome(self.target, written=(), unchanged=tuple(cases))
        require_untouched(self.target)

        staging = Staging(self.target)
        made_with = versions()
        records: list[CaseRecord] = []
        written: list[str] = []
        errors: list[Finding] = []
        for case in track(pairs, "Converting"):
            files = place(case.id, parts.set_of[case.id])
            record = staging.reuse(case.id, sources[case.id], made_with, **files)
            if record is None:
                result = self._write(drop.root, staging, case, files, sources[case.id], made_with, headers[case.id])
                if not isinstance(result, CaseRecord):
                    errors += result
                    continue
                record = result
                written.append(case.id)
            records.append(record)
        stop_at_errors(errors, self.source, outcome=f"{self.target.name} was not made, but the other cases are kept:")
        self._publish(staging, cases, records, parts, findings, made_with)
        return Outcome(self.target, tuple(written), tuple(case for case in cases if case not in written))

    def _sources(self, root: Path, case: Case) -> dict[str, dict[str, str]]:
        masks = {f"mask{number or ''}": file for number, file in enumerate(case.masks)}
        return {
            kind: {"file": file.as_posix(), "sha256": digest(root / file)}
            for kind, file in {"image": case.image, **masks}.items()
        }

    def _up_to_date(self, sources: dict[str, dict[str, dict[str, str]]], findings: list[Finding]) -> bool:
        record = read_record(self.target)
        return (
            record is not None
            and record.options == self.options
            and record.versions.get("nnunet_femur") == __version__
            and list(record.findings) == findings
            and {case.case: case.sources for case in record.cases} == sources
            and all((self.target / name).is_file() for name in record.written_files())
        )

    def _write(
        self,
        root: Path,
        staging: Staging,
        case: Case,
        files: dict[str, str],
        sources: dict[str, dict[str, str]],
        made_with: dict[str, str],
        header_findings: list[Finding],
    ) -> CaseRecord | list[Finding]:
        voxels = read_case(root, case, self.intake)
        if isinstance(voxels, list):
            return voxels
        image, mask = staging.folder / files["image"], staging.folder / files["mask"]
        write_volume(voxels.image, image)
        write_volume(voxels.mask, mask)
        written = Geometry.of(voxels.image)
        record = CaseRecord(
            case.id,
            sources,
            made_with,
            files["image"],
            sha256(image),
            files["mask"],
            sha256(mask),
            written.size_xyz,
            written.spacing_mm_xyz,
            round(voxels.volume_ml, 3),
            asdict(voxels.source_geometry),
            (*header_findings, *voxels.findings),
        )
        staging.finish(record)
        return record

    def _publish(
        self,
        staging: Staging,
        cases: dict[str, Case],
        records: list[CaseRecord],
        parts: Split,
        findings: list[Finding],
        made_with: dict[str, str],
    ) -> None:
        described = write_descriptions(staging.folder, cases, records, parts)
        sides = sorted({case.side for case in cases.values()})
        counts = {
            name: {side: sum(cases[case].side == side for case in members) for side in sides}
            for name, members in parts.sets.items()
        }
        files = {name: sha256(staging.folder / name) for name in described}
        record = DatasetRecord(self.options, made_with, tuple(findings), tuple(records), counts, files)
        write_record(staging.folder, record, cases, parts)
        staging.publish([*record.written_files(), record_file(staging.folder).name])
