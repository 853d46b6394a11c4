"""One conversion from beginning to end: cases, header checks, voxels, splits, dataset."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.assignments import shown_patients, with_patients, with_test_ids
from nnunet_femur.conversion.cases import safe_id
from nnunet_femur.conversion.casework import Task, convert_case, crashed, matches, sources_of
from nnunet_femur.conversion.checks.duplicates import naming_copies, same_files, same_voxels
from nnunet_femur.conversion.checks.headers import check_headers
from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.options import IntakeOptions
from nnunet_femur.conversion.record import RECORD_FILE, Described, LeftOut, made_with, place, read_record
from nnunet_femur.conversion.report import Outcome
from nnunet_femur.conversion.splits import STUDY_PARTS, Member, require_enough, split
from nnunet_femur.conversion.staging import (
    Staging,
    drop_staging,
    locked,
    recover,
    require_replaceable,
    require_untouched,
)
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.findings import Severity, as_left_out, errors_of, stop_at_errors, write_findings
from nnunet_femur.kinds import finding, unexpected
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.casework import Done
    from nnunet_femur.conversion.record import CaseRecord
    from nnunet_femur.findings import Finding

_READ_MORE = "Only headers were read so far; --dry-run reads the voxels too. "

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is to be converted, and into what.

    Attributes:
        source: Folder with CTs and masks, or a table of them.
        dataset_id: nnU-Net's number of the dataset, 1 to 999.
        raw_folder: nnU-Net's folder of raw datasets.
        name: The part of the dataset's name after its number.
        seed: Seed of the split into patients.
        intake: How the files of the source are found and read.
        parts: Training, validation and test set in proportion.
        patients: A table that says whose cases are; see :mod:`nnunet_femur.conversion.assignments`.
        test_ids: A file that names the cases of the test set.
        jobs: Number of processes that convert cases.
        report: A CSV file for everything found; None writes one beside the dataset where errors keep it from being
            made.
    """

    source: Path
    dataset_id: int
    raw_folder: Path
    name: str = "Femur"
    seed: int = 0
    intake: IntakeOptions = field(default_factory=IntakeOptions)
    parts: tuple[int, int, int] = STUDY_PARTS
    patients: Path | None = None
    test_ids: Path | None = None
    jobs: int = 1
    report: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a dataset's number or name."""
        if not 1 <= self.dataset_id <= 999:
            msg = f"{self.dataset_id}: nnU-Net's dataset numbers go from 1 to 999. Choose another one."
            raise InputError(msg)
        if not _SAFE_NAME.fullmatch(self.name):
            msg = f"{self.name!r}: cannot be part of a folder's name. Use letters, digits, - and _."
            raise InputError(msg)
        if self.jobs < 1:
            msg = f"{self.jobs}: cannot be a number of processes. Use 1 or more."
            raise InputError(msg)

    @property
    def target(self) -> Path:
        """The dataset's folder."""
        return self.raw_folder / f"Dataset{self.dataset_id:03d}_{self.name}"

    @property
    def options(self) -> dict[str, Any]:
        """What decides about the dataset besides files; it goes into the record."""
        return {"name": self.name, "seed": self.seed, "split": "/".join(map(str, self.parts)), **self.intake.as_json()}

    def run(self, *, progress: Progress = SILENT) -> Outcome:
        """Convert, or take up an interrupted conversion, or do nothing if the dataset is up to date.

        Raises:
            InputError: Files of the source cannot be used, or the dataset's place is taken. All that can be said is
                said at once, and the dataset does not appear or stays as it was.
            SetupError: Something cannot be written, or another process is writing it.
        """
        try:
            self.raw_folder.mkdir(parents=True, exist_ok=True)
            with locked(self.target):
                return self._reported(self._run(progress))
        except OSError as error:
            msg = f"{error.filename or self.target}: {error.strerror}. Check its permissions and the space on the disk."
            raise SetupError(msg) from error

    def preview(self, *, progress: Progress = SILENT) -> Outcome:
        """Read everything and tell what would be made of it, but write nothing, not even the raw folder.

        Raises:
            InputError: The source holds no case at all, or the dataset's place is taken.
            SetupError: Something cannot be read.
        """
        try:
            return self._reported(self._preview(progress))
        except OSError as error:
            msg = f"{error.filename or self.source}: {error.strerror}. Check its permissions."
            raise SetupError(msg) from error

    def _run(self, progress: Progress) -> Outcome:
        recover(self.target)
        require_replaceable(self.target)
        drop = self._drop(progress)
        headers = drop.headers(progress)
        found = [*drop.findings, *(one for case in headers.values() for one in case)]
        if drop.leaves_out:
            drop = drop.without({case: one for case, one in headers.items() if errors_of(one)})
        else:
            self._stop_at_errors(found, "nothing was written to {}:", _READ_MORE)
        with naming_copies(drop.findings):
            require_enough(_members(drop.cases), parts=self.parts)
        if (same := self._up_to_date(drop, progress)) is not None:
            drop_staging(self.target)
            self._failure_report.unlink(missing_ok=True)
            return Outcome(self.target, same, unchanged=tuple(record.case for record in same.records))
        require_untouched(self.target)

        staging = Staging(self.target)
        tasks = [
            replace(
                drop.task(case),
                header_findings=headers[case.id],
                staging=staging.folder,
                earlier=staging.earlier(case.id),
            )
            for case in drop.cases
        ]
        done = self._converted(tasks, progress)
        if drop.leaves_out:
            drop = drop.without({one.case: one.findings for one in done if one.record is None}, read=True)
            require_enough(_members(drop.cases), parts=self.parts)
        else:
            of_bad = [found for one in done if one.record is None for found in one.findings]
            self._stop_at_errors(of_bad, "{} was not made, but the other cases are kept:")
        records = [one.record for one in done if one.record is not None]
        dataset = self._described(drop, records)
        staging.publish(records, dataset.records, dataset.texts())
        self._failure_report.unlink(missing_ok=True)
        written = [one for one in done if one.record is not None]
        return Outcome(
            self.target,
            dataset,
            written=tuple(one.case for one in written if not one.reused),
            unchanged=tuple(one.case for one in written if one.reused),
        )

    @property
    def _failure_report(self) -> Path:
        return self.raw_folder / f"findings_{self.target.name}.csv"

    def _reported(self, outcome: Outcome) -> Outcome:
        if self.report is not None:
            write_findings(outcome.all_findings, self.report)
        return outcome

    def _stop_at_errors(self, findings: Sequence[Finding], outcome: str, more: str = "") -> None:
        if errors_of(findings):
            report = self.report or self._failure_report
            write_findings(findings, report)
            listed = f"All findings are in {report}."
            stop_at_errors(findings, self.source, outcome=outcome.format(self.target.name), more=f"{more}{listed}")

    def _preview(self, progress: Progress) -> Outcome:
        if self.raw_folder.is_dir():
            require_replaceable(self.target)
        drop = self._drop(progress)
        headers = drop.headers(progress)
        # Voxels on grids that do not agree would be read in vain.
        usable = [case for case in drop.cases if not errors_of(headers[case.id])]
        tasks = [replace(drop.task(case), header_findings=headers[case.id]) for case in usable]
        read = {one.case: one for one in self._converted(tasks, progress)}
        of_case = {case: read[case].findings if case in read else found for case, found in headers.items()}
        if drop.leaves_out:
            drop = drop.without({case: found for case, found in of_case.items() if errors_of(found)}, read=True)
        findings = [*drop.findings, *(found for case in drop.cases for found in of_case[case.id])]
        dataset = None
        if not errors_of(findings):
            try:
                require_enough(_members(drop.cases), parts=self.parts)
                dataset = self._described(drop, [one.record for one in read.values() if one.record is not None])
                findings += [found for found in dataset.findings if found not in findings]
            except InputError as error:
                problem, _, remedy = str(error).partition("\n")[0].rpartition(". ")
                findings.append(finding("split", self.source.name, f"{problem}.", remedy))
        return Outcome(self.target, dataset, dry_run=True, findings=tuple(findings))

    def _drop(self, progress: Progress) -> _Drop:
        found = find_cases(self.source, self.intake, progress=progress)
        cases, findings = list(found.cases), list(found.findings)
        for case in cases:
            if safe_id(case.id) != case.id:
                msg = f"{case.image.as_posix()}: has an id that cannot be a file name in the dataset. Rename it."
                raise InputError(msg)
        if self.patients is not None:
            cases, more = with_patients(cases, self.patients)
            findings += more
        twice = same_files(found.root, cases)
        cases, findings = list(twice.cases), [*findings, *twice.warnings]
        if self.test_ids is not None:
            cases = with_test_ids(cases, self.test_ids)
        leaves_out = self.intake.skip_bad or found.layout == "totalsegmentator"
        drop = _Drop(
            found.root,
            tuple(cases),
            tuple(findings),
            self.intake,
            made_with(self.intake),
            leaves_out,
            twice_with=twice.errors,
        )
        return drop.without({})

    def _converted(self, tasks: Sequence[Task], progress: Progress) -> list[Done]:
        done = track(
            each(convert_case, tasks, jobs=self.jobs, crashed=crashed), "Converting", len(tasks), progress=progress
        )
        ordered = [one for _, one in sorted(done, key=lambda numbered: numbered[0])]
        read = [one.record for one in ordered if one.record is not None]
        errors = same_voxels([task.case for task in tasks], read).errors
        return [one.refused(errors[one.case]) if one.case in errors else one for one in ordered]

    def _described(self, drop: _Drop, records: Sequence[CaseRecord]) -> Described:
        twice = same_voxels(drop.cases, records)
        # Copies of files were found before their voxels were read.
        known = {(found.code, found.file) for found in drop.findings}
        more = (found for found in twice.warnings if (found.code, found.file) not in known)
        drop = replace(drop, cases=twice.cases, findings=(*drop.findings, *more))
        with naming_copies(twice.warnings):
            parts = split(_members(drop.cases, records), seed=self.seed, parts=self.parts)
        return Described(
            cases={case.id: case for case in drop.cases},
            patients=shown_patients(drop.cases),
            records=[record.moved(**place(record.case, parts.set_of[record.case])) for record in records],
            split=parts,
            options=self.options,
            findings=drop.findings,
            left_out=drop.left_out,
        )

    def _up_to_date(self, drop: _Drop, progress: Progress) -> Described | None:
        """The dataset that stands there if converting would give the same; hashes sources only if that may be."""
        record = read_record(self.target)
        if record is None:
            return None
        earlier = {case.case: case for case in record.cases}
        left_out = {case.case: case for case in record.left_out}
        known = [case.id for case in drop.cases if case.id not in left_out]
        if list(earlier) != known:
            return None
        for case in track(drop.cases, "Comparing", progress=progress):
            sources = sources_of(drop.root, case)
            if case.id in left_out:
                if not left_out[case.id].matches(sources, drop.made_with):
                    return None
            elif not matches(earlier[case.id], case, sources, drop.made_with):
                return None
        again = {case: left_out[case].findings for case in left_out if case in {one.id for one in drop.cases}}
        dataset = self._described(drop.without(again, read=True), record.cases)
        text = (self.target / RECORD_FILE).read_text(encoding="utf-8")
        files_there = all((self.target / name).is_file() for name in record.written_files())
        return dataset if files_there and dataset.texts()[RECORD_FILE] == text else None


@dataclass(frozen=True)
class _Drop:
    """The cases of a source with the patients and sets that a user gives them.

    Attributes:
        root: The folder that files are relative to.
        cases: The cases to convert.
        findings: What was found that belongs to no case, or to one that was left out.
        intake: How the files are read.
        made_with: What besides the sources decides about the written files.
        leaves_out: A case with errors is left out and does not stop the conversion.
        left_out: Cases that were left out after their voxels were read, for the record.
        twice_with: By case, the error that another case has the same CT with another mask.
    """

    root: Path
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    intake: IntakeOptions
    made_with: dict[str, Any]
    leaves_out: bool = False
    left_out: tuple[LeftOut, ...] = ()
    twice_with: dict[str, tuple[Finding, ...]] = field(default_factory=dict)

    def headers(self, progress: Progress) -> dict[str, tuple[Finding, ...]]:
        return {case.id: self._headers_of(case) for case in track(self.cases, "Checking", progress=progress)}

    def _headers_of(self, case: Case) -> tuple[Finding, ...]:
        try:
            return (*self.twice_with.get(case.id, ()), *check_headers(self.root, case, self.intake))
        except Exception as error:  # noqa: BLE001  # whatever one case raises, the others are checked
            return (unexpected(error, case.image),)

    def task(self, case: Case) -> Task:
        return Task(self.root, case, self.intake, self.made_with)

    def without(self, bad: Mapping[str, Sequence[Finding]], *, read: bool = False) -> _Drop:
        """Return the source without some cases, if it leaves out any; their errors become warnings.

        Args:
            bad: The findings of the cases to leave out, by id.
            read: Their voxels were read, so that the next run need not do it again.
        """
        if not self.leaves_out:
            return self
        left_out: list[LeftOut] = []
        for case in self.cases if read else ():
            if case.id in bad:
                # A file that cannot be read is looked at again by the next run.
                with suppress(OSError):
                    sources = sources_of(self.root, case)
                    left_out.append(LeftOut(case.id, sources, self.made_with, tuple(bad[case.id])))
        of_source = [replace(found, severity=Severity.WARNING) for found in errors_of(self.findings)]
        return replace(
            self,
            cases=tuple(case for case in self.cases if case.id not in bad),
            findings=(
                *of_source,
                *(found for found in self.findings if found.severity is not Severity.ERROR),
                *(found for case in bad for found in as_left_out(case, bad[case])),
            ),
            left_out=(*self.left_out, *left_out),
        )


def _members(cases: Iterable[Case], records: Iterable[CaseRecord] = ()) -> list[Member]:
    volumes_ml = {record.case: record.volume_ml for record in records}
    return [Member(case.id, case.patient, case.side, volumes_ml.get(case.id), case.set or None) for case in cases]
