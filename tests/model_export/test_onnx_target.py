"""Export to ONNX: the program that comes with it gives this package's mask."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_femur import Segmenter
from nnunet_femur.model_export import export
from nnunet_femur.model_export.onnx_target import RUNNER, SOURCES, OnnxTarget, run_exported
from nnunet_femur.model_export.trained_networks import load_networks
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.testing import make_phantom
from tests.refusing import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


EXACT = {"backend": "torch", "precision": "float32"}


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
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_femur import trainers

    plans = PlansManager(json.loads((model / "plans.json").read_text()))
    trainer, path = getattr(trainers, model.name.split("__")[0]), model / "fold_0" / "checkpoint_final.pth"
    torch.manual_seed(0)
    network = trainer.build_network_architecture(plans, plans.get_configuration("3d_fullres"), 1, 2).eval()
    intensities = plans.foreground_intensity_properties_per_channel["0"]
    ct = _phantom()
    on_grid = sitk.Resample(ct, [24, 24, 60], sitk.Transform(), sitk.sitkLinear, ct.GetOrigin(), [8.0] * 3)
    low, high = (intensities[f"percentile_{name}"] for name in ("00_5", "99_5"))
    values = (sitk.GetArrayFromImage(on_grid).clip(low, high) - intensities["mean"]) / intensities["std"]
    (bias,) = (name for name in network.state_dict() if name.endswith("segmentation_head.0.bias"))
    with torch.no_grad():
        # The mean of three planes' probabilities does not follow the bias exactly.
        for _ in range(4):
            answer = network(torch.from_numpy(values).float()[None, None])[0]
            network.state_dict()[bias][1] -= torch.quantile((answer[1] - answer[0]).flatten(), 0.9)
    changes = {"network_weights": network.state_dict(), "inference_allowed_mirroring_axes": (1,)}
    torch.save(torch.load(path, weights_only=False) | changes, path)
    return model


class SmallNetwork(torch.nn.Module):
    """A network in the place of one of segmentation-models-pytorch."""

    def __init__(self, *_: str, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = torch.nn.Conv2d(in_channels, 4, 5, stride=4, padding=2)
        self.encoder.output_stride = 4
        self.segmentation_head = torch.nn.Sequential(torch.nn.Conv2d(in_channels + 4, classes, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        coarse = torch.nn.functional.interpolate(self.encoder(x), scale_factor=4.0, mode="nearest")
        return self.segmentation_head(torch.cat([x, coarse.relu()], 1))


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
    with Segmenter(model, folds=folds, device="cpu", exhaustive=True, **EXACT) as segmenter:
        expected = segmenter(ct).mask
    found = run_exported(exported, ct, folder / "mask.nrrd", folds=folds)
    mask = sitk.GetArrayFromImage(expected) > 0
    assert 0.005 < mask.mean() < 0.5, "the comparison says something"
    assert np.count_nonzero(found != mask) <= 1e-4 * np.count_nonzero(mask)
    stored = sitk.ReadImage(str(folder / "mask.nrrd"))
    assert np.allclose(stored.GetDirection(), expected.GetDirection())
    assert np.allclose(stored.GetOrigin(), expected.GetOrigin())


def test_program_is_short_and_needs_three_packages() -> None:
    assert len((SOURCES / RUNNER).read_text(encoding="utf-8").splitlines()) <= 60
    imported = set()
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "SimpleITK"}


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

    def test_configuration_2d(
        self, make_trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from nnunet_femur.training.slices import slice_trainer

        monkeypatch.setattr(slice_trainer, "build_slice_network", SmallNetwork)
        model = make_trained("FemurUnetResNet34Trainer")
        model = _with_new_weights(_changed(model, tmp_path, patch_size=[18, 14], spacing=[8.0, 7.0]))
        exported = _exported(model, tmp_path / "onnx")
        _require_same(model, exported, _stored(tmp_path, "SPL"), tmp_path)

    def test_export_of_slices(
        self, make_trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The parity check is made on a CT that is larger than the window."""
        monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        recipe = {"slice": {"neighbours": 1, "slice_spacing_mm": 6.0, "plane_weights": [1.0, 2.0, 3.0]}}
        model = _changed(
            make_trained("FemurUnetResNet34Trainer"), tmp_path, patch_size=[40, 24, 30], femur_recipe=recipe
        )
        exported = export(_with_new_weights(model), tmp_path / "onnx", to="onnx", ct=_stored(tmp_path, "LPS"))
        names = [
            "MODEL_CARD.md",
            "SHA256SUMS",
            "fold_0.onnx",
            "model.json",
            "parity.json",
            "run_onnx.py",
            "run_slices.py",
        ]
        assert [path.name for path in exported.files] == names
        assert exported.parity.femur_voxels > 400
        description = json.loads((exported.folder / "model.json").read_text())
        assert description["slices"]["neighbours"] == 1
        assert [plane["weight"] for plane in description["slices"]["planes"]] == pytest.approx([1 / 6, 2 / 6, 3 / 6])
        assert set(description) - {"made_by", "model", "mean_hu", "std_hu", "meaning"} == set(description["meaning"])


class TestRequireExportable:
    @pytest.mark.parametrize(
        "changes",
        [
            {"normalization_schemes": ["ZScoreNormalization"]},
            {"resampling_fn_data": "resample_torch_fornnunet"},
            {"resampling_fn_probabilities_kwargs": {"order": 3, "order_z": 0, "force_separate_z": None}},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_other_preprocessing(self, changes: dict, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        networks = load_networks(find_model(_changed(make_trained("FemurScratchTrainer"), tmp_path, **changes)))
        with refused("unsupported"):
            OnnxTarget().require_exportable(networks)

    def test_reader_that_does_not_reorient(self, make_trained: Callable[..., Path], tmp_path: Path) -> None:
        plans = {"image_reader_writer": "SimpleITKIO"}
        networks = load_networks(find_model(_changed(make_trained("FemurScratchTrainer"), tmp_path, plans=plans)))
        with refused("unsupported", "SimpleITKIO"):
            OnnxTarget().require_exportable(networks)

    def test_without_onnx(self, finetuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        networks = load_networks(find_model(finetuned))
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        with refused("not-installed", "onnxscript"):
            OnnxTarget().require_exportable(networks)


def test_a_program_that_fails(tmp_path: Path) -> None:
    shutil.copy(SOURCES / RUNNER, tmp_path)
    with refused("program-failed", RUNNER):
        run_exported(tmp_path, tmp_path / "ct.nrrd", tmp_path / "mask.nrrd")
