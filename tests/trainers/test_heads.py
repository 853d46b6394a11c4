"""The trainers of heads, one class each."""

from __future__ import annotations

import pytest

from tests.trainers.trainer_tester import BaseTrainerTester

pytestmark = pytest.mark.integration


class TestHeadUnetResNet34(BaseTrainerTester):
    trainer_name = "FemurHeadUnetResNet34Trainer"


class TestHeadUnetResNet50(BaseTrainerTester):
    trainer_name = "FemurHeadUnetResNet50Trainer"


class TestHeadUnetDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurHeadUnetDeepLabV3Trainer"


class TestHeadUnetMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurHeadUnetMobileNetV3Trainer"


class TestHeadUnetPlusPlusResNet34(BaseTrainerTester):
    trainer_name = "FemurHeadUnetPlusPlusResNet34Trainer"


class TestHeadUnetPlusPlusResNet50(BaseTrainerTester):
    trainer_name = "FemurHeadUnetPlusPlusResNet50Trainer"


class TestHeadUnetPlusPlusDeepLabV3(BaseTrainerTester):
    trainer_name = "FemurHeadUnetPlusPlusDeepLabV3Trainer"


class TestHeadUnetPlusPlusMobileNetV3(BaseTrainerTester):
    trainer_name = "FemurHeadUnetPlusPlusMobileNetV3Trainer"
