"""The 2D network that we recommend."""

from __future__ import annotations

import pytest

from tests.trainers.trainer_tester import BaseTrainerTester

pytestmark = pytest.mark.integration


class TestThreePlane(BaseTrainerTester):
    trainer_name = "FemurThreePlaneTrainer"
