"""The same voxels as nnU-Net's own prediction of the same CT with the same model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.dataset.environment import TRAINER_FOLDER
from nnunet_femur.prediction import Options, predict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


def _by_nnunet(
    model: Path, ct: Path, folder: Path, *, folds: tuple[int, ...] = (0,), probabilities: bool = False
) -> Any:
    """nnU-Net's mask, read from the file that it writes; or its probabilities for both classes, z, y, x."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_extTrainer", str(TRAINER_FOLDER))
        predictor.initialize_from_trained_model_folder(str(model), folds, "checkpoint_final.pth")
    folder.mkdir(exist_ok=True)
    predictor.predict_from_files_sequential([[str(ct)]], [str(folder / "case")], probabilities, True, None)
    if probabilities:
        return np.load(folder / "case.npz")["probabilities"]
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "case.nrrd")))


def _ours(model: Path, ct: Path, folder: Path, **options: Any) -> np.ndarray:
    outcome = predict([ct], model, folder, options=Options(**options), device="cpu")
    assert outcome.complete, outcome.results
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{outcome.results[0].case}.nrrd")))


def _resampled(ct: Path, folder: Path, *, spacing: tuple[float, float, float], orientation: str) -> Path:
    """The CT on another grid, its first slices empty, as outside of a scanner's field."""
    image = sitk.ReadImage(str(ct))
    size = [round(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)]
    image = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0
    )
    image[:, :, :3] = 0
    image[:2, :, :] = 0
    path = folder / "other_0000.nrrd"
    sitk.WriteImage(sitk.DICOMOrient(sitk.Cast(image, sitk.sitkInt16), orientation), str(path))
    return path


GRIDS = {
    "finer slices": ((7.0, 4.5, 4.5), (6.0, 6.5, 9.0), "RAS"),
    "coarser, stored from left to right": ((12.0, 7.0, 7.0), (4.0, 4.0, 5.0), "LPS"),
    "thick slices, resized one by one": ((8.0, 5.0, 5.0), (2.5, 2.5, 20.0), "RAI"),
    "thick sagittal slices": ((8.0, 5.0, 5.0), (21.0, 3.0, 3.5), "ARS"),
}


@pytest.mark.parametrize("name", GRIDS)
def test_equals_nnunet_on(name: str, make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    spacing_of_model, spacing, orientation = GRIDS[name]
    model = make_model(spacing=list(spacing_of_model))
    other = _resampled(ct, tmp_path, spacing=spacing, orientation=orientation)
    expected = _by_nnunet(model, other, tmp_path / "theirs")
    found = _ours(model, other, tmp_path / "ours")
    assert 0.005 < expected.mean() < 0.5, "the comparison says something"
    assert np.count_nonzero(found != expected) <= 1e-4 * np.count_nonzero(expected)


def test_equals_nnunet_where_nothing_is_resampled(make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    model = make_model()
    assert np.array_equal(_ours(model, ct, tmp_path / "ours"), _by_nnunet(model, ct, tmp_path / "theirs"))


def test_equals_nnunet_in_slices(make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    model = make_model(configuration="2d", spacing=[5.0, 5.5])
    expected = _by_nnunet(model, ct, tmp_path / "theirs")
    assert expected.any()
    assert np.count_nonzero(_ours(model, ct, tmp_path / "ours") != expected) <= 1e-4 * np.count_nonzero(expected)


def test_turned_axes_are_those_of_the_plans(make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    model = make_model(spacing=[5.0, 5.5, 8.0], transpose_forward=[1, 2, 0], transpose_backward=[2, 0, 1])
    expected = _by_nnunet(model, ct, tmp_path / "theirs")
    assert expected.any()
    assert np.count_nonzero(_ours(model, ct, tmp_path / "ours") != expected) <= 1e-4 * np.count_nonzero(expected)


def test_what_is_left_to_nnunet_is_its_own(make_model: Callable[..., Path], ct: Path, tmp_path: Path) -> None:
    """Plans with another way of resampling."""
    import json

    model = make_model(spacing=[8.0, 5.0, 5.0])
    plans = json.loads((model / "plans.json").read_text())
    own = plans["configurations"]["3d_fullres"]
    own |= {
        "resampling_fn_probabilities": "resample_torch_fornnunet",
        "resampling_fn_probabilities_kwargs": {
            "is_seg": False,
            "force_separate_z": None,
            "memefficient_seg_resampling": False,
        },
    }
    (model / "plans.json").write_text(json.dumps(plans))
    expected = _by_nnunet(model, ct, tmp_path / "theirs")
    assert expected.any()
    assert np.array_equal(_ours(model, ct, tmp_path / "ours"), expected)


class TestEnsemble:
    def test_is_the_mean_of_the_folds_softmax(self, ensemble: Path, ct: Path, tmp_path: Path) -> None:
        from nnunet_femur.prediction.export import disagreement

        folds = [_by_nnunet(ensemble, ct, tmp_path / str(fold), folds=(fold,), probabilities=True) for fold in range(3)]
        expected = np.mean(folds, axis=0).argmax(0)
        outcome = predict([ct], ensemble, tmp_path / "ours", options=Options(uncertainty=True), device="cpu")
        (result,) = outcome.results
        turned = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "ours" / f"{result.case}.nrrd")), "RAS")
        found = sitk.GetArrayFromImage(turned)
        assert np.count_nonzero(found != expected) <= 1e-4 * np.count_nonzero(expected)
        masks = [each.argmax(0) for each in folds]
        pairs = [(0, 1), (0, 2), (1, 2)]
        dice = [2 * (masks[a] & masks[b]).sum() / (masks[a].sum() + masks[b].sum()) for a, b in pairs]
        assert result.disagreement == pytest.approx(1 - np.mean(dice), abs=1e-4)
        assert 0 < result.disagreement < 1
        deviation = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "ours" / f"{result.case}_uncertainty.nrrd")), "RAS")
        assert np.abs(sitk.GetArrayFromImage(deviation) - np.std([each[1] for each in folds], axis=0)).max() < 2e-3
        assert disagreement(np.array([0, 0]), np.array([0])) == 0

    def test_of_one_fold_has_no_disagreement(self, ensemble: Path, ct: Path, tmp_path: Path) -> None:
        before = dict(os.environ)
        outcome = predict([ct], ensemble / "fold_1", tmp_path, device="cpu")
        assert dict(os.environ) == before, "nothing of nnU-Net's has to be set, and nothing stays"
        assert outcome.results[0].disagreement is None
        expected = _by_nnunet(ensemble, ct, tmp_path / "theirs", folds=(1,))
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{outcome.results[0].case}.nrrd")))
        assert np.count_nonzero(found != expected) <= 1e-4 * np.count_nonzero(expected)
