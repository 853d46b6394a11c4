"""nnU-Net v2 and TotalSegmentator for the femur in CT: intake, planning, training, prediction, comparison."""

from nnunet_femur.version import __version__

__all__ = ["__version__"]
