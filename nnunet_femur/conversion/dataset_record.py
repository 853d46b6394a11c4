"""Files that describe a dataset: dataset.json, splits_final.json, cases.csv and conversion.json.

None of them contains a time or a path of the machine, so that the same input gives the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.case_record import PACKAGE, CaseRecord, LeftOut, settings_of, versions
from nnunet_femur.conversion.cases import TEST
from nnunet_femur.dataset.folds import SPLITS_FILE
from nnunet_femur.dataset.nnunet_names import READER_WITH_REORIENT
from nnunet_femur.dataset.raw import CASES_CSV, DATASET_JSON, FILE_ENDING, image_file, mask_file
from nnunet_femur.findings import Finding
from nnunet_femur.imaging.geometry import GRID_TOLERANCE_VOXELS
from nnunet_femur.records import Provenance, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.splits import Split
    from nnunet_femur.dataset.raw import Part

COLUMNS = (
    *("case", "patient", "side", "source_image", "source_mask", "set", "fold"),
    *("size", "spacing_mm", "volume_ml", "notes"),
)
"""Columns of cases.csv. Sizes (voxels) and spacings (mm) are those of the written volume, in the order x y z."""

RECORD_FILE = "conversion.json"
"""Name of the dataset's record."""

ORIENTATION = "RAS"
"""Orientation of all written volumes, the one that TotalSegmentator's networks were trained in."""


@dataclass(frozen=True)
class DatasetRecord:
    """Content of a dataset's conversion.json.

    Attributes:
        options: Options of the conversion.
        versions: Versions of the software.
        findings: Findings that belong to no case.
        cases: One record per case.
        assigned: Patient, set and fold of each case.
        counts: Number of cases by set and side.
        files: SHA-256 of the written files that belong to no case.
        left_out: Cases that were left out because of their voxels.
        given_sets: Number of cases whose set the source gave.
        updates: Cases that were added or replaced after the conversion, an entry for each update.
    """

    options: dict[str, Any]
    versions: dict[str, str]
    findings: tuple[Finding, ...]
    cases: tuple[CaseRecord, ...]
    assigned: dict[str, list[Any]]
    counts: dict[str, dict[str, int]]
    files: dict[str, str]
    left_out: tuple[LeftOut, ...] = ()
    given_sets: int = 0
    updates: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, folder: Path) -> DatasetRecord | None:
        """Return the record of a dataset, or None if the dataset was not written by this package."""
        content = read_json(folder / RECORD_FILE)
        try:
            if content["made_by"] != PACKAGE:
                return None
            how = {"made_with": settings_of(content["versions"], content["options"])}
            return cls(
                options=content["options"],
                versions=content["versions"],
                findings=tuple(Finding.from_json(finding) for finding in content["findings"]),
                # A case of an update may have settings of its own.
                cases=tuple(CaseRecord.from_json(how | case) for case in content["cases"]),
                assigned={case["case"]: [case["patient"], case["set"], case["fold"]] for case in content["cases"]},
                counts=content["counts"],
                files=content["files"],
                left_out=tuple(LeftOut.from_json(case | how) for case in content.get("left_out", ())),
                given_sets=content.get("given_sets", 0),
                updates=tuple(content.get("updates", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def written_files(self) -> dict[str, str]:
        """Return the SHA-256 of every file of the dataset except conversion.json, by its path in the dataset."""
        volumes = {case.image: case.image_sha256 for case in self.cases}
        return volumes | {case.mask: case.mask_sha256 for case in self.cases} | self.files

    def all_findings(self) -> list[Finding]:
        """Return the findings of the dataset, then those of every case."""
        return [*self.findings, *(finding for case in self.cases for finding in case.findings)]

    def is_current(self, other: DatasetRecord) -> bool:
        """Return True if a dataset with the record `other` would be the same, whatever the wording of its findings."""
        mine, others = self._provenance(), other._provenance()
        return mine.is_current(settings=others.settings, inputs=others.inputs)

    def _provenance(self) -> Provenance:
        """Return everything that determines the dataset, without the wording of its findings."""
        findings = sorted((found.code, found.severity.value, found.file) for found in self.findings)
        return Provenance(
            settings={
                "options": self.options,
                "versions": self.versions,
                "assigned": self.assigned,
                "sides": [case.side for case in self.cases],
                "findings": findings,
                "left out": [case.case for case in self.left_out],
            },
            inputs={
                **{case.case: case.sources for case in self.cases},
                **{case.case: case.sources for case in self.left_out},
            },
        )


@dataclass(frozen=True)
class DatasetDescription:
    """A dataset whose cases, split and findings are known, so that its describing files can be written.

    Attributes:
        cases: The cases, by id.
        patients: Name of each patient in the dataset.
        records: The record of each case, with the final places of its files.
        split: The cases of each set and fold.
        options: Options of the conversion.
        findings: Findings that belong to no case.
        left_out: Cases that were left out because of their voxels.
        given_sets: Number of cases whose set the source gave; None to count them.
        updates: Cases that were added or replaced after the conversion, an entry for each update.
    """

    cases: dict[str, Case]
    patients: dict[str, str]
    records: Sequence[CaseRecord]
    split: Split
    options: dict[str, Any]
    findings: Sequence[Finding]
    left_out: Sequence[LeftOut] = ()
    given_sets: int | None = None
    updates: Sequence[dict[str, Any]] = ()

    def record(self) -> DatasetRecord:
        """Return the content of conversion.json."""
        sides = sorted({case.side for case in self.cases.values()})
        return DatasetRecord(
            options=self.options,
            versions=versions(),
            findings=tuple(self.findings),
            cases=tuple(self.records),
            assigned={
                one.case: [
                    self.patients[self.cases[one.case].patient],
                    self.split.set_of[one.case],
                    self.split.fold_of.get(one.case),
                ]
                for one in self.records
            },
            counts={
                name: {side: sum(self.cases[case].side == side for case in members) for side in sides}
                for name, members in self.split.sets.items()
            },
            files={name: hashlib.sha256(text.encode()).hexdigest() for name, text in self._tables().items()},
            left_out=tuple(self.left_out),
            # Number of cases whose set the source or a list of test cases gives.
            given_sets=(
                sum(bool(self.cases[one.case].set) for one in self.records)
                if self.given_sets is None
                else self.given_sets
            ),
            updates=tuple(self.updates),
        )

    def texts(self) -> dict[str, str]:
        """Return the content of the files that describe the dataset, by name; conversion.json is the last."""
        return self._tables() | {RECORD_FILE: _json_text(self._conversion())}

    def _tables(self) -> dict[str, str]:
        """Return the content of dataset.json, splits_final.json and cases.csv, by name."""
        dataset = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "femur": 1},
            "numTraining": len(self.split.fold_of),
            "file_ending": FILE_ENDING,
            # Reorients a CT of any orientation to RAS for the network, and the prediction back.
            "overwrite_image_reader_writer": READER_WITH_REORIENT,
        }
        return {
            DATASET_JSON: _json_text(dataset),
            SPLITS_FILE: _json_text(self.split.as_nnunet()),
            CASES_CSV: self._table(),
        }

    def _table(self) -> str:
        """Return the content of cases.csv."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for record in self.records:
            case = self.cases[record.case]
            masks = ";".join(mask.as_posix() for mask in case.masks)
            writer.writerow(
                (
                    *(case.id, self.patients[case.patient], case.side, case.image.as_posix(), masks),
                    *(self.split.set_of[case.id], self.split.fold_of.get(case.id, "")),
                    " ".join(map(str, record.size_xyz)),
                    " ".join(f"{spacing:.9g}" for spacing in record.spacing_mm_xyz),
                    f"{record.volume_ml:.3f}",
                    _notes(record.findings),
                )
            )
        return table.getvalue()

    def _conversion(self) -> dict[str, Any]:
        """Return the content of conversion.json."""
        record = self.record()
        made_with = settings_of(record.versions, record.options)
        described = []
        for entry in record.cases:
            patient, set_name, fold = record.assigned[entry.case]
            content = entry.as_json()
            if content["made_with"] == made_with:
                del content["made_with"]  # the same for all cases of a conversion, and stored once
            described.append(
                {"case": entry.case, "patient": patient, "side": entry.side, "set": set_name, "fold": fold} | content
            )
        return {
            "made_by": PACKAGE,
            "versions": record.versions,
            "options": record.options,
            "decisions": {
                "image": "int16 HU; other values are rounded and clipped",
                "mask": "uint8: 1 for femur, 0 elsewhere",
                "orientation": ORIENTATION,
                "grid": f"a mask within {GRID_TOLERANCE_VOXELS:g} voxels of its image gets the geometry of the image",
                "split": "whole patients; sides and thirds by femur volume are balanced in every set and fold",
            },
            "counts": record.counts,
            "given_sets": record.given_sets,
            "findings": [finding.as_json() for finding in record.findings],
            "files": record.files,
            "cases": described,
            **({"left_out": [case.as_json() for case in record.left_out]} if record.left_out else {}),
            **({"updates": list(record.updates)} if record.updates else {}),
        }


def place(case: str, set_name: str) -> dict[str, str]:
    """Return the places that nnU-Net expects for the image and the mask of a case, relative to the dataset."""
    part: Part = "test" if set_name == TEST else "training"
    return {"image": image_file(case, part), "mask": mask_file(case, part)}


def _notes(findings: Iterable[Finding]) -> str:
    return "; ".join(
        f"{found.code} ({found.severity.value}): {found.problem} {found.remedy}".strip() for found in findings
    )


def _json_text(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
