"""The trainers of three-dimensional networks, one class each."""

from __future__ import annotations

import pytest

from tests.trainers.trainer_tester import BaseTrainerTester

pytestmark = pytest.mark.integration


class TestScratch(BaseTrainerTester):
    trainer_name = "FemurScratchTrainer"
    takes_slices = False
