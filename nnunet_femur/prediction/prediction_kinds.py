"""Kinds of findings about a predicted femur, and the review score that is computed from them.

The score orders cases for a person who looks through them. It is not the probability of an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.findings import Finding, Severity
from nnunet_femur.kinds import KINDS, Kind, error_place

if TYPE_CHECKING:
    from collections.abc import Iterable


def _kind(code: str, meaning: str, remedy: str) -> Kind:
    return Kind(Severity.WARNING, code, meaning, remedy)


_WEIGHTED = (
    # Pieces, border and volume of the mask.
    (1.0, _kind("no-femur", "no voxel is femur", "Check that the CT shows a femur.")),
    (
        0.3,
        _kind(
            "pieces",
            "more pieces of at least 0.5 ml than femurs; two are correct where the CT shows both legs",
            "Look at the pieces. Use --largest-component if one of them is the femur.",
        ),
    ),
    (0.05, _kind("fragments", "smaller pieces beside the bone", "Use --largest-component to remove them.")),
    (
        0.1,
        _kind(
            "cut-by-view",
            "the mask touches the border of the volume; the side is the patient's",
            "Nothing, if the CT shows only a part of the femur.",
        ),
    ),
    (0.6, _kind("volume", "one whole piece below 100 or above 900 ml", "Look at the mask.")),
    (0.4, _kind("cavities", "cavities of more than 2 % of the bone's volume", "Use --fill-holes to fill them.")),
    (
        0.1,
        _kind(
            "not-localised",
            "the localisers found no femur of at least 1 ml, so the whole CT was searched",
            "Look at the mask. Check that the CT shows a femur.",
        ),
    ),
    # Completeness.
    (
        0.7,
        _kind(
            "head-not-found",
            "no whole, round femoral head, although the mask does not touch the border there",
            "Look at the proximal end of the mask, and at the joint.",
        ),
    ),
    (
        0.6,
        _kind(
            "end-not-found",
            "no whole distal end, although the mask does not touch the border there",
            "Look at the distal end of the mask.",
        ),
    ),
    (
        0.8,
        _kind("not-one-femur", "a piece without the shape of one femur, such as two joined bones", "Look at the mask."),
    ),
    # Shape.
    (
        0.5,
        _kind(
            "proportions",
            "lengths, widths, volume or surface that do not fit together in one femur",
            "Look at the mask: a part may be missing, or not be femur.",
        ),
    ),
    (
        0.5,
        _kind(
            "protrusion",
            "something protrudes from the head or from below the condyles, in voxels of up to 3.5 mm",
            "Look at the joint: a part of the next bone may be in the mask.",
        ),
    ),
    (
        0.4,
        _kind(
            "angles",
            "an angle or a bow that hardly any femur has",
            "Look at the mask. A deformed femur can have such values.",
        ),
    ),
    (0.4, _kind("legs-differ", "two femurs that differ more than those of one person", "Look at both masks.")),
    (
        0.5,
        _kind(
            "not-measured",
            "an unexpected error while the mask was measured or checked, which does not change the mask",
            "Look at the mask, and report the error to the developers.",
        ),
    ),
    # HU under the mask.
    (
        0.7,
        _kind(
            "surface-off-bone",
            "in a quarter of the mask, less than 55 % of the outermost voxels are as dense as bone (100 HU)",
            "Check the position of the mask on the CT; it may also be too large.",
        ),
    ),
    (
        0.4,
        _kind(
            "bone-beside",
            "voxels just outside of the mask are about as dense as its outermost voxels",
            "Check the edge of the mask; it may be too small.",
        ),
    ),
    (
        0.5,
        _kind(
            "air-inside",
            "more than 5 % of the mask's voxels are below -200 HU: air, gas or padding",
            "Check the position of the mask on the CT.",
        ),
    ),
)

PREDICTION_KINDS = {kind.code: kind for _, kind in _WEIGHTED}
"""Kinds of findings about a predicted femur by code. Findings about the CT and the side are in :data:`KINDS`."""

_OF_OTHERS = {Severity.ERROR: 0.5, Severity.WARNING: 0.2, Severity.NOTE: 0.0}
"""Weights of the kinds of :data:`KINDS`, such as doubtful values of the CT."""

WEIGHTS = {code: _OF_OTHERS[kind.severity] for code, kind in KINDS.items()} | {
    # A side that contradicts the shape is an error of the mask or of the file more often than not.
    **dict.fromkeys(("side-contradiction", "upside-down", "back-to-front", "same-side", "sides-exchanged"), 0.5),
    **{kind.code: weight for weight, kind in _WEIGHTED},
}
"""Weight of each kind of finding in the review score, from 0 to 1."""


def predicted(code: str, file: str, problem: str) -> Finding:
    """Return a finding about a predicted femur.

    Args:
        code: A code of :data:`PREDICTION_KINDS`.
        file: Name of the case.
        problem: The problem, as a sentence without its subject.

    Example:
        >>> print(predicted("fragments", "L001", "has 2 fragments below 0.5 ml."))
        L001: has 2 fragments below 0.5 ml. Use --largest-component to remove them.
    """
    kind = PREDICTION_KINDS[code]
    return Finding(code, kind.severity, file, problem, kind.remedy)


def not_measured(error: Exception, file: str) -> Finding:
    """Return the finding about an unexpected exception of a measurement or a check.

    It names the place in the code, and does not quote the message, which may contain a patient's name.

    Args:
        error: The exception.
        file: Name of the case.

    Example:
        >>> not_measured(ZeroDivisionError("L001"), "L001").problem
        'could not be measured or checked completely (ZeroDivisionError).'
    """
    return predicted("not-measured", file, f"could not be measured or checked completely ({error_place(error)}).")


def review_score(codes: Iterable[str], disagreement: float | None = None) -> float:
    """Return how urgently a person should look at a case, from 0 (nothing is doubtful) to 1.

    It is 1 - (1 - d) (1 - w1) (1 - w2) ..., where d is the disagreement of the folds and w1, w2, ... are the weights of
    the different findings, see :data:`WEIGHTS`. A further finding or a larger disagreement never lowers the score.

    Args:
        codes: Codes of the findings; each counts once.
        disagreement: 1 minus the mean Dice of all pairs of folds; None with one fold.

    Example:
        >>> review_score([]), review_score(["pieces"])
        (0.0, 0.3)
        >>> round(review_score(["pieces", "angles"], disagreement=0.1), 3)
        0.622
    """
    trusted = 1.0 - (disagreement or 0.0)
    for code in sorted(set(codes)):
        trusted *= 1.0 - WEIGHTS.get(code, _OF_OTHERS[Severity.WARNING])
    return round(min(1.0, max(0.0, 1.0 - trusted)), 6)
