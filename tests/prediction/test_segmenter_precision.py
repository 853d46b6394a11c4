"""Backend and precision of a prediction, by option and by what the network and the machine allow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner
from written_files import PREDICTIONS, fields_of

from nnunet_femur import Segmenter
from nnunet_femur.cli import app
from nnunet_femur.errors import InputError
from nnunet_femur.networks.precision import openvino_precisions
from nnunet_femur.prediction import Options, predict
from nnunet_femur.prediction.backends import TorchBackend, choice

if TYPE_CHECKING:
    from pathlib import Path

    import torch

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


def _mask(ensemble: Path, ct: Path, **options: Any) -> np.ndarray:
    with Segmenter(ensemble, folds=0, device="cpu", mirror=False, **options) as segmenter:
        return sitk.GetArrayFromImage(segmenter(ct).mask)


def test_openvino_gives_the_mask_of_pytorch(ensemble: Path, ct: Path) -> None:
    """Of networks with random weights, whose logits are closer together than those of trained ones."""
    pytest.importorskip("openvino")
    expected = _mask(ensemble, ct, backend="torch")
    for precision, part in (("float32", 1e-3), ("float16", 1e-2)):
        if precision in openvino_precisions():
            found = _mask(ensemble, ct, backend="openvino", precision=precision)
            assert np.count_nonzero(found != expected) <= part * np.count_nonzero(expected)
    assert expected.any()


class Overflowing(TorchBackend):
    """A network whose logits exceed the range of float16."""

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        logits = super().__call__(windows)
        return logits * np.inf if self.precision == "float16" else logits


class TestInfiniteLogits:
    @pytest.fixture(autouse=True)
    def _fast_in_float16(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "TorchBackend", Overflowing)
        own = choice.torch_precision
        monkeypatch.setattr(
            choice, "torch_precision", lambda asked, device: "float16" if asked == "auto" else own(asked, device)
        )

    def test_are_computed_again_in_float32(self, ensemble: Path, ct: Path) -> None:
        segmenter = Segmenter(ensemble, folds=0, device="cpu", mirror=False)
        assert segmenter.precision == "float16"
        femur = segmenter(ct)
        assert (segmenter.precision, femur.precision, femur.backend) == ("float32", "float32", "torch")
        assert len(segmenter.notes) == 1
        assert np.array_equal(sitk.GetArrayFromImage(femur.mask), _mask(ensemble, ct, precision="float32"))
        segmenter(ct)
        assert len(segmenter.notes) == 1

    def test_are_an_error_where_float16_was_asked_for(self, ensemble: Path, ct: Path) -> None:
        segmenter = Segmenter(ensemble, folds=0, device="cpu", mirror=False, precision="float16")
        with pytest.raises(InputError) as caught:
            segmenter(ct)
        assert caught.value.code == "invalid-model"


def test_backend_and_precision_are_recorded_with_every_case(
    ensemble: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "calculates_in_bfloat16", lambda: True)
    model = ensemble / "fold_0"
    first, second = (tmp_path / name for name in ("first_0000.nrrd", "second_0000.nrrd"))
    for path in (first, second):
        path.symlink_to(ct)
    predict([first], model, tmp_path / "out", options=Options(half=True, mirror=False), device="cpu")
    predict([second], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert (record["precision"], record["backend"], record["notes"]) == ("float32", "torch", [])
    assert list(record) == fields_of(PREDICTIONS, "predictions.json")
    table = (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8")
    assert table.splitlines()[0].split(",") == fields_of(PREDICTIONS, "predictions.csv")
    assert [case["precision"] for case in record["cases"]] == ["bfloat16", "float32"]
    assert [case["backend"] for case in record["cases"]] == ["torch", "torch"]
    for case in record["cases"]:
        del case["precision"], case["backend"]
    (tmp_path / "out" / "predictions.json").write_text(json.dumps(record))
    again = predict([second], model, tmp_path / "out", options=Options(mirror=False), device="cpu")
    assert again.skipped == ("second",), "records of older versions are read"


def test_notes_are_printed_and_recorded(
    ensemble: Path, ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "LARGE_FLOP", 1)
    monkeypatch.setattr(choice, "openvino_precisions", lambda: ("float32",))
    arguments = ["-i", ct, "-m", ensemble / "fold_0", "-o", tmp_path, "--precision", "bfloat16", "--device", "cpu"]
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert (record["backend"], record["precision"], len(record["notes"])) == ("torch", "bfloat16", 1)
    assert record["notes"][0].split()[0] in result.output


@pytest.mark.parametrize(("further", "step_size"), [((), 0.8), (("--step-size", "0.6"), 0.6)])
def test_quick_is_short_for_three_options(
    ensemble: Path, ct: Path, tmp_path: Path, further: tuple[str, ...], step_size: float
) -> None:
    arguments = ["-i", ct, "-m", ensemble / "fold_0", "-o", tmp_path, "--quick", "--no-mirror", "--device", "cpu"]
    result = CliRunner().invoke(app, ["predict", *map(str, arguments), *further])
    assert result.exit_code == 0, result.output
    options = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["options"]
    assert (options["step_size"], options["crop_to_bone"], options["half"]) == (step_size, True, True)
