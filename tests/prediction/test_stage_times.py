"""Times of the stages of a prediction."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.prediction import Options, Segmenter, predict
from nnunet_femur.prediction.stage_times import STAGES, StageTimes

if TYPE_CHECKING:
    from pathlib import Path


def test_seconds_add_up_in_the_order_of_the_stages() -> None:
    times = StageTimes({"checks": 2.0})
    for stage, seconds in (("network", 0.02), ("read", 0.01), ("network", 0.03)):
        with times.measuring(stage):
            time.sleep(seconds)
    assert list(times.seconds) == ["read", "network", "checks"]
    assert 0.01 <= times.seconds["read"] < 0.05 <= times.seconds["network"] < 0.5
    assert times.seconds["checks"] == 2.0


def test_a_stage_that_fails_counts() -> None:
    times = StageTimes()
    with pytest.raises(ZeroDivisionError), times.measuring("export"):
        raise ZeroDivisionError
    assert list(times.seconds) == ["export"]


@pytest.mark.usefixtures("nowhere")
def test_every_case_has_its_times(model: Path, ct: Path, tmp_path: Path) -> None:
    start = time.perf_counter()
    femur = Segmenter(model, device="cpu", mirror=False)(ct)
    taken = time.perf_counter() - start
    assert list(femur.stage_seconds) == list(STAGES[:-1])
    assert 0 < sum(femur.stage_seconds.values()) < taken
    (result,) = predict(ct, model, tmp_path, options=Options(mirror=False), device="cpu").results
    assert list(result.stage_seconds) == list(STAGES)
    (case,) = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["cases"]
    assert case["stage_seconds"] == result.stage_seconds
    assert sum(result.stage_seconds.values()) == pytest.approx(result.seconds, abs=0.1)
