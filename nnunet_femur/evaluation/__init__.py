"""Scores of one case: overlap, volume and surface metrics of the bone, its regions and its slices."""

from nnunet_femur.evaluation.bone import Bone
from nnunet_femur.evaluation.case import Scorer, Scoring, score, score_case
from nnunet_femur.evaluation.case_scores import CaseScores, Measure, Score, SliceScores
from nnunet_femur.evaluation.counts import PLANES, PROFILE_BINS, AxisProfile, Overlap
from nnunet_femur.evaluation.mask_input import Mask, read_mask
from nnunet_femur.evaluation.metrics import METRICS, OVERLAP_METRICS, SURFACE_METRICS, Metric
from nnunet_femur.evaluation.policies import EMPTY_KINDS, POLICIES, STRICT, EmptyPolicy, find_policy
from nnunet_femur.evaluation.regions import REGIONS, REGIONS_TEXT

__all__ = [
    "EMPTY_KINDS",
    "METRICS",
    "OVERLAP_METRICS",
    "PLANES",
    "POLICIES",
    "PROFILE_BINS",
    "REGIONS",
    "REGIONS_TEXT",
    "STRICT",
    "SURFACE_METRICS",
    "AxisProfile",
    "Bone",
    "CaseScores",
    "EmptyPolicy",
    "Mask",
    "Measure",
    "Metric",
    "Overlap",
    "Score",
    "Scorer",
    "Scoring",
    "SliceScores",
    "find_policy",
    "read_mask",
    "score",
    "score_case",
]
