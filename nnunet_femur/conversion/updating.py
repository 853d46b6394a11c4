"""Add cases to a converted dataset, or replace the masks of some, while all other cases keep their set and fold."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.added_cases import KnownPatients, split_with
from nnunet_femur.conversion.assignments import patient_table
from nnunet_femur.conversion.case_record import settings_of, versions
from nnunet_femur.conversion.cases import TEST, Case, safe_id
from nnunet_femur.conversion.casework import Done, Task, convert_case, crashed
from nnunet_femur.conversion.checks.header_checks import check_headers
from nnunet_femur.conversion.dataset_record import RECORD_FILE, DatasetDescription, DatasetRecord, place
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.result import ConversionResult, result_of
from nnunet_femur.conversion.staging import (
    Finished,
    Staging,
    interrupted,
    locked,
    recover,
    remove_staging,
    require_untouched,
)
from nnunet_femur.dataset.raw import require_dataset_id
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.findings import as_left_out, errors_of
from nnunet_femur.kinds import finding, unexpected
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_femur.conversion.case_record import CaseRecord
    from nnunet_femur.findings import Finding

SIDE_LABELS = (1, 2, 3)
"""Values of a mask of ``nnfemur predict`` that are femur: left, right, and unknown side."""


@dataclass(frozen=True)
class GivenCase:
    """A CT and its mask that are to become a case of the dataset.

    Attributes:
        name: Name of the case; its id is the name in upper case.
        image: The CT, relative to the root of the update.
        mask: The mask, likewise.
        status: Status of the mask for ``conversion.json``; empty for none.
    """

    name: str
    image: Path
    mask: Path
    status: str = ""


def update_dataset(
    target: Path,
    root: Path,
    given: Sequence[GivenCase],
    *,
    about: Mapping[str, Any],
    patients: Path | None = None,
    jobs: int = 1,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> ConversionResult:
    """Add cases to a dataset, or replace those with the same id.

    A case that cannot be used is left out with the reason among the findings: one with errors in its files, one of a
    patient of the test set, and one whose CT is not that of the case with its id, or is that of another case. The
    dataset is replaced as a whole, or stays as it is.

    Args:
        target: Folder of the dataset.
        root: Folder that the files of the cases are relative to.
        given: The cases.
        about: Origin of the cases, for ``conversion.json``: JSON content without paths and times.
        patients: Table with the columns case and patient. Default: the id determines the patient.
        jobs: Number of processes.
        dry_run: Read and check everything, and write nothing.
        progress: Receives the progress.

    Returns:
        The dataset as it is now, or would be. Its findings are those of the update.

    Raises:
        InputError: The dataset was not written by this package (code "no-dataset"), was changed by hand
            ("edited-by-hand"), or the table of patients cannot be used, or lacks cases ("invalid-option").
        SetupError: The dataset cannot be written.
    """
    try:
        if dry_run:
            return _Update(target, root, given, about, patients, jobs, progress).preview()
        with locked(target):
            recover(target)
            return _Update(target, root, given, about, patients, jobs, progress).run()
    except OSError as error:
        msg = f"{error.filename or target}: {error.strerror}. Check its permissions and the free disk space."
        raise SetupError(msg, code="cannot-write") from error


def recover_dataset(raw: Path, dataset_id: int) -> None:
    """Move a dataset back to its place if a run was killed at the moment of replacing it.

    Args:
        raw: nnU-Net's folder of raw datasets.
        dataset_id: Number of the dataset.
    """
    require_dataset_id(dataset_id)
    for target in interrupted(raw, f"Dataset{dataset_id:03d}_"):
        with locked(target):
            recover(target)


class _Update:
    """One update; the arguments are those of :func:`update_dataset`."""

    def __init__(
        self,
        target: Path,
        root: Path,
        given: Sequence[GivenCase],
        about: Mapping[str, Any],
        patients: Path | None,
        jobs: int,
        progress: Progress,
    ) -> None:
        record = DatasetRecord.read(target)
        if record is None:
            msg = f"{target}: contains no {RECORD_FILE} of this package. Convert the source of the dataset first."
            raise InputError(msg, code="no-dataset")
        self.target, self.root, self.about, self.jobs, self.progress = target, root, dict(about), jobs, progress
        self.record: DatasetRecord = record
        self.known = KnownPatients(record, {} if patients is None else patient_table(patients))
        # The masks come from this package or from 3D Slicer, whatever those of the source were.
        old = {name: value for name, value in record.options.items() if name not in ("name", "seed", "split")}
        old |= {"segments": (), "labels": SIDE_LABELS, "trust": ""}
        self.options = ConversionOptions(**old)
        self.made_with = settings_of(versions(), self.options.as_json())
        self.earlier = {case.case: case for case in record.cases}
        self.cases = [self._case(each) for each in given]
        self.statuses = {safe_id(each.name): each.status for each in given if each.status}
        self.known.require_comparable(case.id for case in self.cases)
        self.left_out: dict[str, tuple[Finding, ...]] = {}

    def run(self) -> ConversionResult:
        """Write the updated dataset, unless no case is new."""
        require_untouched(self.target)
        staging = Staging(self.target)
        done = [one for one in self._converted(staging) if one.record is not None]
        written = [one for one in done if not self._is_in_dataset(one)]
        if not written:
            remove_staging(self.target)
            return self._result(self._described(()), (), [one.case for one in done])
        # Cases that are as they were stay as they are, also in the list of updates.
        new = {one.case: one.record for one in written if one.record is not None}
        kept = [self._kept(case, staging) for case in self.record.cases if case.case not in new]
        records = sorted((*kept, *new.values()), key=lambda one: one.case)
        dataset = self._described(tuple(new.values()), records)
        staging.publish(records, dataset.records, dataset.texts())
        return self._result(dataset, sorted(new), [one.case for one in done if one.case not in new])

    def preview(self) -> ConversionResult:
        """Return the result that a run would have; write nothing."""
        done = [one for one in self._converted(None) if one.record is not None]
        new = {one.case: one.record for one in done if one.record is not None}
        kept = [case for case in self.record.cases if case.case not in new]
        records = sorted((*kept, *new.values()), key=lambda one: one.case)
        dataset = self._described(tuple(new.values()), records)
        return self._result(dataset, (), (), dry_run=True)

    def _case(self, given: GivenCase) -> Case:
        case = safe_id(given.name)
        side = self.earlier[case].side if case in self.earlier else self.known.side_of(case)
        return Case(case, self.known.patient_of(case), side, given.image, (given.mask,))

    def _converted(self, staging: Staging | None) -> list[Done]:
        """Check and convert the cases; those that cannot be used are left out."""
        of_test = {patient for patient, set_name, _ in self.record.assigned.values() if set_name == TEST}
        tasks = []
        times = Counter(case.id for case in self.cases)
        for case in self.cases:
            headers = self._headers_of(case, of_test) if times[case.id] == 1 else (_same_id(case),)
            if errors_of(headers):
                self.left_out[case.id] = headers
                continue
            earlier = () if staging is None else staging.earlier(case.id)
            folder = None if staging is None else staging.folder
            tasks.append(Task(self.root, case, self.options, self.made_with, headers, staging=folder, earlier=earlier))
        running = track(
            each(convert_case, tasks, jobs=self.jobs, crashed=crashed), "Converting", len(tasks), progress=self.progress
        )
        done = self._with_own_ct([one for _, one in sorted(running, key=lambda numbered: numbered[0])])
        self.left_out |= {one.case: one.findings for one in done if one.record is None}
        return done

    def _headers_of(self, case: Case, of_test: set[str]) -> tuple[Finding, ...]:
        if case.patient in of_test:
            problem = "is of a patient of the test set, whose references stay as they are."
            return (finding("of-test-patient", case.image, problem),)
        try:
            return tuple(check_headers(self.root, case, self.options))
        except Exception as error:  # noqa: BLE001  # an unexpected error of one case must not stop the others
            return (unexpected(error, case.image),)

    def _with_own_ct(self, done: Sequence[Done]) -> list[Done]:
        """Return the cases, without those whose CT is not their own."""
        owners: dict[str, list[str]] = defaultdict(list)
        for case in self.record.cases:
            if case.contents:
                owners[case.contents["image"]].append(case.case)
        found = []
        for one in done:
            if one.record is None:
                found.append(one)
                continue
            image, content = one.record.sources["image"]["file"], one.record.contents["image"]
            old = self.earlier.get(one.case)
            others = [case for case in owners[content] if case != one.case]
            if old is not None and old.contents and old.contents["image"] != content:
                problem = f"is another CT than that of {one.case} in the dataset."
                found.append(one.refused([finding("other-ct", image, problem)]))
            elif others and one.case not in owners[content]:
                found.append(one.refused([finding("known-ct", image, f"is the CT of {', '.join(others)}.")]))
            else:
                owners[content].append(one.case)
                found.append(one)
        return found

    def _is_in_dataset(self, one: Done) -> bool:
        """Return True if the dataset contains exactly these voxels already."""
        old = self.earlier.get(one.case)
        return old is not None and one.record is not None and old.contents == one.record.contents != {}

    def _kept(self, case: CaseRecord, staging: Staging) -> CaseRecord:
        record = Finished(self.target, case).taken_into(staging.folder)
        if record is None:
            msg = f"{self.target}: the files of {case.case} changed during the update. Run the same command again."
            raise InputError(msg, code="edited-by-hand")
        return record

    def _described(self, new: Sequence[CaseRecord], records: Sequence[CaseRecord] | None = None) -> DatasetDescription:
        """Return the description of the dataset with the new cases at their places."""
        records = self.record.cases if records is None else records
        added = {case.id: case for case in self.cases if case.id in {one.case for one in new}}
        split = split_with(self.record, added.values())
        cases = {one.case: self._as_case(one) for one in records} | added
        statuses = {case: self.statuses[case] for case in sorted(added.keys() & self.statuses.keys())}
        update = {
            "added": sorted(added.keys() - self.earlier.keys()),
            "replaced": sorted(added.keys() & self.earlier.keys()),
            **({"statuses": statuses} if statuses else {}),
            **self.about,
        }
        return DatasetDescription(
            cases=cases,
            patients={case.patient: case.patient for case in cases.values()},
            records=[one.moved(**place(one.case, split.set_of[one.case])) for one in records],
            split=split,
            options=self.record.options,
            findings=self.record.findings,
            left_out=self.record.left_out,
            given_sets=self.record.given_sets,
            updates=(*self.record.updates, *((update,) if added else ())),
        )

    def _as_case(self, one: CaseRecord) -> Case:
        """Return a case of the dataset; it need not have its source any more."""
        patient = self.record.assigned[one.case][0] if one.case in self.record.assigned else ""
        masks = tuple(Path(file["file"]) for kind, file in one.sources.items() if kind != "image")
        return Case(one.case, patient, one.side, Path(one.sources["image"]["file"]), masks)

    def _result(
        self, dataset: DatasetDescription, written: Sequence[str], reused: Sequence[str], *, dry_run: bool = False
    ) -> ConversionResult:
        given = {case.id for case in self.cases}
        findings = [found for case in self.left_out for found in as_left_out(case, self.left_out[case])]
        findings += [
            found for one in dataset.records if one.case in given - self.left_out.keys() for found in one.findings
        ]
        result = result_of(
            self.target,
            dataset,
            findings=findings,
            written=written,
            reused=reused,
            left_out=tuple(self.left_out),
            dry_run=dry_run,
        )
        return replace(result, findings=tuple(findings))


def _same_id(case: Case) -> Finding:
    return finding("duplicate-id", case.image, f"has the id {case.id}, as has another given case.")
