"""Scores of one case: overlap, volume and surface, of the bone, its regions and its slices."""

from nnunet_femur.evaluation.bone import Bone, BoneAxis
from nnunet_femur.evaluation.case import CaseScores, Score, Scoring, SliceScores, score_case, slice_scores
from nnunet_femur.evaluation.counts import PLANES, PROFILE_BINS, AxisProfile, Overlap
from nnunet_femur.evaluation.masks import Mask, on_one_grid, read_mask, require_same_grid
from nnunet_femur.evaluation.metrics import METRICS, OVERLAP_METRICS, SURFACE_METRICS, Metric
from nnunet_femur.evaluation.policies import EMPTY_KINDS, POLICIES, STRICT, EmptyPolicy
from nnunet_femur.evaluation.regions import REGIONS, REGIONS_IN_WORDS

__all__ = [
    "EMPTY_KINDS",
    "METRICS",
    "OVERLAP_METRICS",
    "PLANES",
    "POLICIES",
    "PROFILE_BINS",
    "REGIONS",
    "REGIONS_IN_WORDS",
    "STRICT",
    "SURFACE_METRICS",
    "AxisProfile",
    "Bone",
    "BoneAxis",
    "CaseScores",
    "EmptyPolicy",
    "Mask",
    "Metric",
    "Overlap",
    "Score",
    "Scoring",
    "SliceScores",
    "on_one_grid",
    "read_mask",
    "require_same_grid",
    "score_case",
    "slice_scores",
]
