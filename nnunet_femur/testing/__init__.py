"""Equipment for the demo and for tests: procedural femur phantoms with exact masks, and dummy weights.

Dummy weights have the shape and layout of TotalSegmentator's models and are trained in minutes on phantoms. They let
every path run offline through TotalSegmentator's and nnU-Net's real code. They have learnt nothing from patients, and
their folder, their plans and their dataset's description state it.
"""

from nnunet_femur.testing.dummy_plans import Case, phantom_cases
from nnunet_femur.testing.dummy_weights import MODELS, write_dummy_weights
from nnunet_femur.testing.phantoms import PADDINGS_HU, Phantom, make_phantom, write_phantoms

__all__ = [
    "MODELS",
    "PADDINGS_HU",
    "Case",
    "Phantom",
    "make_phantom",
    "phantom_cases",
    "write_dummy_weights",
    "write_phantoms",
]
