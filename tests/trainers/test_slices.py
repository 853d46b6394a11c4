"""The trainers of two-dimensional networks, one class each."""

from __future__ import annotations

import pytest

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS
from tests.trainers.trainer_tester import BaseTrainerTester

pytestmark = pytest.mark.integration

ONE_PLANE = {"planes": ["axial"]}
"""For the largest networks, to spare time: planes are independent of the network."""


class TestUnetResNet34(BaseTrainerTester):
    trainer_name = "FemurUnetResNet34Trainer"


class TestUnetResNet50(BaseTrainerTester):
    trainer_name = "FemurUnetResNet50Trainer"
    recipe = ONE_PLANE


class TestUnetDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurUnetDeepLabV3Trainer"
    recipe = ONE_PLANE


class TestUnetMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurUnetMobileNetV3Trainer"


class TestUnetPlusPlusResNet34(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusResNet34Trainer"


class TestUnetPlusPlusResNet50(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusResNet50Trainer"
    recipe = ONE_PLANE


class TestUnetPlusPlusDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusDeepLabV3Trainer"
    recipe = ONE_PLANE


class TestUnetPlusPlusMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusMobileNetV3Trainer"


def test_every_pair_has_a_trainer_and_a_test() -> None:
    from nnunet_femur import trainers
    from tests.trainers import test_heads

    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            for kind in ("Femur", "FemurHead"):
                trainer = getattr(trainers, f"{kind}{architecture}{encoder}Trainer")
                assert (trainer.architecture, trainer.encoder) == (architecture, encoder)
            assert globals()[f"Test{architecture}{encoder}"].trainer_name == f"Femur{architecture}{encoder}Trainer"
            tester = getattr(test_heads, f"TestHead{architecture}{encoder}")
            assert tester.trainer_name == f"FemurHead{architecture}{encoder}Trainer"
