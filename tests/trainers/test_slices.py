"""The trainers of two-dimensional networks, one class each."""

from __future__ import annotations

import pytest

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS
from tests.trainers.trainer_tester import BaseTrainerTester

pytestmark = pytest.mark.integration


class TestUnetResNet34(BaseTrainerTester):
    trainer_name = "FemurUnetResNet34Trainer"


class TestUnetResNet50(BaseTrainerTester):
    trainer_name = "FemurUnetResNet50Trainer"


class TestUnetDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurUnetDeepLabV3Trainer"


class TestUnetMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurUnetMobileNetV3Trainer"


class TestUnetPlusPlusResNet34(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusResNet34Trainer"


class TestUnetPlusPlusResNet50(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusResNet50Trainer"


class TestUnetPlusPlusDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusDeepLabV3Trainer"


class TestUnetPlusPlusMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurUnetPlusPlusMobileNetV3Trainer"


def test_every_pair_has_a_trainer_and_a_test() -> None:
    from nnunet_femur import trainers

    for architecture in ARCHITECTURES:
        for encoder in ENCODERS:
            for kind in ("Femur", "FemurHead"):
                trainer = getattr(trainers, f"{kind}{architecture}{encoder}Trainer")
                assert (trainer.architecture, trainer.encoder) == (architecture, encoder)
            tester = globals()[f"Test{architecture}{encoder}"]
            assert tester.trainer_name == f"Femur{architecture}{encoder}Trainer"
