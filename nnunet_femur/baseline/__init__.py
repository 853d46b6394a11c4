"""TotalSegmentator on any readable volume: the method that all others are compared with."""

from nnunet_femur.baseline.dataset import METHOD_FOLDERS, run_on_dataset
from nnunet_femur.baseline.record import recorded_warnings
from nnunet_femur.baseline.settings import Settings
from nnunet_femur.baseline.single import run_on_volume

__all__ = ["METHOD_FOLDERS", "Settings", "recorded_warnings", "run_on_dataset", "run_on_volume"]
