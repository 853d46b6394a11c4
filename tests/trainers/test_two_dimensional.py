"""The trainers of two-dimensional networks: the tests of every trainer, for each network."""

from __future__ import annotations

import pytest

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS
from tests.trainers.trainer_tester import BaseTrainerTester, slice_testers

pytestmark = pytest.mark.integration

ONE_PLANE = {"planes": ["axial"]}
LARGEST = [(architecture, encoder) for architecture in ARCHITECTURES for encoder in ("ResNet50", "DeepLabV3")]

# One plane for the largest networks spares time: planes are independent of the network.
globals().update(slice_testers("Femur", dict.fromkeys(LARGEST, ONE_PLANE)))


class TestThreePlane(BaseTrainerTester):
    trainer_name = "FemurThreePlaneTrainer"


def test_every_pair_has_two_trainers() -> None:
    from nnunet_femur import trainers

    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            for prefix in ("Femur", "FemurHead"):
                trainer = getattr(trainers, f"{prefix}{architecture}{encoder}Trainer")
                assert (trainer.architecture, trainer.encoder) == (architecture, encoder)
