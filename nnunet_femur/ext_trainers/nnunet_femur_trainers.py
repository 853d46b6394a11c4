"""Shows nnU-Net this package's trainers: it imports every module of this folder and looks for the class by name.

They are re-exported, not defined here: nnU-Net forgets this module after the search, and a class that was defined in
a forgotten module cannot be pickled.
"""

from nnunet_femur.trainers import *  # noqa: F403
