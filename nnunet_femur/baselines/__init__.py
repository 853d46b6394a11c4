"""TotalSegmentator on any readable volume: the method that all others are compared with."""

from nnunet_femur.baselines.baseline_record import recorded_warnings
from nnunet_femur.baselines.running import METHOD_FOLDERS, run_on_dataset, run_on_volume
from nnunet_femur.baselines.settings import Settings

__all__ = ["METHOD_FOLDERS", "Settings", "recorded_warnings", "run_on_dataset", "run_on_volume"]
