"""What a dataset says about itself: dataset.json, splits_final.json, cases.csv and conversion.json.

None of them holds a time or a path of the machine, so that the same input gives the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from nnunet_femur.conversion.voxels import ORIENTATION
from nnunet_femur.findings import Finding
from nnunet_femur.imaging.geometry import GRID_TOLERANCE_VOXELS
from nnunet_femur.records import read_json
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nnunet_femur.conversion.cases import Case
    from nnunet_femur.conversion.options import IntakeOptions
    from nnunet_femur.conversion.splits import Split

FILE_ENDING = ".nrrd"
"""Ending of every volume of the dataset."""

COLUMNS = (
    *("case", "patient", "side", "source_image", "source_mask", "set", "fold"),
    *("size", "spacing_mm", "volume_ml", "notes"),
)
"""Columns of cases.csv. Sizes and spacings are x y z of the written volume, in voxels and mm."""

RECORD_FILE = "conversion.json"
"""Name of the dataset's record."""

_MADE_BY = "nnunet_femur"

_FINDS_FILES = ("skip_bad", "layout", "images_folder", "masks_folder", "id_pattern", "min_volume_ml")
"""Options that decide which files make a case, but nothing about what is written of them."""


def versions() -> dict[str, str]:
    """Versions of everything that decides about the bytes of a written volume."""
    import numpy as np
    import SimpleITK as sitk
    from isal import __version__ as isal_version

    libraries = {"SimpleITK": sitk.Version.VersionString(), "numpy": np.__version__, "isal": isal_version}
    return {_MADE_BY: __version__, **libraries}


def made_with(options: IntakeOptions) -> dict[str, Any]:
    """Everything besides its sources that decides about the bytes of a written case."""
    return _made_with(versions(), options.as_json())


def _made_with(versions_of: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    ignored = (*_FINDS_FILES, "name", "seed", "split")
    return {"versions": versions_of, "options": {key: options[key] for key in sorted(options) if key not in ignored}}


@dataclass(frozen=True)
class CaseRecord:
    """What is known of a case that was read and, but in a dry run, written.

    Attributes:
        case: Its id.
        side: "left", "right", "both" or "unknown".
        sources: File and SHA-256 of each source: "image", "mask", and "mask1", ... where there are several.
        made_with: What else decided about its files, as :func:`made_with` tells.
        image: The written CT, relative to the dataset.
        image_sha256: Its content.
        mask: The written mask, relative to the dataset.
        mask_sha256: Its content.
        size_xyz: Voxels along x, y, z as written.
        spacing_mm_xyz: Their distances in mm.
        volume_ml: Volume of the femur in millilitres.
        stored: The geometry of the source CT, which is the way back from the written one.
        findings: What was found in the case's files.
        contents: Digests of the voxels of "image" and "mask" as written, by which equal exams are found; empty in
            records of older versions.
    """

    case: str
    side: str
    sources: dict[str, dict[str, str]]
    made_with: dict[str, Any]
    image: str
    image_sha256: str
    mask: str
    mask_sha256: str
    size_xyz: tuple[int, ...]
    spacing_mm_xyz: tuple[float, ...]
    volume_ml: float
    stored: dict[str, Any]
    findings: tuple[Finding, ...]
    contents: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> CaseRecord | None:
        """The record in a JSON file; None if there is none that this version understands."""
        try:
            return cls.from_json(read_json(path))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def moved(self, *, image: str, mask: str) -> CaseRecord:
        """The same record with other places of the two written files."""
        return replace(self, image=image, mask=mask)

    def as_json(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return asdict(self) | {"findings": [finding.as_json() for finding in self.findings]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CaseRecord:
        """The record that :meth:`as_json` gave; other keys are ignored."""
        content = {"contents": {}} | content
        known = {one.name: content[one.name] for one in fields(cls)}
        known["size_xyz"] = tuple(known["size_xyz"])
        known["spacing_mm_xyz"] = tuple(known["spacing_mm_xyz"])
        known["findings"] = tuple(Finding.from_json(finding) for finding in known["findings"])
        return cls(**known)


@dataclass(frozen=True)
class LeftOut:
    """A case that was left out because of what its voxels showed.

    Attributes:
        case: Its id.
        sources: File and SHA-256 of each source, as in :class:`CaseRecord`.
        made_with: What else decided about it, as :func:`made_with` returns it.
        findings: What was found in its files, errors included.
    """

    case: str
    sources: dict[str, dict[str, str]]
    made_with: dict[str, Any]
    findings: tuple[Finding, ...]

    def matches(self, sources: dict[str, dict[str, str]], made_with: dict[str, Any]) -> bool:
        """Return True if reading the case now would find the same.

        What depends on other cases, such as a CT that another case has too, has to be looked at again.
        """
        alone = all(found.code != "ct-twice" for found in self.findings)
        return alone and self.sources == sources and self.made_with == made_with

    def as_json(self) -> dict[str, Any]:
        """The record as a JSON object; what it was made with is stored once for the dataset."""
        findings = [finding.as_json() for finding in self.findings]
        return {"case": self.case, "sources": self.sources, "findings": findings}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LeftOut:
        """Return the record that :meth:`as_json` gave."""
        findings = tuple(Finding.from_json(finding) for finding in content["findings"])
        return cls(content["case"], content["sources"], content["made_with"], findings)


@dataclass(frozen=True)
class DatasetRecord:
    """The content of a dataset's conversion.json.

    Attributes:
        options: What the conversion was asked for.
        versions: What it was made with.
        findings: What was found that belongs to no case.
        cases: One record per case.
        counts: Number of cases per set and side.
        files: SHA-256 of the written files that belong to no case.
        left_out: Cases that were left out because of what their voxels showed.
    """

    options: dict[str, Any]
    versions: dict[str, str]
    findings: tuple[Finding, ...]
    cases: tuple[CaseRecord, ...]
    counts: dict[str, dict[str, int]]
    files: dict[str, str]
    left_out: tuple[LeftOut, ...] = ()

    def written_files(self) -> dict[str, str]:
        """Every file of the dataset but conversion.json itself, relative to it, and its SHA-256."""
        volumes = {case.image: case.image_sha256 for case in self.cases}
        return volumes | {case.mask: case.mask_sha256 for case in self.cases} | self.files

    def all_findings(self) -> list[Finding]:
        """The findings of the dataset and of every case."""
        return [*self.findings, *(finding for case in self.cases for finding in case.findings)]


def record_file(folder: Path) -> Path:
    """Where a dataset's record stands."""
    return folder / RECORD_FILE


def read_record(folder: Path) -> DatasetRecord | None:
    """The record of a dataset; None if this package has not made it."""
    content = read_json(record_file(folder))
    try:
        if content["made_by"] != _MADE_BY:
            return None
        how = {"made_with": _made_with(content["versions"], content["options"])}
        return DatasetRecord(
            content["options"],
            content["versions"],
            tuple(Finding.from_json(finding) for finding in content["findings"]),
            tuple(CaseRecord.from_json(case | how) for case in content["cases"]),
            content["counts"],
            content["files"],
            tuple(LeftOut.from_json(case | how) for case in content.get("left_out", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def place(case: str, set_name: str) -> dict[str, str]:
    """Where nnU-Net expects the image and the mask of a case, relative to the dataset."""
    suffix = "Ts" if set_name == "test" else "Tr"
    return {"image": f"images{suffix}/{case}_0000{FILE_ENDING}", "mask": f"labels{suffix}/{case}{FILE_ENDING}"}


@dataclass(frozen=True)
class Described:
    """A dataset that is ready to be described.

    Attributes:
        cases: The cases, by id.
        patients: By what name each patient is called in the dataset.
        records: The record of each case, its files where they belong.
        split: Who is in which set and fold.
        options: What the conversion was asked for.
        findings: What was found that belongs to no case.
        left_out: Cases that were left out because of what their voxels showed.
    """

    cases: dict[str, Case]
    patients: dict[str, str]
    records: Sequence[CaseRecord]
    split: Split
    options: dict[str, Any]
    findings: Sequence[Finding]
    left_out: Sequence[LeftOut] = ()

    def record(self) -> DatasetRecord:
        """What conversion.json tells."""
        sides = sorted({case.side for case in self.cases.values()})
        counts = {
            name: {side: sum(self.cases[case].side == side for case in members) for side in sides}
            for name, members in self.split.sets.items()
        }
        files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self._tables().items()}
        return DatasetRecord(
            self.options, versions(), tuple(self.findings), tuple(self.records), counts, files, tuple(self.left_out)
        )

    def texts(self) -> dict[str, str]:
        """The files that describe the dataset, by name; conversion.json is the last."""
        return self._tables() | {RECORD_FILE: _json_text(self._conversion())}

    def _tables(self) -> dict[str, str]:
        dataset = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "femur": 1},
            "numTraining": len(self.split.fold_of),
            "file_ending": FILE_ENDING,
            # Turns a CT of any orientation to RAS for the network and its prediction back.
            "overwrite_image_reader_writer": "SimpleITKIOWithReorient",
        }
        return {
            "dataset.json": _json_text(dataset),
            "splits_final.json": _json_text(self.split.as_nnunet()),
            "cases.csv": self._table(),
        }

    def _table(self) -> str:
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
                    "; ".join(_note(finding) for finding in record.findings),
                )
            )
        return table.getvalue()

    def _conversion(self) -> dict[str, Any]:
        record = self.record()
        described = []
        for entry in record.cases:
            case = self.cases[entry.case]
            whose = {"case": case.id, "patient": self.patients[case.patient], "side": case.side}
            where = {"set": self.split.set_of[case.id], "fold": self.split.fold_of.get(case.id)}
            content = entry.as_json()
            del content["made_with"]  # the same for all, and said once
            described.append(whose | where | content)
        return {
            "made_by": _MADE_BY,
            "versions": record.versions,
            "options": record.options,
            "decisions": {
                "image": "int16 HU, rounded and clipped where the source is not",
                "mask": "uint8: 1 where the source says femur, else 0",
                "orientation": ORIENTATION,
                "grid": f"a mask within {GRID_TOLERANCE_VOXELS:g} voxels of its image takes the image's geometry",
                "split": "whole patients; sides and thirds by femur volume in every set and fold",
            },
            "counts": record.counts,
            "findings": [finding.as_json() for finding in record.findings],
            "files": record.files,
            "cases": described,
            **({"left_out": [case.as_json() for case in record.left_out]} if record.left_out else {}),
        }


def _note(finding: Finding) -> str:
    said = f"{finding.code} ({finding.severity.value}): {finding.problem} {finding.remedy}"
    return said.strip()


def _json_text(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
