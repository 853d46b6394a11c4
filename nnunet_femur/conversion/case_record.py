"""Records of single cases: their sources, settings, written files and findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from nnunet_femur.findings import Finding
from nnunet_femur.records import Provenance, read_json
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from nnunet_femur.conversion.options import ConversionOptions

Sources = dict[str, dict[str, str]]
"""Relative path ("file") and checksum ("sha256") of each source of a case: "image", "mask", "mask1", ..."""

PACKAGE = "nnunet_femur"
"""Name of this package in records."""

_FINDS_FILES = ("skip_bad", "layout", "images_folder", "masks_folder", "id_pattern", "min_volume_ml")
"""Options that decide which files are a case, but do not change the written volumes."""

_OF_THE_DATASET = ("name", "seed", "split")
"""Options of a dataset's record that do not change the written volumes."""


def versions() -> dict[str, str]:
    """Return the versions of all software that determines the bytes of a written volume."""
    import numpy as np
    import SimpleITK as sitk
    from isal import __version__ as isal_version

    libraries = {"SimpleITK": sitk.Version.VersionString(), "numpy": np.__version__, "isal": isal_version}
    return {PACKAGE: __version__, **libraries}


def made_with(options: ConversionOptions) -> dict[str, Any]:
    """Return everything besides the sources that determines the bytes of a written case."""
    return settings_of(versions(), options.as_json())


def settings_of(versions_of: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`made_with` returned for a dataset with these versions and options in its record."""
    ignored = (*_FINDS_FILES, *_OF_THE_DATASET)
    return {"versions": versions_of, "options": {key: options[key] for key in sorted(options) if key not in ignored}}


@dataclass(frozen=True)
class CaseRecord:
    """Record of a case that was read and, except in a dry run, written.

    Attributes:
        case: Id of the case.
        side: "left", "right", "both" or "unknown".
        sources: Path and checksum of each source.
        made_with: The settings, as :func:`made_with` returns them.
        image: The written CT, relative to the dataset.
        image_sha256: Checksum of the CT.
        mask: The written mask, relative to the dataset.
        mask_sha256: Checksum of the mask.
        size_xyz: Number of voxels along x, y, z, as written.
        spacing_mm_xyz: Spacing along x, y, z in mm, as written.
        volume_ml: Volume of the femur in millilitres.
        stored: Geometry of the source CT, from which the original orientation can be restored.
        findings: Findings about the files of the case.
        contents: Digests of the written voxels of "image" and "mask", by which equal exams are found; empty in records
            of older versions.
    """

    case: str
    side: str
    sources: Sources
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
        """Return the record in a JSON file, or None if this version cannot read it."""
        try:
            return cls.from_json(read_json(path))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CaseRecord:
        """Return the record that :meth:`as_json` wrote; other keys are ignored."""
        content = {"contents": {}} | content
        known = {one.name: content[one.name] for one in fields(cls)}
        known["size_xyz"] = tuple(known["size_xyz"])
        known["spacing_mm_xyz"] = tuple(known["spacing_mm_xyz"])
        known["findings"] = tuple(Finding.from_json(finding) for finding in known["findings"])
        return cls(**known)

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return asdict(self) | {"findings": [finding.as_json() for finding in self.findings]}

    def moved(self, *, image: str, mask: str) -> CaseRecord:
        """Return the record with other places of the two written files."""
        return replace(self, image=image, mask=mask)

    def is_current(self, side: str, sources: Sources, made_with: dict[str, Any]) -> bool:
        """Return True if converting the case now would write the same volumes."""
        made = Provenance(settings=[self.side, self.made_with], inputs=self.sources)
        return made.is_current(settings=[side, made_with], inputs=sources)


@dataclass(frozen=True)
class LeftOut:
    """Record of a case that was left out because of its voxels.

    Attributes:
        case: Id of the case.
        sources: Path and checksum of each source.
        made_with: The settings, as :func:`made_with` returns them.
        findings: Findings about the files of the case, errors among them.
    """

    case: str
    sources: Sources
    made_with: dict[str, Any]
    findings: tuple[Finding, ...]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LeftOut:
        """Return the record that :meth:`as_json` wrote, with the settings added as "made_with"."""
        findings = tuple(Finding.from_json(finding) for finding in content["findings"])
        return cls(content["case"], content["sources"], content["made_with"], findings)

    def as_json(self) -> dict[str, Any]:
        """Return the record as a JSON object, without the settings, which are stored once for the dataset."""
        findings = [finding.as_json() for finding in self.findings]
        return {"case": self.case, "sources": self.sources, "findings": findings}

    def is_current(self, sources: Sources, made_with: dict[str, Any]) -> bool:
        """Return True if reading the case now would give the same findings.

        A finding that depends on other cases, such as a CT that another case contains too, is never current.
        """
        alone = all(found.code != "ct-twice" for found in self.findings)
        made = Provenance(settings=self.made_with, inputs=self.sources)
        return alone and made.is_current(settings=made_with, inputs=sources)
