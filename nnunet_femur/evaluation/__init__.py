"""Scores of one case: overlap and volume, in 3D and slice by slice, with a stated policy for empty masks."""

from nnunet_femur.evaluation.case import CaseScores, Score, SliceScores, score_case
from nnunet_femur.evaluation.masks import Mask, read_mask, require_same_grid
from nnunet_femur.evaluation.metrics import METRICS, Metric
from nnunet_femur.evaluation.overlap import PLANES, Overlap
from nnunet_femur.evaluation.policy import EMPTY_KINDS, STRICT, EmptyPolicy

__all__ = [
    "EMPTY_KINDS",
    "METRICS",
    "PLANES",
    "STRICT",
    "CaseScores",
    "EmptyPolicy",
    "Mask",
    "Metric",
    "Overlap",
    "Score",
    "SliceScores",
    "read_mask",
    "require_same_grid",
    "score_case",
]
