"""Procedural, seeded femur CTs with exact masks, for the demo and the tests."""

from nnunet_femur.phantoms.cohort import PADDINGS_HU, Phantom, make_phantom, write_phantoms

__all__ = ["PADDINGS_HU", "Phantom", "make_phantom", "write_phantoms"]
