"""Plans of a femur dataset: nnU-Net's own, small ones, or those of TotalSegmentator's network."""

from nnunet_femur.dataset.raw import find_dataset, training_cases
from nnunet_femur.planning.ceiling import Ceiling
from nnunet_femur.planning.plan import LOG, PLANS_NAME, RECORD, ceiling_of, plan_dataset
from nnunet_femur.planning.training_presets import PRESETS

__all__ = [
    "LOG",
    "PLANS_NAME",
    "PRESETS",
    "RECORD",
    "Ceiling",
    "ceiling_of",
    "find_dataset",
    "plan_dataset",
    "training_cases",
]
