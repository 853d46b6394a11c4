"""Sides by the network's own channels: the mask stays the same, and the side is that of the larger channel."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.imaging import read_femur
from nnunet_femur.prediction import Options, Segmenter, bone_sides, predict
from nnunet_femur.prediction.output_channels import SideChannels, side_channels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]

SIDED = {"background": 0, "femur_right": 1, "hip": 2, "femur_left": 3}


@pytest.fixture
def without_measuring(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The sides of the voxels as they reach the postprocessing; shapeless blobs need not be measured."""
    calls: list[dict[str, Any]] = []

    def told(mask: np.ndarray, geometry: object, *, case: str, network_zyx: np.ndarray | None) -> Any:
        calls.append({"mask": mask, "network": network_zyx})
        return bone_sides.SidedFemurs(np.zeros(mask.shape, np.uint8), (), ())

    monkeypatch.setattr("nnunet_femur.prediction.segmenter.tell_sides", told)
    return calls


def _by_nnunet(segmenter: Segmenter, ct: Path) -> list[np.ndarray]:
    """The channels of each fold on the CT's grid, interpolated by scikit-image: an independent implementation."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    from nnunet_femur.imaging.sources import Source
    from nnunet_femur.prediction.network_input import read_input

    predictor = segmenter._require_open()
    seen = read_input(Source("ct", ct), predictor)
    shape = seen.preprocessed.properties["shape_after_cropping_and_before_resampling"]
    own = seen.preprocessed.properties["spacing"]

    def logits_of(weights: dict[str, Any]) -> Any:
        predictor.network.load_state_dict(weights)
        return predictor.predict_sliding_window_return_logits(seen.preprocessed.data)

    return [
        np.stack(
            [
                seen.on_own_grid(each)
                for each in resample_data_or_seg_to_shape(
                    logits.float().numpy(), shape, predictor.configuration_manager.spacing, own, order=1, order_z=0
                )
            ]
        )
        for logits in map(logits_of, predictor.list_of_parameters)
    ]


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize(
    ("making", "channels"),
    [({"labels": SIDED}, SideChannels(3, 1)), ({"source_rows": (3, 1)}, SideChannels(3, 1))],
    ids=["labels", "fine-tuned"],
)
def test_are_those_of_the_larger_channel(
    folds: int,
    making: dict[str, Any],
    channels: SideChannels,
    make_model: Callable[..., Path],
    ct: Path,
    without_measuring: list[dict[str, Any]],
) -> None:
    model = make_model(spacing=[8.0, 5.0, 5.0], folds=folds, **making)
    segmenter = Segmenter(model, device="cpu", mirror=False)
    assert segmenter._sides == channels
    femur = segmenter(ct)
    (seen,) = without_measuring
    mask = sitk.GetArrayFromImage(femur.mask) > 0
    assert np.array_equal(seen["mask"] > 0, mask)
    expected = np.zeros(mask.shape)
    for logits in _by_nnunet(segmenter, ct):
        expected += 1 / (1 + np.exp(logits[channels.right] - logits[channels.left])) - 0.5
    assert np.array_equal(seen["network"] != 0, mask), "no two channels are equal here"
    assert len(set(np.sign(expected[mask]))) == 2, "the comparison says something"
    wrong = np.sign(expected[mask]) != seen["network"][mask]
    assert wrong.mean() < 1e-3, "but for rounding"
    segmenter._sides = None
    assert np.array_equal(sitk.GetArrayFromImage(segmenter(ct).mask) > 0, mask), "the mask does not depend on the sides"
    assert without_measuring[1]["network"] is None


def test_are_not_those_of_other_networks(make_model: Callable[..., Path], ct: Path, without_measuring: list) -> None:
    model = make_model()
    segmenter = Segmenter(model, device="cpu", mirror=False)
    segmenter(ct)
    assert (segmenter._sides, without_measuring[0]["network"]) == (None, None)


@pytest.mark.parametrize(
    ("labels", "femur", "expected"),
    [
        ({"background": 0, "femur_left": 1, "femur_right": 2}, (1, 2), SideChannels(1, 2)),
        ({"background": 0, "Right femur": 1, "Femur L": 2}, (1, 2), SideChannels(2, 1)),
        ({"background": 0, "femur": 1}, (1,), None),
        ({"background": 0, "femur_left": 1, "femur_right": 2}, (1,), None),
        ({"background": 0, "femur_left": 1, "femur_right": 2, "femur": 3}, (1, 2, 3), None),
    ],
)
def test_channels_by_labels(labels: dict[str, int], femur: tuple[int, ...], expected: SideChannels | None) -> None:
    class Manager:
        has_regions = False

    class Predictor:
        label_manager = Manager()

    assert side_channels(Predictor(), labels, femur) == expected


def test_of_plans_that_nnunet_exports_itself(
    make_model: Callable[..., Path], ct: Path, without_measuring: list[dict[str, Any]]
) -> None:
    model = make_model(spacing=[8.0, 5.0, 5.0], labels=SIDED)
    plans = json.loads((model / "plans.json").read_text())
    settings = {"is_seg": False, "force_separate_z": None, "memefficient_seg_resampling": False}
    plans["configurations"]["3d_fullres"] |= {
        "resampling_fn_probabilities": "resample_torch_fornnunet",
        "resampling_fn_probabilities_kwargs": settings,
    }
    Segmenter(model, device="cpu", mirror=False)(ct)
    ours = without_measuring[0]
    (model / "plans.json").write_text(json.dumps(plans))
    Segmenter(model, device="cpu", mirror=False)(ct)
    theirs = without_measuring[1]
    assert np.array_equal(theirs["network"] != 0, theirs["mask"] > 0)
    assert np.mean(ours["network"] != theirs["network"]) < 1e-3


class TestOptions:
    def test_sides_are_a_new_option_of_old_records(self) -> None:
        assert "sides" not in Options().deciding()
        assert Options(sides=True).deciding()["sides"] is True
        assert Options(sides=True).of_mask()["sides"] is True

    def test_files_without_sides_are_made_again_with_them(
        self, make_model: Callable[..., Path], ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def all_left(mask: np.ndarray, *_: object, **__: object) -> bone_sides.SidedFemurs:
            return bone_sides.SidedFemurs(mask * np.uint8(1), (), ())

        monkeypatch.setattr("nnunet_femur.prediction.segmenter.tell_sides", all_left)
        model = make_model()
        options: dict[str, Any] = {"device": "cpu", "mirror": False, "stl": True}
        first = predict([ct], model, tmp_path, **options)
        (case,) = (result.case for result in first.results)
        assert predict([ct], model, tmp_path, **options).skipped == (case,)
        again = predict([ct], model, tmp_path, sides=True, **options)
        assert again.skipped == ()
        assert set(again.results[0].files) == {f"{case}.nrrd", f"{case}_left.stl"}


def test_the_command_writes_sides(make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    model = make_model(spacing=[8.0, 5.0, 5.0], labels=SIDED)
    arguments = ["predict", "-i", str(ct), "-m", str(model), "-o", str(tmp_path), "--sides", "--stl"]
    more = ["--format", "nrrd", "--format", "seg.nrrd", "--device", "cpu", "--no-mirror", "--largest-component"]
    result = CliRunner().invoke(app, [*arguments, *more])
    assert result.exit_code == 0, result.output
    (case,) = json.loads((tmp_path / "predictions.json").read_text())["cases"]
    with (tmp_path / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["side"], row["side_source"], row["findings"]) == (
        case["side"],
        case["side_source"],
        " ".join(case["findings"]),
    )
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{case['case']}.nrrd")))
    named = {1: "left", 2: "right", 3: "unknown"}
    found = {named[int(value)] for value in np.unique(values) if value}
    assert found
    assert case["side"] == ("both" if {"left", "right"} <= found else min(found - {"unknown"} or {"unknown"}))
    surfaces = {f"{case['case']}_{side}.stl" for side in found}
    assert set(case["files"]) == surfaces | {f"{case['case']}.nrrd", f"{case['case']}.seg.nrrd"}
    whole = read_femur(tmp_path / f"{case['case']}.seg.nrrd").voxels_zyx
    assert np.array_equal(whole, values > 0)
