"""Dummy weights: TotalSegmentator's layout, nnU-Net's code, and a network that learns the femur."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.testing import Case, make_phantom, phantom_cases, write_dummy_weights
from nnunet_femur.testing.dummy_plans import read_case
from nnunet_femur.weights import crop_entry, femur_entry, find_model, load_checkpoint, verify
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = femur_entry().classes
SMALL = {"spacing_mm": 8.0, "features": 4, "patch": 16}


def _cases() -> list[Case]:
    phantoms = [
        make_phantom(seed, side=side, size_zyx=(60, 24, 24), spacing_mm_zyx=(8.0, 8.0, 8.0))
        for seed, side in enumerate(("left", "right"))
    ]
    return [Case(phantom.image, phantom.mask, phantom.side) for phantom in phantoms]


class TestCases:
    def test_phantoms_have_both_sides(self) -> None:
        assert [case.side for case in phantom_cases(4, spacing_mm=12)] == ["left", "right"] * 2

    def test_labels_are_the_sides(self) -> None:
        for case, femur, hip in zip(_cases(), (7, 8), (9, 10), strict=True):
            hu, labels, spacing_mm = read_case(case, CLASSES)
            mask = sitk.GetArrayFromImage(sitk.DICOMOrient(case.mask, "RAS"))
            assert (labels == femur).sum() == mask.sum() > 0
            assert set(np.unique(labels)) == {0, femur, hip}
            # The pelvis is at the upper end.
            assert np.argwhere(labels == hip)[:, 0].mean() > np.argwhere(mask)[:, 0].mean()
            assert hu.shape == labels.shape == (60, 24, 24)
            assert spacing_mm == (8.0, 8.0, 8.0)

    def test_the_stored_order_does_not_matter(self) -> None:
        case = _cases()[0]
        turned = Case(sitk.DICOMOrient(case.ct, "SAR"), sitk.DICOMOrient(case.mask, "SAR"), case.side)
        for one, other in zip(read_case(case, CLASSES), read_case(turned, CLASSES), strict=True):
            np.testing.assert_array_equal(one, other)


class TestLayout:
    def test_is_totalsegmentators(self, dummy_weights: Path) -> None:
        folder = dummy_weights / femur_entry().folder
        assert {path.name for path in folder.iterdir()} >= {
            "plans.json",
            "dataset.json",
            "dataset_fingerprint.json",
            "fold_0",
        }
        empty = {path.name[:10] for path in dummy_weights.iterdir() if not any(path.iterdir())}
        assert empty == {"Dataset291", "Dataset292", "Dataset293", "Dataset295"}

    def test_is_marked_as_dummy(self, dummy_weights: Path) -> None:
        for dataset in (femur_entry().dataset, crop_entry().dataset):
            assert names((dummy_weights / dataset / "DUMMY-WEIGHTS.txt").read_text(), "TotalSegmentator")
        folder = dummy_weights / femur_entry().folder
        assert "DUMMY" in json.loads((folder / "plans.json").read_text())["note"]
        assert "DUMMY" in json.loads((folder / "dataset.json").read_text())["description"]

    def test_checkpoint_has_nnunets_keys(self, dummy_weights: Path) -> None:
        checkpoint = load_checkpoint(dummy_weights / femur_entry().folder / "fold_0" / "checkpoint_final.pth")
        assert checkpoint.keys() == {
            "network_weights",
            "optimizer_state",
            "grad_scaler_state",
            "logging",
            "_best_ema",
            "current_epoch",
            "init_args",
            "trainer_name",
            "inference_allowed_mirroring_axes",
        }
        heads = {key: tensor.shape[0] for key, tensor in checkpoint["network_weights"].items() if "seg_layers" in key}
        assert set(heads.values()) == {24}
        assert {"decoder.seg_layers.0.weight", "decoder.seg_layers.1.weight"} <= heads.keys()

    @pytest.mark.parametrize("plans_format", ["old", "new"])
    def test_nnunet_builds_the_network_and_loads_the_weights(
        self, plans_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        model = write_dummy_weights(
            tmp_path, **SMALL, plans_format=plans_format, iterations=0, training=_cases(), tasks=("femur", "crop")
        )
        configuration = model.plans["configurations"]["3d_fullres"]
        assert ("architecture" in configuration) == (plans_format == "new")
        assert ("UNet_class_name" in configuration) == (plans_format == "old")
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
        assert verify() == []
        predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
        predictor.initialize_from_trained_model_folder(str(model.folder), (0,), "checkpoint_final.pth")
        with torch.no_grad():
            output = predictor.network(torch.zeros(1, 1, 16, 16, 16))
        assert output.shape == (1, 24, 16, 16, 16)


class TestTraining:
    def test_learns_the_femur(self, tmp_path: Path) -> None:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        model = write_dummy_weights(tmp_path, **SMALL, iterations=60, training=_cases(), tasks=("femur",))
        predictor = nnUNetPredictor(
            device=torch.device("cpu"), perform_everything_on_device=False, use_mirroring=False, allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(str(model.folder), (0,), "checkpoint_final.pth")
        hu, labels, spacing_mm = read_case(_cases()[0], CLASSES)
        found = predictor.predict_single_npy_array(hu[None], {"spacing": list(spacing_mm)}, None, None, False)
        predicted, reference = (np.isin(mask, model.femur_channels) for mask in (found, labels))
        assert 2 * (predicted & reference).sum() / (predicted.sum() + reference.sum()) > 0.6
        # Classes without a training case are never predicted.
        assert set(np.unique(found)) <= {0, 7, 8, 9, 10}

    def test_files_and_images_give_the_same(self, tmp_path: Path) -> None:
        cases = _cases()
        files = []
        for number, case in enumerate(cases):
            names = [tmp_path / f"{number}_{kind}.nrrd" for kind in ("ct", "mask")]
            for image, name in zip((case.ct, case.mask), names, strict=True):
                write_volume(image, name)
            files.append((*names, case.side))
        made = [
            write_dummy_weights(tmp_path / kind, **SMALL, iterations=2, training=training, tasks=("femur",))
            for kind, training in (("images", cases), ("files", files))
        ]
        ours, theirs = (load_checkpoint(model.checkpoint)["network_weights"] for model in made)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)

    def test_second_call_finds_it_done(self, tmp_path: Path) -> None:
        made = [
            write_dummy_weights(
                tmp_path, **SMALL, iterations=number, training=_cases(), tasks=("femur",)
            ).checkpoint.stat()
            for number in (1, 1, 2)
        ]
        assert made[0].st_mtime_ns == made[1].st_mtime_ns < made[2].st_mtime_ns


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "code", "named"),
        [
            ({"tasks": ("brain",)}, "invalid-option", "brain"),
            ({"plans_format": "odd"}, "invalid-option", "'odd'"),
            ({"spacing_mm": 0.0}, "invalid-option", "spacing_mm"),
            ({"iterations": -1}, "invalid-option", "iterations"),
            ({"patch": 24}, "invalid-option", "patch"),
            ({"training": []}, "no-cases", "training"),
        ],
    )
    def test_is_refused(self, options: dict, code: str, named: str, tmp_path: Path) -> None:
        with refused(code, named):
            write_dummy_weights(tmp_path / "new", **options)
        assert not (tmp_path / "new").exists()

    def test_other_side(self, tmp_path: Path) -> None:
        case = _cases()[0]
        with refused("invalid-option", "'both'"):
            write_dummy_weights(tmp_path, training=[(case.ct, case.mask, "both")])

    def test_real_weights_stay(self, tmp_path: Path) -> None:
        real = tmp_path / femur_entry().folder / "plans.json"
        real.parent.mkdir(parents=True)
        real.write_text("{}")
        with refused("exists", femur_entry().dataset):
            write_dummy_weights(tmp_path, **SMALL, iterations=0, training=_cases(), tasks=("femur",))
        assert real.read_text() == "{}"


def test_find_model_finds_it(dummy_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_weights))
    assert find_model().is_dummy
