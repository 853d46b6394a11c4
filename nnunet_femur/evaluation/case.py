"""Scoring of one case: from two masks in any form to the scores of all protocols."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nnunet_femur.arguments import several
from nnunet_femur.evaluation.bone import Bone
from nnunet_femur.evaluation.case_scores import CaseScores
from nnunet_femur.evaluation.counts import count
from nnunet_femur.evaluation.mask_input import any_mask, on_one_grid, require_same_form, require_same_grid
from nnunet_femur.evaluation.policies import STRICT, EmptyPolicy, find_policy
from nnunet_femur.evaluation.protocols import paper_scores, slice_scores, volume_scores
from nnunet_femur.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from nnunet_femur.evaluation.mask_input import Mask, MaskInput


@dataclass(frozen=True)
class Scoring:
    """Options of scoring.

    Attributes:
        policy: Scores of empty masks.
        slice_surfaces: Compute surface metrics in slices as well, which takes about a second per case.
        segments: Names of the segments of a segmentation that are femur; empty: the only one, or those named femur.
        labels: Values of a mask that are femur; empty: 1, or the only value above 0.

    Example:
        >>> scorer = Scorer("reference.nrrd", Scoring(find_policy("formula"), slice_surfaces=True))
        >>> round(scorer.score("prediction.nrrd")["slices", "axial", "whole", "hd"], 2)
        0.0
    """

    policy: EmptyPolicy = field(default=STRICT)
    slice_surfaces: bool = False
    segments: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()


def score(
    prediction: MaskInput,
    reference: MaskInput,
    *,
    spacing_mm_zyx: Sequence[float] | None = None,
    policy: str | EmptyPolicy = "strict",
    slice_surfaces: bool = False,
    in_slices: bool = False,
    segments: str | Collection[str] = (),
    labels: int | Collection[int] = (),
) -> CaseScores:
    """Score a predicted femur mask against its reference.

    Both masks must be on one grid in the patient. The order in which files or images store their voxels does not
    matter. Segmentations may cover different boxes of one grid.

    Args:
        prediction: The predicted mask: the path of a file or of a DICOM SEG, a SimpleITK image, or a numpy array of
            shape (z, y, x) whose axes lead to superior, anterior and right. Both masks are arrays, or neither is.
        reference: The reference mask, in the same forms.
        spacing_mm_zyx: Voxel spacing of arrays in mm along z, y, x. Required for arrays; files and images have their
            own.
        policy: Scores of empty masks: a policy or its name in :data:`~nnunet_femur.evaluation.POLICIES`.
        slice_surfaces: Compute surface metrics in slices as well, which takes about a second.
        in_slices: True if the method predicts slice by slice; the study's protocol scores such methods differently.
        segments: Names of the segments of files that are femur; empty: the only one, or those named femur.
        labels: Values that are femur; empty: 1, or the only value above 0.

    Returns:
        All scores of the case.

    Raises:
        InputError: The masks differ in shape, spacing or position (code "grid-differs"); a mask contains several labels
            or fractions (code "mask-labels"); an array has no spacing, or the policy is unknown (code
            "invalid-option"); a mask is not 3D (code "unsupported"); or a file cannot be read.

    Example:
        >>> import numpy as np
        >>> reference = np.zeros((40, 20, 20), dtype=bool)
        >>> reference[5:35, 5:15, 5:15] = True
        >>> prediction = np.roll(reference, 1, axis=2)    # moved by one voxel of 0.8 mm to the right
        >>> scores = score(prediction, reference, spacing_mm_zyx=(2.0, 0.8, 0.8))
        >>> scores["dice"], scores["hd95"], round(scores["truth_volume"], 2)
        (0.9, 0.8, 3.84)
        >>> score("prediction.nrrd", "reference.nrrd")
        CaseScores(dice 0.97, iou 0.95, hd95 0.00 mm, assd 0.42 mm, nsd2 0.97)
    """
    require_same_form(prediction, reference)
    scoring = Scoring(find_policy(policy), slice_surfaces, several(segments), several(labels))
    return Scorer(reference, scoring, spacing_mm_zyx=spacing_mm_zyx).score(prediction, in_slices=in_slices)


class Scorer:
    """Scores predictions against one reference, which is read and measured only once.

    Args:
        reference: The reference mask, in one of the forms that :func:`score` takes.
        scoring: Options.
        spacing_mm_zyx: Voxel spacing of arrays in mm along z, y, x.

    Raises:
        InputError: The reference cannot be read, or is not a mask.

    Example:
        >>> scorer = Scorer("reference.nrrd")
        >>> [round(scorer.score(path)["dice"], 3) for path in ("prediction.nrrd", "reference.nrrd")]
        [0.972, 1.0]
    """

    def __init__(
        self,
        reference: MaskInput,
        scoring: Scoring | None = None,
        *,
        spacing_mm_zyx: Sequence[float] | None = None,
    ) -> None:
        self.scoring = scoring or Scoring()
        self._spacing_mm_zyx = spacing_mm_zyx
        self._reference = self._read(reference, "reference")
        self._bone = _bone(self._reference)

    def score(self, prediction: MaskInput, *, in_slices: bool = False) -> CaseScores:
        """Score one prediction.

        Args:
            prediction: The predicted mask, in the form of the reference.
            in_slices: True if the method predicts slice by slice.

        Raises:
            InputError: As :func:`score`.
        """
        mask = self._read(prediction, "prediction", like=self._reference)
        reference, mask = on_one_grid(self._reference, mask)
        require_same_grid(reference, mask)
        bone = self._bone if reference is self._reference else _bone(reference)
        scores = score_case(bone, _bone(mask), scoring=self.scoring, predicted_in_slices=in_slices)
        findings = (*self._reference.findings, *mask.findings)
        doubts = tuple(str(found) for found in findings if found.severity is Severity.WARNING)
        return replace(scores, warnings=doubts)

    def _read(self, given: MaskInput, name: str, *, like: Mask | None = None) -> Mask:
        return any_mask(
            given,
            name=name,
            like=like.geometry if like else None,
            spacing_mm_zyx=self._spacing_mm_zyx,
            segments=self.scoring.segments,
            labels=self.scoring.labels,
        )


def _bone(mask: Mask) -> Bone:
    return Bone(mask.voxels, mask.geometry.spacing_mm_zyx)


def score_case(
    reference: Bone,
    prediction: Bone,
    *,
    scoring: Scoring | None = None,
    predicted_in_slices: bool = False,
) -> CaseScores:
    """Score a prediction by all protocols, see :mod:`nnunet_femur.evaluation.protocols`.

    Regions are found on the reference; an empty reference has no region but the whole.

    Args:
        reference: The reference mask.
        prediction: A mask on the same grid.
        scoring: Options; segments and labels are not used.
        predicted_in_slices: True if the method predicts slice by slice; the protocol `paper` scores it differently.

    Example:
        >>> import numpy as np
        >>> voxels = np.zeros((30, 10, 10), dtype=bool)
        >>> voxels[3:27, 2:8, 2:8] = True
        >>> bone = Bone(voxels, spacing_mm_zyx=(2.0, 1.0, 1.0))
        >>> score_case(bone, bone)["dice"]
        1.0
    """
    options = scoring or Scoring()
    counts = count(reference, prediction)
    in_volume = volume_scores(reference, prediction, counts, options.policy)
    in_slices, slices = slice_scores(reference, prediction, counts, options.policy, surfaces=options.slice_surfaces)
    by_paper = paper_scores(counts, predicted_in_slices=predicted_in_slices)
    return CaseScores((*in_volume, *in_slices, *by_paper), slices, counts.profile)
