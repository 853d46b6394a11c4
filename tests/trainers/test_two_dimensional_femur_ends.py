"""The trainers of the ends of the femur: the tests of every trainer, for each network."""

from __future__ import annotations

import pytest

from tests.trainers.trainer_tester import slice_testers

pytestmark = pytest.mark.integration

globals().update(slice_testers("FemurHead"))
