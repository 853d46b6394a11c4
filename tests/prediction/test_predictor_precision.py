"""float32 unless half precision is asked for, which is bfloat16 on processors that have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.networks.precision import precision_of
from nnunet_femur.prediction import Options, predict, predictor
from nnunet_femur.prediction.trained_model import find_model

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


@pytest.mark.parametrize("has", [True, False])
def test_differs_little_and_only_where_the_processor_has_it(
    ensemble: Path, monkeypatch: pytest.MonkeyPatch, *, has: bool
) -> None:
    loaded = predictor.load_predictor(find_model(ensemble), device=torch.device("cpu"), mirror=False)
    data = torch.nn.functional.avg_pool3d(torch.randn(1, 1, *loaded.configuration_manager.patch_size), 5, 1, 2)[0] * 5
    monkeypatch.setattr("nnunet_femur.networks.precision.calculates_in_bfloat16", lambda: has)
    single, half = (predictor.logits_of_folds(loaded, data, half=each) for each in (False, True))
    # Folds further apart than this precision: none of them answers with another one's weights.
    assert min(_distance(single[a], single[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 0.2
    for exact, found in zip(single, half, strict=True):
        assert found.dtype is torch.half
        distance = _distance(exact, found)
        assert 0 < distance < 0.03 if has else distance == 0


def _watched(network: torch.nn.Module) -> tuple[set[torch.dtype], set[bool]]:
    """The types of all activations, and whether TensorFloat-32 was allowed, noted at every pass."""
    kinds: set[torch.dtype] = set()
    allowed: set[bool] = set()

    def note(_: torch.nn.Module, __: object, output: torch.Tensor) -> None:
        kinds.add(output.dtype)
        allowed.update((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
            module.register_forward_hook(note)
    return kinds, allowed


def _as_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nnU-Net predict under an autocast to half precision, as it always does on CUDA."""
    monkeypatch.setattr(
        "nnunetv2.inference.predict_from_raw_data.dummy_context", lambda: torch.autocast("cpu", dtype=torch.bfloat16)
    )


@pytest.mark.parametrize("half", [False, True])
def test_the_autocast_of_nnunet_is_switched_off(ensemble: Path, monkeypatch: pytest.MonkeyPatch, *, half: bool) -> None:
    loaded = predictor.load_predictor(find_model(ensemble, folds=["0"]), device=torch.device("cpu"))
    _as_on_cuda(monkeypatch)
    monkeypatch.setattr("nnunet_femur.networks.precision.calculates_in_bfloat16", lambda: False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    kinds, allowed = _watched(loaded.network)
    predictor.logits_of_folds(loaded, torch.randn(1, *loaded.configuration_manager.patch_size), half=half)
    assert kinds == {torch.bfloat16 if half else torch.float32}
    if not half:
        assert allowed == {False}
    assert torch.backends.cudnn.allow_tf32, "only for the time of the prediction"


@pytest.mark.parametrize(("half", "has"), [(False, True), (True, True), (True, False)])
def test_networks_of_slices_follow(monkeypatch: pytest.MonkeyPatch, *, half: bool, has: bool) -> None:
    """Also where the processor has bfloat16, which they take by themselves under nnU-Net's own commands."""
    from types import SimpleNamespace

    from nnunet_femur.networks.precision import bfloat16_context
    from nnunet_femur.networks.three_planes import ThreePlaneNetwork
    from nnunet_femur.prediction.predictor import calculating

    network = ThreePlaneNetwork(torch.nn.Conv2d(1, 2, 3, padding=1), stride=1, in_bfloat16=True).eval()
    monkeypatch.setattr("nnunet_femur.networks.precision.calculates_in_bfloat16", lambda: has)
    stub = SimpleNamespace(network=network, device=torch.device("cpu"), half=None)
    kinds, _ = _watched(network)
    with torch.inference_mode(), calculating(stub, half=half), bfloat16_context(stub.device, half=half):
        network(torch.randn(1, 1, 4, 5, 6))
        network(torch.randn(2, 1, 5, 6))
    assert kinds == {torch.bfloat16 if half and has else torch.float32}
    assert network.in_bfloat16


@pytest.mark.parametrize(
    ("device", "half", "has", "precision"),
    [
        ("cpu", False, True, "float32"),
        ("cpu", True, True, "bfloat16"),
        ("cpu", True, False, "float32"),
        ("cuda", False, True, "float32"),
        ("cuda", True, False, "float16"),
        ("mps", True, True, "float32"),
    ],
)
def test_the_name_of_the_precision(
    monkeypatch: pytest.MonkeyPatch, *, device: str, half: bool, has: bool, precision: str
) -> None:
    monkeypatch.setattr("nnunet_femur.networks.precision.calculates_in_bfloat16", lambda: has)
    assert precision_of(torch.device(device), half=half) == precision


def test_the_precision_is_recorded_with_every_case(
    ensemble: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_femur.networks.precision.calculates_in_bfloat16", lambda: True)
    model = ensemble / "fold_0"
    first, second = (tmp_path / name for name in ("first_0000.nrrd", "second_0000.nrrd"))
    for path in (first, second):
        path.symlink_to(ct)
    predict([first], model, tmp_path / "out", options=Options(half=True, mirror=False), device="cpu")
    predict([second], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert record["precision"] == "float32"
    assert [case["precision"] for case in record["cases"]] == ["bfloat16", "float32"]
    for case in record["cases"]:
        del case["precision"]
    (tmp_path / "out" / "predictions.json").write_text(json.dumps(record))
    again = predict([second], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
    assert again.skipped == ("second",), "records of older versions are read"


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
