"""Check DICOM files by dicom-validator, with the tables of the standard that highdicom contains.

dicom-validator downloads its own tables. Those of highdicom have the same attributes and types, without the conditions
of conditional ones.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from dicom_validator.validator.dicom_info import DicomInfo
from dicom_validator.validator.iod_validator import IODValidator
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.tag import Tag

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}
_FRAMES = [{"keyword": name, "type": "1", "path": []} for name in ("NumberOfFrames", *_GROUPS)]
"""Attributes of all multi-frame files, which highdicom's tables of a module with functional groups lack."""


def problems(made: Dataset) -> dict[str, list[str]]:
    """Return the attributes that are missing, empty or not part of the standard, by module.

    The content of functional groups is left out: highdicom's tables do not tell groups of a frame from shared ones.
    """
    found = IODValidator(made, _tables(str(made.SOPClassUID))).validate()
    return {module: [str(tag) for tag in errors] for module, errors in found.module_errors.items()}


@cache
def _tables(sop_class: str) -> DicomInfo:
    iod = get_sop_class_iod_map()[sop_class]
    modules = {each["key"]: {"ref": each["key"], "use": each["usage"]} for each in get_iod_module_map()[iod]}
    attributes = get_module_attribute_map()
    dictionary = {_tag(tag): {"name": each[2], "vr": each[0], "vm": each[1]} for tag, each in DicomDictionary.items()}
    return DicomInfo(
        dictionary,
        {sop_class: {"title": iod, "modules": modules, "group_macros": {}}},
        {key: _module([*attributes[key], *(_FRAMES if "functional-groups" in key else ())]) for key in modules},
    )


def _module(rows: list[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for row in rows:
        names = {*row["path"], row["keyword"]}
        if any(tag_for_keyword(name) is None for name in names) or _GROUPS & set(row["path"]):
            continue
        items = made
        for name in row["path"]:
            items = items.setdefault(_tag(name), {"name": name, "type": "3"}).setdefault("items", {})
        kind = row["type"] if row["type"] in ("1", "2") else "3"
        items.setdefault(_tag(row["keyword"]), {}).update(name=row["keyword"], type=kind)
    return made


def _tag(name: str | int) -> str:
    tag = Tag(name)
    return f"({tag.group:04X},{tag.element:04X})"
