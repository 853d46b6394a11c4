"""Choose the femur among the segments of a segmentation: 3D Slicer's ``.seg.nrrd``, or a DICOM SEG."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.sides import SIDE_OF_WORD, SIDE_WORDS, UNKNOWN
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding


_FIELD = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")

_WORD = re.compile(r"[^\W\d_]+")

_FEMUR_WORDS = {"femur", "femurs", "femora"}

_BONE_WORDS = (
    _FEMUR_WORDS
    | SIDE_WORDS
    | {"bone", "whole", "full", "total", "mask", "label", "seg", "segmentation", "segment", "gs", "gt", "manual"}
    | {"head", "neck", "shaft", "proximal", "distal", "trochanter", "condyle", "condyles", "diaphysis", "epiphysis"}
    | {"metaphysis", "cortex", "cortical", "trabecular", "cancellous", "marrow", "medial", "lateral", "greater"}
    | {"lesser", "final", "the", "of", "and"}
)
"""Words in the names of segments that are the bone or a part of it."""

_OTHER_WORDS = (
    {"implant", "implants", "prosthesis", "stem", "cup", "cement", "nail", "screw", "screws", "plate", "wire", "metal"}
    | {"cartilage", "artery", "vein", "vessel", "vessels", "nerve", "muscle", "muscles", "fat", "skin", "ligament"}
    | {"tumor", "tumour", "lesion", "background", "no", "not", "without", "outside"}
)
"""Words in the names of segments beside the bone, or of implants in it."""

_MOST_NAMES = 8


@dataclass(frozen=True)
class Segment:
    """One segment of a segmentation.

    Attributes:
        name: Its name, as the user wrote it in 3D Slicer.
        value: Value of its voxels in its layer.
        layer: Index of its layer, from 0.
    """

    name: str
    value: int
    layer: int


def parse_segments(fields: Mapping[str, str], components: int) -> tuple[Segment, ...]:
    """Return the segments in a header, in their order; an empty tuple for a volume that is not a segmentation.

    Old versions of 3D Slicer wrote neither values nor layers: every segment was a separate layer with the value 1.

    Args:
        fields: The header's fields by name.
        components: Number of layers.

    Example:
        >>> parse_segments({"Segment0_Name": "Femur", "Segment0_LabelValue": "3", "Segment0_Layer": "0"}, 1)
        (Segment(name='Femur', value=3, layer=0),)
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
    """Return the segments that are femur; an empty tuple if that is unknown.

    With `wanted`, a segment with exactly that name is chosen, or else all segments whose name contains it as a word,
    without implants and cartilage. Upper and lower case are equal.

    Without `wanted`, the only segment is chosen, or the segments named femur with no other words than sides and parts
    of the bone ("Left femur", "Femur head", not "Femur implant"). If no name is of this kind, the only segment named
    femur with other, unknown words is chosen.

    Args:
        segments: All segments.
        wanted: Names that the user gave.

    Example:
        >>> segments = [Segment("Left femur", 1, 0), Segment("Femur implant", 2, 0), Segment("Pelvis", 3, 0)]
        >>> [segment.name for segment in choose_segments(segments, [])]
        ['Left femur']
        >>> [segment.name for segment in choose_segments(segments, ["pelvis"])]
        ['Pelvis']
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
    clear = tuple(each for each in femurs if _words(each.name) <= _BONE_WORDS)
    possible = tuple(each for each in femurs if not _words(each.name) & _OTHER_WORDS)
    return clear or (possible if len(possible) == 1 else ())


def named_femur(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments with the word femur in their names."""
    return tuple(each for each in segments if _words(each.name) & _FEMUR_WORDS)


def side_of(segment: Segment) -> str:
    """Return the side that the name of a segment states: "left", "right", or "unknown" for none or for both.

    Example:
        >>> side_of(Segment("femur_left", 1, 0)), side_of(Segment("Femur", 1, 0))
        ('left', 'unknown')
    """
    sides = {SIDE_OF_WORD[word] for word in _words(segment.name) & SIDE_OF_WORD.keys()}
    return sides.pop() if len(sides) == 1 else UNKNOWN


def femur_segments(
    segments: Sequence[Segment], wanted: Sequence[str], file: Path
) -> tuple[tuple[Segment, ...], list[Finding]]:
    """Return the segments that are femur, and the findings about the choice, which may be errors.

    Args:
        segments: All segments; empty for a mask that is not a segmentation.
        wanted: Names that the user gave, as in :func:`choose_segments`.
        file: The segmentation, as the findings name it.
    """
    if not segments:
        return (), []
    chosen = choose_segments(segments, wanted)
    count = len(segments)
    if not chosen and not wanted and (unclear := named_femur(segments)):
        problem = f"has {count} segments; it is unknown which of these are femur: {_names(unclear)}."
        return (), [finding("segments-unclear", file, problem)]
    if not chosen:
        called = " or ".join(wanted) or "femur"
        problem = f"has {count} segments ({_names(segments)}), but none named {called}."
        return (), [finding("segment-missing", file, problem)]
    if len(chosen) == count == 1:
        return chosen, []
    others = [segment for segment in segments if segment not in chosen]
    left_out = f"; left out: {_names(others)}" if others else ""
    taken = f"used as femur{' and joined' if len(chosen) > 1 else ''}: {_names(chosen)}"
    return chosen, [finding("segments-chosen", file, f"has {count} segments; {taken}{left_out}.")]


def join_segments(values: NDArray, segments: Sequence[Segment]) -> NDArray[np.bool_]:
    """Return a mask of the voxels in any of the segments.

    Args:
        values: The voxels, z, y, x, with the layers as the last axis if there are several.
        segments: The segments to join.

    Example:
        >>> join_segments(np.array([[[0, 1, 2, 3]]]), [Segment("head", 1, 0), Segment("shaft", 3, 0)])
        array([[[False,  True, False,  True]]])
    """
    layers = values if values.ndim == 4 else values[..., np.newaxis]
    femur = np.zeros(layers.shape[:3], bool)
    for segment in segments:
        femur |= layers[..., segment.layer] == segment.value
    return femur


def _names(segments: Sequence[Segment]) -> str:
    shown = ", ".join(each.name for each in segments[:_MOST_NAMES])
    return shown if len(segments) <= _MOST_NAMES else f"{shown} and {len(segments) - _MOST_NAMES} more"


def _with_word(segments: Sequence[Segment], name: str) -> list[Segment]:
    word = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)
    found = [each for each in segments if word.search(each.name)]
    bone = [each for each in found if not (_words(each.name) - _words(name)) & _OTHER_WORDS]
    return bone or found


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(name)}
