"""bfloat16 on processors that have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.prediction import predictor
from nnunet_femur.prediction.models import find_model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


@pytest.mark.parametrize("has", [True, False])
def test_differs_little_and_only_where_the_processor_has_it(
    ensemble: Path, monkeypatch: pytest.MonkeyPatch, *, has: bool
) -> None:
    loaded = predictor.load_predictor(find_model(ensemble), device=torch.device("cpu"), mirror=False)
    data = torch.nn.functional.avg_pool3d(torch.randn(1, 1, *loaded.configuration_manager.patch_size), 5, 1, 2)[0] * 5
    monkeypatch.setattr(predictor, "calculates_in_bfloat16", lambda: has)
    single, half = (predictor.logits_of_folds(loaded, data, half=each) for each in (False, True))
    # Folds further apart than this precision: none of them answers with another one's weights.
    assert min(_distance(single[a], single[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 0.2
    for exact, found in zip(single, half, strict=True):
        assert found.dtype is torch.half
        distance = _distance(exact, found)
        assert 0 < distance < 0.03 if has else distance == 0


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square of the difference, as a part of that of the values' spread."""
    return float((a.float() - b.float()).pow(2).mean().sqrt() / a.float().std())


@pytest.mark.parametrize(("further", "step_size"), [((), 0.8), (("--step-size", "0.6"), 0.6)])
def test_quick_is_short_for_three_options(
    ensemble: Path, ct: Path, tmp_path: Path, further: tuple[str, ...], step_size: float
) -> None:
    arguments = ["-i", ct, "-m", ensemble / "fold_0", "-o", tmp_path, "--quick", "--no-mirror", "--device", "cpu"]
    result = CliRunner().invoke(app, ["predict", *map(str, arguments), *further])
    assert result.exit_code == 0, result.output
    options = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["options"]
    assert (options["step_size"], options["crop_to_bone"], options["half"]) == (step_size, True, True)
