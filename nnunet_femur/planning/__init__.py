"""Plans of a femur dataset: nnU-Net's own, small ones, or those of TotalSegmentator's network."""

from nnunet_femur.planning.ceiling import Ceiling
from nnunet_femur.planning.dataset_plan import PlannedDataset, ceiling_of, plan
from nnunet_femur.planning.training_presets import PRESETS, Preset

__all__ = ["PRESETS", "Ceiling", "PlannedDataset", "Preset", "ceiling_of", "plan"]
