"""The mask of a CT is the same whether the femur is localised first or all windows are computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.prediction import Options, Segmenter, predict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]

BONES = {
    "one leg": [(slice(20, 44), slice(8, 14), slice(30, 38))],
    "two legs": [(slice(10, 60), slice(8, 14), slice(5, 11)), (slice(15, 55), slice(8, 14), slice(55, 61))],
    "cut by the border": [(slice(48, 64), slice(40, 50), slice(0, 6))],
}


class Threshold:
    """A network that takes dense voxels for femur, with logits that depend on the window."""

    name, precision = "torch", "float32"

    def __init__(self, channels: int, femur: tuple[int, ...] = (1,)) -> None:
        self.notes: list[str] = []
        self.channels, self.femur = channels, femur

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        self.shift = 0.02 * float(next(iter(parameters.values())).flatten()[0].tanh())

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        pool = torch.nn.functional.avg_pool3d if windows.ndim == 5 else torch.nn.functional.avg_pool2d
        logits = torch.zeros(len(windows), self.channels, *windows.shape[2:])
        for number, channel in enumerate(self.femur):
            logits[:, channel] = pool(windows, 3, 1, 1)[:, 0] - self.shift - 0.1 * number
        return logits


def _ct(bones, folder: Path, name: str = "case.nrrd") -> Path:
    voxels = np.random.default_rng(2).normal(-100, 8, (64, 60, 70)).astype(np.int16)
    for each in bones:
        voxels[each] = 900
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((6.0, 6.0, 7.0))
    path = folder / name
    sitk.WriteImage(image, str(path))
    return path


def _mask(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def threshold(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(**settings) -> None:
        monkeypatch.setattr(
            "nnunet_femur.prediction.backends.choice.backend_of", lambda *_, **__: Threshold(**settings)
        )

    return use


@pytest.mark.parametrize("name", BONES)
@pytest.mark.parametrize("making", [{}, {"folds": 3}, {"source_rows": (3, 1)}, {"configuration": "2d"}], ids=str)
def test_masks_are_equal(name: str, making: dict, make_model: Callable[..., Path], tmp_path: Path, threshold) -> None:
    spacing = [5.0, 5.0] if "configuration" in making else [7.0, 5.0, 5.0]
    model = make_model(spacing=spacing, **making)
    rows = making.get("source_rows", ())
    threshold(channels=5 if rows else 2, femur=rows or (1,))
    ct = _ct(BONES[name], tmp_path)
    masks, searches = [], []
    for exhaustive in (False, True):
        output = tmp_path / str(exhaustive)
        result = predict(
            [ct], model, output, exhaustive=exhaustive, mirror=False, device="cpu", largest_component=False
        )
        assert result.complete, result.results
        masks.append(_mask(output / "case.nrrd"))
        (case,) = json.loads((output / "predictions.json").read_text())["cases"]
        searches.append(case["search"])
    assert np.array_equal(*masks)
    assert masks[0].sum() > 0.8 * sum(np.prod([part.stop - part.start for part in bone]) for bone in BONES[name])
    near, whole = searches
    assert (near["region"], near["localisers"], near["found"]) == ("around-femur", ["own-windows"], True)
    assert near["windows"] < 0.8 * near["windows_of_grid"]
    assert whole["region"] == "everywhere"
    assert whole["windows"] == whole["windows_of_grid"] == near["windows_of_grid"]


def test_uncertainty_is_zero_where_nothing_was_searched(make_model, tmp_path: Path, threshold) -> None:
    threshold(channels=2)
    model = make_model(spacing=[7.0, 5.0, 5.0], folds=2)
    ct = _ct(BONES["one leg"], tmp_path)
    found = []
    for exhaustive in (False, True):
        with Segmenter(model, device="cpu", mirror=False, uncertainty=True, exhaustive=exhaustive) as segmenter:
            found.append(segmenter(ct))
    near, whole = (sitk.GetArrayFromImage(femur.uncertainty) for femur in found)
    assert found[0].search.region == "around-femur"
    assert near[50:].max() == 0 < near.max()
    femur = (slice(18, 46), slice(6, 16), slice(28, 40))
    assert np.array_equal(near[femur], whole[femur])
    assert found[0].disagreement == found[1].disagreement


def test_a_ct_without_a_femur_is_searched_everywhere_and_says_so(make_model, tmp_path: Path, threshold) -> None:
    threshold(channels=2)
    with Segmenter(make_model(), device="cpu", mirror=False) as segmenter:
        femur = segmenter(_ct([], tmp_path))
    assert not _has_voxels(femur.mask)
    assert (femur.search.region, femur.search.found) == ("everywhere", False)
    assert {"no-femur", "not-localised"} <= {finding.code for finding in femur.findings}


def _has_voxels(mask: sitk.Image) -> bool:
    return bool(sitk.GetArrayViewFromImage(mask).any())


def test_records_of_versions_without_localisation_are_current(model: Path, tmp_path: Path, threshold) -> None:
    threshold(channels=2)
    ct = _ct(BONES["one leg"], tmp_path)
    output = tmp_path / "out"
    assert predict([ct], model, output, mirror=False, device="cpu").complete
    record = json.loads((output / "predictions.json").read_text())
    for case in record["cases"]:
        del case["search"]
    (output / "predictions.json").write_text(json.dumps(record))
    assert predict([ct], model, output, mirror=False, device="cpu").skipped == ("case",)
    assert predict([ct], model, output, options=Options(mirror=False, exhaustive=True), device="cpu").skipped == ()


def test_exhaustive_is_an_option_of_the_command(model: Path, tmp_path: Path, threshold) -> None:
    threshold(channels=2)
    ct = _ct(BONES["one leg"], tmp_path)
    arguments = ["predict", "-i", str(ct), "-m", str(model), "-o", str(tmp_path / "out"), "--device", "cpu"]
    outcome = CliRunner().invoke(app, [*arguments, "--exhaustive", "--no-mirror"])
    assert outcome.exit_code == 0, outcome.output
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert record["options"]["exhaustive"]
    assert record["cases"][0]["search"]["localisers"] == []
