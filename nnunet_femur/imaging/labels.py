"""Choose the femur among the labels of a mask or the segments of a segmentation (3D Slicer's .seg.nrrd, DICOM SEG)."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.sides import SIDE_WORDS
from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.findings import Finding


FEMUR_LABEL = 1
"""The usual label of the femur."""

STUDY_LABEL = 2
"""The only label of some of the study's masks, in which it is the femur."""

_MOST_LABELS = 300
"""Largest number of labels in a mask; more values are grey values. TotalSegmentator has 117 labels."""

WHOLE_WITHIN = 1e-3
"""Largest difference from a whole number that is a rounding error of a program that rescaled the mask."""


def whole_labels(values_zyx: NDArray) -> tuple[NDArray, int]:
    """Return the values of a mask as whole numbers, and the number of values that are not whole numbers.

    Args:
        values_zyx: The values; finite. An array of integers is returned unchanged. Differences up to
            :data:`WHOLE_WITHIN` are rounding errors.

    Example:
        >>> whole_labels(np.array([0.0, 0.9999, 2.5]))
        (array([0, 1, 2]), 1)
    """
    if np.issubdtype(values_zyx.dtype, np.integer) or values_zyx.dtype == bool:
        return values_zyx, 0
    whole = np.rint(values_zyx)
    fractions = int(np.count_nonzero(np.abs(values_zyx - whole) > WHOLE_WITHIN))
    return whole.astype(np.int64), fractions


def femur_of(values_zyx: NDArray, labels: Sequence[int], file: Path) -> tuple[NDArray[np.bool_], list[Finding]]:
    """Return the femur in a mask with labels, and the findings about its labels.

    Without `labels`, a mask with a single label is unambiguous. Several labels, such as 1 and 2, are an error: 2 may be
    the other femur, or the acetabulum.

    Args:
        values_zyx: The values of the mask, or a box that contains all values other than 0; finite.
        labels: The values that are femur; empty: the only value other than 0.
        file: The mask, as the findings name it.

    Returns:
        True in the femur, shape of `values_zyx`; the findings, which may be errors.
    """
    findings = []
    if not np.issubdtype(values_zyx.dtype, np.integer):
        problem = f"is stored as {values_zyx.dtype}; written as uint8."
        findings.append(finding("mask-type", file, problem))
        values_zyx, fractions = whole_labels(values_zyx)
        if fractions:
            problem = f"contains {fractions} values that are not whole numbers, such as probabilities."
            remedy = "Export it as a mask with whole numbers as labels."
            return values_zyx > 0, [finding("mask-labels", file, problem, remedy)]
    held = label_counts(values_zyx)
    names = ", ".join(str(label) for label in list(held)[:8]) + (", ..." if len(held) > 8 else "")
    if labels:
        femur = np.isin(values_zyx, labels)
        others = sorted(set(held) - set(labels))
        if others and femur.any():
            problem = f"contains the labels {names}; only {', '.join(map(str, labels))} was used as femur."
            findings.append(finding("labels-left-out", file, problem))
        return femur, findings
    if len(held) > _MOST_LABELS:
        problem = f"contains {len(held)} different values, so it is a CT and not a mask."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, "Give the mask instead.")]
    if len(held) > 1 or min(held, default=1) < 0:
        problem = f"contains the labels {names}; it is unknown which of them are femur."
        return values_zyx > 0, [*findings, finding("mask-labels", file, problem, _ways_to_choose(held))]
    if STUDY_LABEL in held:
        problem = f"has 2 as its only label, in {held[STUDY_LABEL]} voxels; they were used as femur and set to 1."
        findings.append(finding("mask-label-2", file, problem))
    elif held.keys() - {FEMUR_LABEL}:
        findings.append(finding("mask-label-other", file, f"has {names} as its only label; it was set to 1."))
    return values_zyx > 0, findings


def _ways_to_choose(held: dict[int, int]) -> str:
    shown = [label for label in held if label > 0][:8]
    if not shown:
        return "Export the mask with the femur as 1."
    if len(shown) == 1:
        return f"Use --labels {shown[0]} if that is the femur."
    every = ",".join(map(str, shown))
    return f"Use --labels {shown[0]} if only that is femur, or --labels {every} if all of them are."


def label_counts(values: NDArray) -> dict[int, int]:
    """Return the number of voxels of each label other than 0.

    Example:
        >>> label_counts(np.array([0, 1, 1, 2]))
        {1: 2, 2: 1}
    """
    usual_labels = (FEMUR_LABEL, STUDY_LABEL)
    if values.min() >= 0 and values.max() <= max(usual_labels):
        # Counting only the usual labels is ten times as fast as a table of all values.
        usual = {label: int(np.count_nonzero(values == label)) for label in usual_labels}
        return {label: count for label, count in usual.items() if count}
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.ravel())
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}
    labels, counts = np.unique(values[values != 0], return_counts=True)
    return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}


def parse_labels(text: str | None) -> tuple[int, ...]:
    """Return the values in a list such as ``1,2``; an empty tuple for None.

    Raises:
        InputError: The text is not a list of whole numbers ("invalid-option").

    Example:
        >>> parse_labels("2,1")
        (1, 2)
    """
    if text is None:
        return ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        msg = f"--labels must be a list of whole numbers, got {text!r}. Give the values that are femur: --labels 1,2"
        raise InputError(msg, code="invalid-option") from error


_FIELD = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")
_WORD = re.compile(r"[^\W\d_]+")
_FEMUR = {"femur", "femurs", "femora"}

_OF_THE_BONE = (
    _FEMUR
    | SIDE_WORDS
    | {"bone", "whole", "full", "total", "mask", "label", "seg", "segmentation", "segment", "gs", "gt", "manual"}
    | {"head", "neck", "shaft", "proximal", "distal", "trochanter", "condyle", "condyles", "diaphysis", "epiphysis"}
    | {"metaphysis", "cortex", "cortical", "trabecular", "cancellous", "marrow", "medial", "lateral", "greater"}
    | {"lesser", "final", "the", "of", "and"}
)
"""Words in the names of segments that are the bone or a part of it."""

_BESIDE_THE_BONE = (
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
    without implants and cartilage. Case is ignored. Without `wanted`, the only segment is chosen, or the segments named
    femur with no other words than sides and parts of the bone ("Left femur", "Femur head", not "Femur implant"). If
    there are none, the only segment named femur with other, unknown words is chosen.

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
    clear = tuple(each for each in femurs if _words(each.name) <= _OF_THE_BONE)
    possible = tuple(each for each in femurs if not _words(each.name) & _BESIDE_THE_BONE)
    return clear or (possible if len(possible) == 1 else ())


def named_femur(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments with the word femur in their names."""
    return tuple(each for each in segments if _words(each.name) & _FEMUR)


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
