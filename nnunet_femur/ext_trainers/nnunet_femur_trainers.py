"""Trainers of this package for nnU-Net, which imports each module of this folder and looks up a class by name.

They are imported here, not defined: nnU-Net removes this module after the search, and a class of a removed module
cannot be pickled.
"""

from nnunet_femur.trainers import *  # noqa: F403
