"""Convert CTs and masks of a source folder into a raw dataset of nnU-Net."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from nnunet_femur.conversion.assignments import shown_patients
from nnunet_femur.conversion.casework import convert_case, crashed, sources_of
from nnunet_femur.conversion.checks.duplicates import naming_copies, same_voxels
from nnunet_femur.conversion.dataset_record import DatasetDescription, DatasetRecord, place
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.result import ConversionResult, result_of
from nnunet_femur.conversion.shard_conversion import convert_shard
from nnunet_femur.conversion.source_cases import SourceCases
from nnunet_femur.conversion.splits import STUDY_PARTS, SplitError, parse_parts, require_enough, split_cases
from nnunet_femur.conversion.staging import (
    Staging,
    locked,
    recover,
    remove_staging,
    require_replaceable,
    require_untouched,
)
from nnunet_femur.dataset.environment import require
from nnunet_femur.dataset.raw import require_dataset_id
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.findings import errors_of, stop_at_errors, write_findings
from nnunet_femur.kinds import finding
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.shards import Shard

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from nnunet_femur.conversion.case_record import CaseRecord
    from nnunet_femur.conversion.casework import Done, Task
    from nnunet_femur.conversion.options import ConversionSettings
    from nnunet_femur.findings import Finding

_READ_MORE = "Only headers were read so far; --dry-run reads the voxels too. "

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def convert(
    source: str | os.PathLike[str],
    *,
    dataset_id: int,
    raw: str | os.PathLike[str] | None = None,
    name: str = "Femur",
    seed: int = 0,
    split: str | tuple[int, int, int] = STUDY_PARTS,
    patients: str | os.PathLike[str] | None = None,
    test_ids: str | os.PathLike[str] | None = None,
    options: ConversionOptions | None = None,
    jobs: int = 1,
    report: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    shard: str | Shard | None = None,
    progress: Progress = SILENT,
    **settings: Unpack[ConversionSettings],
) -> ConversionResult:
    """Convert CTs and femur masks into a raw dataset of nnU-Net, with a split by patient and five folds.

    An interrupted conversion continues where it stopped. If neither the source nor the options have changed, nothing is
    written. The dataset appears complete or not at all.

    Args:
        source: Folder with CTs and masks, or a table of them (.csv).
        dataset_id: Number of the dataset, 1 to 999.
        raw: nnU-Net's folder of raw datasets. Default: the environment variable ``nnUNet_raw``.
        name: Part of the dataset's name after its number.
        seed: Seed of the split.
        split: Proportion of training, validation and test set, as ``"24/8/8"`` or ``(24, 8, 8)``.
        patients: Table with columns case and patient. Default: the case id determines the patient.
        test_ids: File that names the test cases. Default: the test set is part of the split.
        options: Options about the files of the source.
        jobs: Number of processes that convert cases. With more than 1, a script needs ``if __name__ == "__main__"``.
        report: CSV file for all findings. Default: ``findings_DatasetNNN_Name.csv`` in `raw` if there are errors.
        dry_run: Read and check everything, write nothing, and return the errors instead of raising them.
        shard: Convert one of several parts of the cases, such as ``"3/16"``, so that several machines share the work; a
            run without it converts what is missing, and writes the dataset.
        progress: Receives the progress.
        **settings: Single options by name, such as ``layout="pairs"`` or ``skip_bad=True``; the names are those of
            :class:`ConversionOptions`.

    Returns:
        The dataset's cases, findings, split and volumes.

    Raises:
        InputError: Files cannot be used, there are too few patients, or the dataset exists and must not be replaced.
        SetupError: The dataset cannot be written, or ``nnUNet_raw`` is not set.

    Example:
        >>> import nnunet_femur as nf
        >>> nf.convert("source", dataset_id=1, raw="nnUNet_raw", dry_run=True).usable
        True
        >>> result = nf.convert("source", dataset_id=1, raw="nnUNet_raw", layout="pairs")
        >>> result.folder.name, len(result.cases)
        ('Dataset001_Femur', 8)
        >>> nf.convert("source", dataset_id=1, raw="nnUNet_raw", layout="pairs").written
        ()
    """
    conversion = _Conversion(
        source=Path(source),
        dataset_id=dataset_id,
        raw=require("nnUNet_raw", create=not dry_run) if raw is None else Path(raw),
        name=name,
        seed=seed,
        options=replace(options or ConversionOptions(), **settings),
        parts=parse_parts(split if isinstance(split, str) else "/".join(map(str, split))),
        patients=None if patients is None else Path(patients),
        test_ids=None if test_ids is None else Path(test_ids),
        jobs=jobs,
        report=None if report is None else Path(report),
        shard=Shard.parse(shard),
        progress=progress,
    )
    return conversion.preview() if dry_run else conversion.run()


@dataclass(frozen=True, kw_only=True)
class _Conversion:
    """One conversion; the attributes are those of :func:`convert`."""

    source: Path
    dataset_id: int
    raw: Path
    name: str
    seed: int
    options: ConversionOptions
    parts: tuple[int, int, int]
    patients: Path | None
    test_ids: Path | None
    jobs: int
    report: Path | None
    shard: Shard | None
    progress: Progress

    def __post_init__(self) -> None:
        require_dataset_id(self.dataset_id)
        if not _SAFE_NAME.fullmatch(self.name):
            msg = f"name must consist of letters, digits, - and _, and start with a letter or digit, got {self.name!r}."
            raise InputError(msg, code="invalid-name")
        if self.jobs < 1:
            msg = f"jobs must be 1 or more, got {self.jobs}."
            raise InputError(msg, code="invalid-option")

    @property
    def target(self) -> Path:
        """Folder of the dataset."""
        return self.raw / f"Dataset{self.dataset_id:03d}_{self.name}"

    def run(self) -> ConversionResult:
        """Convert, continue an interrupted conversion, or do nothing if the dataset is up to date."""
        try:
            self.raw.mkdir(parents=True, exist_ok=True)
            with locked(self.target, self.shard):
                return self._reported(self._run() if self.shard is None else self._run_shard(self.shard))
        except OSError as error:
            msg = f"{error.filename or self.target}: {error.strerror}. Check its permissions and the free disk space."
            raise SetupError(msg, code="cannot-write") from error

    def preview(self) -> ConversionResult:
        """Read everything and return the result that a run would have; write nothing, not even the raw folder."""
        try:
            return self._reported(self._preview())
        except OSError as error:
            msg = f"{error.filename or self.source}: {error.strerror}. Check its permissions."
            raise SetupError(msg, code="unreadable") from error

    def _run_shard(self, shard: Shard) -> ConversionResult:
        found = self._found()
        result = convert_shard(found, self.target, shard, jobs=self.jobs, progress=self.progress)
        if not found.leaves_out:
            self._stop_at_errors(result.findings, "these cases of {} were not converted, the others of this part were:")
        self._failure_report.unlink(missing_ok=True)
        return result

    def _run(self) -> ConversionResult:
        recover(self.target)
        require_replaceable(self.target)
        found = self._found()
        headers = found.check_headers(self.progress)
        if found.leaves_out:
            found = found.without({case: one for case, one in headers.items() if errors_of(one)})
        else:
            of_headers = [*found.findings, *(one for case in headers.values() for one in case)]
            self._stop_at_errors(of_headers, "nothing was written to {}:", _READ_MORE)
        with naming_copies(found.findings):
            require_enough(found.members(), parts=self.parts)
        if (current := self._up_to_date(found)) is not None:
            remove_staging(self.target)
            self._failure_report.unlink(missing_ok=True)
            reused = [record.case for record in current.records]
            left_out = [*found.left_out, *(one.case for one in current.left_out)]
            return result_of(self.target, current, reused=reused, left_out=left_out)
        require_untouched(self.target)

        staging = Staging(self.target)
        done = self._converted(found.tasks(headers, staging))
        if found.leaves_out:
            found = found.without({one.case: one.findings for one in done if one.record is None}, read=True)
            require_enough(found.members(), parts=self.parts)
        else:
            of_bad = [one for case in done if case.record is None for one in case.findings]
            self._stop_at_errors(of_bad, "{} was not written; the converted cases are kept for the next run:")
        records = [one.record for one in done if one.record is not None]
        dataset = self._described(found, records)
        staging.publish(records, dataset.records, dataset.texts())
        self._failure_report.unlink(missing_ok=True)
        usable = [one for one in done if one.record is not None]
        return result_of(
            self.target,
            dataset,
            written=[one.case for one in usable if not one.reused],
            reused=[one.case for one in usable if one.reused],
            left_out=found.left_out,
        )

    def _preview(self) -> ConversionResult:
        if self.raw.is_dir():
            require_replaceable(self.target)
        found = self._found()
        headers = found.check_headers(self.progress)
        # The voxels of a case with errors in its headers are not read.
        read = {one.case: one for one in self._converted(found.tasks(headers))}
        of_case = {case: read[case].findings if case in read else one for case, one in headers.items()}
        if found.leaves_out:
            found = found.without({case: one for case, one in of_case.items() if errors_of(one)}, read=True)
        findings = [*found.findings, *(one for case in found.cases for one in of_case[case.id])]
        dataset = None
        if not errors_of(findings):
            try:
                require_enough(found.members(), parts=self.parts)
                dataset = self._described(found, [one.record for one in read.values() if one.record is not None])
                findings += [one for one in dataset.findings if one not in findings]
            except SplitError as error:
                findings.append(finding("split", self.source.name, error.problem, error.remedy.partition("\n")[0]))
        return result_of(self.target, dataset, findings=findings, left_out=found.left_out, dry_run=True)

    def _found(self) -> SourceCases:
        return SourceCases.find(
            self.source, self.options, patients=self.patients, test_ids=self.test_ids, progress=self.progress
        )

    def _converted(self, tasks: Sequence[Task]) -> list[Done]:
        running = each(convert_case, tasks, jobs=self.jobs, crashed=crashed)
        done = track(running, "Converting", len(tasks), progress=self.progress)
        ordered = [one for _, one in sorted(done, key=lambda numbered: numbered[0])]
        read = [one.record for one in ordered if one.record is not None]
        errors = same_voxels([task.case for task in tasks], read).errors
        return [one.refused(errors[one.case]) if one.case in errors else one for one in ordered]

    def _described(self, found: SourceCases, records: Sequence[CaseRecord]) -> DatasetDescription:
        """Return the description of the dataset: patients, split and final places of the files."""
        twice = same_voxels(found.cases, records)
        # Copies of files were found before their voxels were read.
        known = {(one.code, one.file) for one in found.findings}
        more = (one for one in twice.warnings if (one.code, one.file) not in known)
        found = replace(found, cases=twice.cases, findings=(*found.findings, *more))
        with naming_copies(twice.warnings):
            parts = split_cases(found.members(records), seed=self.seed, parts=self.parts)
        return DatasetDescription(
            cases={case.id: case for case in found.cases},
            patients=shown_patients(found.cases),
            records=[record.moved(**place(record.case, parts.set_of[record.case])) for record in records],
            split=parts,
            options=self._recorded_options(),
            findings=found.findings,
            left_out=found.left_out_records,
        )

    def _recorded_options(self) -> dict[str, Any]:
        parts = "/".join(map(str, self.parts))
        return {"name": self.name, "seed": self.seed, "split": parts, **self.options.as_json()}

    def _up_to_date(self, found: SourceCases) -> DatasetDescription | None:
        """Return the existing dataset if converting would give the same; sources are hashed only if necessary."""
        record = DatasetRecord.read(self.target)
        if record is None:
            return None
        earlier = {case.case: case for case in record.cases}
        left_out = {case.case: case for case in record.left_out}
        if list(earlier) != [case.id for case in found.cases if case.id not in left_out]:
            return None
        for case in track(found.cases, "Comparing", progress=self.progress):
            sources = sources_of(found.root, case)
            if case.id in left_out:
                if not left_out[case.id].is_current(sources, found.made_with):
                    return None
            elif not earlier[case.id].is_current(case.side, sources, found.made_with):
                return None
        again = {case: left_out[case].findings for case in left_out if case in {one.id for one in found.cases}}
        dataset = self._described(found.without(again, read=True), record.cases)
        files_there = all((self.target / name).is_file() for name in record.written_files())
        return dataset if files_there and record.is_current(dataset.record()) else None

    @property
    def _failure_report(self) -> Path:
        part = "" if self.shard is None else f".{self.shard}"
        return self.raw / f"findings_{self.target.name}{part}.csv"

    def _reported(self, result: ConversionResult) -> ConversionResult:
        if self.report is not None:
            write_findings(result.findings, self.report)
        return result

    def _stop_at_errors(self, findings: Sequence[Finding], outcome: str, more: str = "") -> None:
        if errors_of(findings):
            report = self.report or self._failure_report
            write_findings(findings, report)
            listed = f"All findings are in {report}."
            stop_at_errors(findings, self.source, outcome=outcome.format(self.target.name), more=f"{more}{listed}")
