"""TotalSegmentator on any readable CT: the method that all others are compared with."""

from nnunet_femur.baselines.baseline_masks import mask_paths
from nnunet_femur.baselines.baseline_record import recorded_warnings
from nnunet_femur.baselines.running import METHOD_FOLDERS, baseline, run_on_dataset, run_on_volume
from nnunet_femur.baselines.settings import Settings, device_name

__all__ = [
    "METHOD_FOLDERS",
    "Settings",
    "baseline",
    "device_name",
    "mask_paths",
    "recorded_warnings",
    "run_on_dataset",
    "run_on_volume",
]
