"""Plans of a femur dataset: nnU-Net's own, small ones, or those of TotalSegmentator's network.

:func:`plan` calls the modules in this order: `training_presets` chooses sizes and recipe, `case_problems` refuses cases
that cannot be planned, `plans` makes the plans, and `ceiling` measures what their grid costs. `dataset_plan` combines
them.
"""

from nnunet_femur.planning.ceiling import Ceiling
from nnunet_femur.planning.dataset_plan import PlannedDataset, ceiling_of, plan
from nnunet_femur.planning.training_presets import PRESETS, Preset

__all__ = ["PRESETS", "Ceiling", "PlannedDataset", "Preset", "ceiling_of", "plan"]
