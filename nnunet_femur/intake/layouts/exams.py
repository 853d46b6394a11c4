"""Compare what the names of a CT and its mask tell about the exam, beside the id that pairs them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nnunet_femur.intake.layouts.naming import SIDES, stem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WORD = re.compile(r"[a-z]+|\d+")

_TIMES = {"pre": "before", "preop": "before", "before": "before", "baseline": "before"} | {
    "post": "after",
    "postop": "after",
    "after": "after",
    "followup": "after",
}
"""Words for the time of an exam, and what they mean."""

_SIDES = {word: side for word, side in SIDES.items() if word not in ("b", "both")}

_NOT_AN_EXAM = re.compile(r"0000|v\d+|rev\d+|\d+(mm|hu|bit)|\d+x\d+(x\d+)?")
"""Numbers of channels, versions, spacings and sizes, which may differ between a CT and its mask."""

_PART = re.compile(r"[^0-9a-z]+")


def differing_exams(images: Mapping[str, Path], masks: Mapping[str, Path], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the cases whose CT and mask are of different exams by their names, each with what differs.

    Dates and numbers are compared, and words for the side and the time of an exam. What all CTs have in common, or all
    masks, tells nothing about an exam.

    Args:
        images: The CT of each case.
        masks: The mask of each case.
        ids: The part of both names, by case, that is the id as written.
    """
    of_images = _without_common({case: _tokens(file, ids[case]) for case, file in images.items()})
    of_masks = _without_common({case: _tokens(file, ids[case]) for case, file in masks.items()})
    found = {}
    for case, tokens in of_images.items():
        only_image, only_mask = tokens - of_masks[case], of_masks[case] - tokens
        if only_image and only_mask:
            found[case] = f"{', '.join(sorted(only_image))} and {', '.join(sorted(only_mask))}"
    return found


def _tokens(file: Path, id_text: str) -> set[str]:
    """Return what a name tells about the exam: numbers without leading zeros, sides and times."""
    name = stem(file).lower()
    rest = name[len(id_text) :] if name.startswith(id_text.lower()) else name
    tokens = set()
    for part in _PART.split(rest):
        if not part or _NOT_AN_EXAM.fullmatch(part):
            continue
        for word in _WORD.findall(part):
            if word.isdigit():
                tokens.add(word.lstrip("0") or "0")
            elif word in _TIMES or word in _SIDES:
                tokens.add(_TIMES.get(word) or _SIDES[word])
    return tokens


def _without_common(tokens: dict[str, set[str]]) -> dict[str, set[str]]:
    if len(tokens) < 2:
        return tokens
    common = set.intersection(*tokens.values())
    return {case: of_case - common for case, of_case in tokens.items()}
