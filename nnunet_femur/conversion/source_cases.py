"""Cases of a source folder, with the patients and sets that the user gives, and without the cases that are left out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.assignments import with_patients, with_test_ids
from nnunet_femur.conversion.case_record import LeftOut, made_with
from nnunet_femur.conversion.cases import safe_id
from nnunet_femur.conversion.casework import Task, sources_of
from nnunet_femur.conversion.checks.duplicates import same_files
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.splits import Member
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Severity, as_left_out, errors_of
from nnunet_femur.kinds import unexpected
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nnunet_femur.conversion.case_record import CaseRecord
    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.options import ConversionOptions
    from nnunet_femur.conversion.staging import Staging
    from nnunet_femur.findings import Finding


@dataclass(frozen=True)
class SourceCases:
    """Cases of a source folder that are to be converted.

    Attributes:
        root: The folder that files are relative to.
        cases: The cases to convert.
        findings: Findings that belong to no case, or to a case that was left out.
        options: Options about the files.
        made_with: Everything besides the sources that determines the written files.
        leaves_out: Leave out cases with errors instead of stopping.
        left_out: Ids of the cases that were left out.
        left_out_records: Records of those that were left out after their voxels had been read.
        twice_with: By case, the error that another case has the same CT with another mask.
    """

    root: Path
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    options: ConversionOptions
    made_with: dict[str, Any]
    leaves_out: bool = False
    left_out: tuple[str, ...] = ()
    left_out_records: tuple[LeftOut, ...] = ()
    twice_with: dict[str, tuple[Finding, ...]] = field(default_factory=dict)

    @classmethod
    def find(
        cls,
        source: Path,
        options: ConversionOptions,
        *,
        patients: Path | None = None,
        test_ids: Path | None = None,
        progress: Progress = SILENT,
    ) -> SourceCases:
        """Find the cases of a source folder and assign the patients and sets that the user gives.

        Args:
            source: The folder, or a table of files.
            options: Options about the files.
            patients: Table with the patient of each case.
            test_ids: File that names the test cases.
            progress: Receives the progress.

        Raises:
            InputError: The folder contains no cases, or one of the tables cannot be used.
        """
        found = find_cases(source, options, progress=progress)
        cases, findings = list(found.cases), list(found.findings)
        for case in cases:
            if safe_id(case.id) != case.id:
                msg = f"{case.image.as_posix()}: the id cannot be a file name of the dataset. Rename the file."
                raise InputError(msg, code="invalid-name")
        if patients is not None:
            cases, more = with_patients(cases, patients)
            findings += more
        twice = same_files(found.root, cases)
        cases, findings = list(twice.cases), [*findings, *twice.warnings]
        if test_ids is not None:
            cases = with_test_ids(cases, test_ids)
        found_cases = cls(
            root=found.root,
            cases=tuple(cases),
            findings=tuple(findings),
            options=options,
            made_with=made_with(options),
            leaves_out=options.skip_bad or found.leaves_out,
            twice_with=twice.errors,
        )
        return found_cases.without({})

    def check_headers(self, progress: Progress) -> dict[str, tuple[Finding, ...]]:
        """Return the findings about the headers of each case, by id."""
        return {case.id: self._headers_of(case) for case in track(self.cases, "Checking", progress=progress)}

    def _headers_of(self, case: Case) -> tuple[Finding, ...]:
        try:
            return (*self.twice_with.get(case.id, ()), *check_headers(self.root, case, self.options))
        except Exception as error:  # noqa: BLE001  # an unexpected error of one case must not stop the others
            return (unexpected(error, case.image),)

    def tasks(self, headers: Mapping[str, tuple[Finding, ...]], staging: Staging | None = None) -> list[Task]:
        """Return the tasks of converting the cases without errors in their headers.

        Args:
            headers: Findings about the headers of each case, by id.
            staging: Place of the new dataset; None to check the cases and write nothing.
        """
        return [
            Task(
                self.root,
                case,
                self.options,
                self.made_with,
                headers[case.id],
                staging=None if staging is None else staging.folder,
                earlier=() if staging is None else staging.earlier(case.id),
            )
            for case in self.cases
            if not errors_of(headers[case.id])
        ]

    def members(self, records: Iterable[CaseRecord] = ()) -> list[Member]:
        """Return the cases as members of a split, with the volumes of their records if there are any."""
        volumes_ml = {record.case: record.volume_ml for record in records}
        return [
            Member(case.id, case.patient, case.side, volumes_ml.get(case.id), case.set or None) for case in self.cases
        ]

    def without(self, bad: Mapping[str, Sequence[Finding]], *, read: bool = False) -> SourceCases:
        """Return the source without some cases, with their errors as warnings; unchanged if no case may be left out.

        Args:
            bad: Findings of the cases to leave out, by id.
            read: Their voxels were read. They are recorded, so that the next run need not read them again.
        """
        if not self.leaves_out:
            return self
        records: list[LeftOut] = []
        for case in self.cases if read else ():
            if case.id in bad:
                # Without a record, the next run reads an unreadable file again.
                with suppress(OSError):
                    sources = sources_of(self.root, case)
                    records.append(LeftOut(case.id, sources, self.made_with, tuple(bad[case.id])))
        of_source = [replace(found, severity=Severity.WARNING) for found in errors_of(self.findings)]
        return replace(
            self,
            cases=tuple(case for case in self.cases if case.id not in bad),
            findings=(
                *of_source,
                *(found for found in self.findings if found.severity is not Severity.ERROR),
                *(found for case in bad for found in as_left_out(case, bad[case])),
            ),
            left_out=(*self.left_out, *bad),
            left_out_records=(*self.left_out_records, *records),
        )
