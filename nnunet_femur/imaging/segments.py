"""The segments of a 3D Slicer segmentation (.seg.nrrd): which there are, and which of them are femur.

Each segment has a layer and a value in that layer; segments that overlap are in different layers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_FIELD = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")
_FEMUR = re.compile(r"(?<![a-z])(femur|femora)(?![a-z])", re.IGNORECASE)


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
        if value.isdecimal() and layer.isdecimal() and int(layer) < components:
            segments.append(Segment(field.get("Name", f"Segment{number}"), int(value), int(layer)))
    return tuple(segments)


def choose_segments(segments: Sequence[Segment], wanted: Sequence[str]) -> tuple[Segment, ...]:
    """The segments that are femur; none if that cannot be said.

    Args:
        segments: All there are.
        wanted: Names asked for, in upper or lower case: a segment is meant that is called so, or else any that has
            the name as a word in its own. Without names: the only segment, or those with the word femur.
    """
    if not wanted:
        return tuple(segments) if len(segments) == 1 else tuple(each for each in segments if _FEMUR.search(each.name))
    chosen: list[Segment] = []
    for name in wanted:
        exact = [each for each in segments if each.name.casefold() == name.casefold()]
        word = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)
        chosen += exact or [each for each in segments if word.search(each.name)]
    return tuple(each for each in segments if each in chosen)


def join_segments(values: NDArray, segments: Sequence[Segment]) -> NDArray[np.bool_]:
    """Where any of the segments is.

    Args:
        values: The voxels, z, y, x, and the layers as the last axis if there are several.
        segments: The segments to join.
    """
    layers = values if values.ndim == 4 else values[..., np.newaxis]
    femur = np.zeros(layers.shape[:3], bool)
    for segment in segments:
        femur |= layers[..., segment.layer] == segment.value
    return femur
