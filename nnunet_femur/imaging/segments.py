"""The segments of a segmentation (3D Slicer's .seg.nrrd, DICOM SEG), and the choice of those that are femur.

Each segment has a layer and a value in that layer; segments that overlap are in different layers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding

_FIELD = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")
_WORD = re.compile(r"[^\W\d_]+")
_FEMUR = {"femur", "femurs", "femora"}

_OF_THE_BONE = (
    _FEMUR
    | {"l", "r", "left", "right", "lt", "rt", "sin", "sinister", "dex", "dexter", "both", "bilateral"}
    | {"bone", "whole", "full", "total", "mask", "label", "seg", "segmentation", "segment", "gs", "gt", "manual"}
    | {"head", "neck", "shaft", "proximal", "distal", "trochanter", "condyle", "condyles", "diaphysis", "epiphysis"}
    | {"metaphysis", "cortex", "cortical", "trabecular", "cancellous", "marrow", "medial", "lateral", "greater"}
    | {"lesser", "final", "the", "of", "and"}
)
"""Words that a segment's name may contain beside "femur" if the segment is the bone or a part of it."""

_BESIDE_THE_BONE = (
    {"implant", "implants", "prosthesis", "stem", "cup", "cement", "nail", "screw", "screws", "plate", "wire", "metal"}
    | {"cartilage", "artery", "vein", "vessel", "vessels", "nerve", "muscle", "muscles", "fat", "skin", "ligament"}
    | {"tumor", "tumour", "lesion", "background", "no", "not", "without", "outside"}
)
"""Words in the name of a segment that is not the bone itself."""

_MOST_NAMES = 8


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        name: Its name, as the user wrote it in 3D Slicer.
        value: Its value in its layer.
        layer: The layer it is in, from 0.
    """

    name: str
    value: int
    layer: int


def parse_segments(fields: Mapping[str, str], components: int) -> tuple[Segment, ...]:
    """The segments that a header names, in its order; none for a volume that is no segmentation.

    Old versions of 3D Slicer wrote neither values nor layers: every segment was a layer of its own with the value 1.

    Args:
        fields: The header's fields by name.
        components: Number of layers.
    """
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for key, value in fields.items():
        match = _FIELD.fullmatch(key)
        if match:
            found[int(match[1])][match[2]] = value.strip()
    segments = []
    for number, field in sorted(found.items()):
        value, layer = field.get("LabelValue", "1"), field.get("Layer", str(number if components > 1 else 0))
        if value.isdecimal() and int(value) > 0 and layer.isdecimal() and int(layer) < components:
            segments.append(Segment(field.get("Name", f"Segment{number}"), int(value), int(layer)))
    return tuple(segments)


def choose_segments(segments: Sequence[Segment], wanted: Sequence[str]) -> tuple[Segment, ...]:
    """Return the segments that are femur; empty if that is unknown.

    Args:
        segments: All there are.
        wanted: Names asked for, in upper or lower case: a segment is meant that is called so, or else any that has
            the name as a word in its own, but not an implant or a cartilage beside it. Without names: the only
            segment, or those called femur with no other words than sides and parts of the bone ("Left femur", "Femur
            head", not "Femur implant"). Without such a segment, the only one that has the word femur beside unknown
            words.
    """
    if wanted:
        chosen: list[Segment] = []
        for name in wanted:
            exact = [each for each in segments if each.name.casefold() == name.casefold()]
            chosen += exact or _with_word(segments, name)
        return tuple(each for each in segments if each in chosen)
    if len(segments) == 1:
        return tuple(segments)
    femurs = named_femur(segments)
    clear = tuple(each for each in femurs if _words(each.name) <= _OF_THE_BONE)
    possible = tuple(each for each in femurs if not _words(each.name) & _BESIDE_THE_BONE)
    return clear or (possible if len(possible) == 1 else ())


def named_femur(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments whose name has the word femur, whatever else it has."""
    return tuple(each for each in segments if _words(each.name) & _FEMUR)


def femur_segments(
    segments: Sequence[Segment], wanted: Sequence[str], file: Path
) -> tuple[tuple[Segment, ...], list[Finding]]:
    """Return the segments that are femur, and what was chosen or why that is unknown.

    Args:
        segments: All there are; none for a mask that is no segmentation.
        wanted: Names asked for, as in :func:`choose_segments`.
        file: The segmentation, for the findings.
    """
    if not segments:
        return (), []
    chosen = choose_segments(segments, wanted)
    count = len(segments)
    if not chosen and not wanted and (unclear := named_femur(segments)):
        problem = f"has {count} segments; it is not known which of these are femur: {_names(unclear)}."
        return (), [finding("segments-unclear", file, problem)]
    if not chosen:
        called = " or ".join(wanted) or "femur"
        problem = f"has {count} segments ({_names(segments)}), none of which is called {called}."
        return (), [finding("segment-missing", file, problem)]
    if len(chosen) == count == 1:
        return chosen, []
    others = [segment for segment in segments if segment not in chosen]
    left_out = f"; left out: {_names(others)}" if others else ""
    taken = f"taken as femur{' and joined' if len(chosen) > 1 else ''}: {_names(chosen)}"
    return chosen, [finding("segments-chosen", file, f"has {count} segments; {taken}{left_out}.")]


def _names(segments: Sequence[Segment]) -> str:
    shown = ", ".join(each.name for each in segments[:_MOST_NAMES])
    return shown if len(segments) <= _MOST_NAMES else f"{shown} and {len(segments) - _MOST_NAMES} more"


def _with_word(segments: Sequence[Segment], name: str) -> list[Segment]:
    word = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)
    found = [each for each in segments if word.search(each.name)]
    bone = [each for each in found if not (_words(each.name) - _words(name)) & _BESIDE_THE_BONE]
    return bone or found


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(name)}


def join_segments(values: NDArray, segments: Sequence[Segment]) -> NDArray[np.bool_]:
    """Return a mask of the voxels in any of the segments.

    Args:
        values: The voxels, z, y, x, and the layers as the last axis if there are several.
        segments: The segments to join.
    """
    layers = values if values.ndim == 4 else values[..., np.newaxis]
    femur = np.zeros(layers.shape[:3], bool)
    for segment in segments:
        femur |= layers[..., segment.layer] == segment.value
    return femur
