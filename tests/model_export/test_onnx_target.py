"""Export to ONNX: the program that comes with it gives this package's mask."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur import Segmenter
from nnunet_femur.model_export.onnx_target import OnnxTarget, run_exported
from nnunet_femur.model_export.trained_networks import load_networks
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.testing import make_phantom
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def _exported(model: Path, folder: Path) -> Path:
    networks = load_networks(find_model(model))
    OnnxTarget().require_exportable(networks)
    folder.mkdir()
    OnnxTarget().write(networks, folder)
    return folder


def _changed(model: Path, folder: Path, *, plans: dict[str, Any] | None = None, **configuration: Any) -> Path:
    """A copy of a model with other plans."""
    copy = folder / model.parent.name / model.name
    shutil.copytree(model, copy)
    content = json.loads((copy / "plans.json").read_text())
    content |= plans or {}
    content["configurations"]["3d_fullres"] |= configuration
    (copy / "plans.json").write_text(json.dumps(content))
    return copy


def _with_new_weights(model: Path) -> Path:
    """Give a model of slices random weights for its plans that call a tenth of a phantom femur."""
    import torch
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_femur import trainers
    from nnunet_femur.prediction.network_input import ImageInMemory, read_input
    from nnunet_femur.prediction.predictor import load_predictor, logits_of_folds

    plans = PlansManager(json.loads((model / "plans.json").read_text()))
    trainer, path = getattr(trainers, model.name.split("__")[0]), model / "fold_0" / "checkpoint_final.pth"
    torch.manual_seed(0)
    network = trainer.build_network_architecture(plans, plans.get_configuration("3d_fullres"), 1, 2)
    checkpoint = torch.load(path, weights_only=False) | {"network_weights": network.state_dict()}
    torch.save(checkpoint, path)
    predictor = load_predictor(find_model(model), device=torch.device("cpu"))
    seen = read_input(ImageInMemory(_phantom()), predictor)
    (logits,) = logits_of_folds(predictor, seen.preprocessed.data)
    (bias,) = (name for name in network.state_dict() if name.endswith("segmentation_head.0.bias"))
    checkpoint["network_weights"][bias][1] -= torch.quantile((logits[1] - logits[0]).float().flatten(), 0.9)
    torch.save(checkpoint, path)
    return model


def _phantom() -> sitk.Image:
    return make_phantom(5, side="right", size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0)).image


def _stored(folder: Path, orientation: str, *, degrees: float = 0.0, spacing: tuple | None = None) -> Path:
    """A phantom in a file, its first slices empty, in any orientation, turned, and on another grid."""
    image = _phantom()
    if spacing:
        size = [round(n * mm / new) for n, mm, new in zip(image.GetSize(), image.GetSpacing(), spacing, strict=True)]
        image = sitk.Resample(
            image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0
        )
    image[:, :, :3] = 0
    image = sitk.DICOMOrient(image, orientation)
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), np.radians(degrees), 0.0, np.radians(degrees / 2))
    turned = np.reshape(turn.GetMatrix(), (3, 3)) @ np.reshape(image.GetDirection(), (3, 3))
    image.SetDirection(turned.ravel().tolist())
    path = folder / f"{orientation}.nii.gz"
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(path))
    return path


def _require_same(model: Path, exported: Path, ct: Path, folder: Path, *, folds: tuple[str, ...] = ()) -> None:
    with Segmenter(model, folds=folds, device="cpu") as segmenter:
        expected = segmenter(ct).mask
    found = run_exported(exported, ct, folder / "mask.nrrd", folds=folds)
    mask = sitk.GetArrayFromImage(expected) > 0
    assert 0.005 < mask.mean() < 0.5, "the comparison says something"
    assert np.count_nonzero(found != mask) <= 1e-4 * np.count_nonzero(mask)
    stored = sitk.ReadImage(str(folder / "mask.nrrd"))
    assert np.allclose(stored.GetDirection(), expected.GetDirection())
    assert np.allclose(stored.GetOrigin(), expected.GetOrigin())


@pytest.mark.integration
class TestRunner:
    def test_folds_of_merged_heads(self, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        model = make_trained(folds=2)
        exported = _exported(model, tmp_path / "onnx")
        ct = _stored(tmp_path, "LPS")
        _require_same(model, exported, ct, tmp_path)
        _require_same(model, exported, _stored(tmp_path, "AIL", degrees=20), tmp_path, folds=("1",))

    def test_mirrored_turned_axes_and_thick_slices(self, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        model = _changed(
            make_trained("FemurScratchTrainer"),
            tmp_path,
            plans={"transpose_forward": [1, 2, 0], "transpose_backward": [2, 0, 1]},
        )
        exported = _exported(model, tmp_path / "onnx")
        _require_same(model, exported, _stored(tmp_path, "RAS", spacing=(5.0, 6.5, 23.0)), tmp_path)

    @pytest.mark.parametrize("trainer", ["FemurUnetMobileNetV3Trainer", "FemurThreePlaneTrainer"])
    def test_slices(self, trainer: str, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        recipe = {"slice": {"neighbours": 1, "slice_spacing_mm": 6.0, "plane_weights": [1.0, 2.0, 3.0]}}
        model = _changed(make_trained(trainer), tmp_path, patch_size=[64, 24, 30], femur_recipe=recipe)
        exported = _exported(_with_new_weights(model), tmp_path / "onnx")
        _require_same(model, exported, _stored(tmp_path, "LPS"), tmp_path)
