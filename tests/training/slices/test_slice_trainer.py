"""Slice geometry, batches and schedule of slice trainers, inside nnU-Net."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nnunet_femur.recipe.hyperparameters import SliceRecipe
from nnunet_femur.training.slices.slice_data_trainer import slices_with_femur
from nnunet_femur.training.slices.slice_geometry import largest_size, pixels_per_voxel
from nnunet_femur.training.slices.slice_trainer import SliceTrainer
from tests.refusing import refused
from tests.training.making import make_trainer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


class _Slices(SliceTrainer):
    architecture = "Unet"
    encoder = "MobileNetV3"


def _trainer(configuration: str = "3d_fullres", **recipe: Any) -> _Slices:
    trainer = make_trainer(_Slices, configuration, **recipe)
    trainer.initialize()
    return trainer


@pytest.mark.parametrize(
    ("edge", "spacing_mm", "expected"),
    [
        ("finest", (2.0, 0.8, 0.8), (2.5, 1.0, 1.0)),
        ("finest", (1.5, 1.5, 1.5), (1.0, 1.0, 1.0)),
        ("finest", (1.0, 1.5, 2.0), (1.0, 1.5, 2.0)),
        (1.6, (2.0, 0.8, 0.8), (1.25, 0.5, 0.5)),
        ("voxels", (2.0, 0.8, 0.8), (1.0, 1.0, 1.0)),
        ("finest", (2.0, 0.8, 0.8004), (2.5, 1.0, 1.0)),
        ("finest", (0.8, 0.9), (1.0, 1.0, 1.0)),
    ],
)
def test_pixels_per_voxel(edge: Any, spacing_mm: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert pixels_per_voxel(SliceRecipe(slice_spacing_mm=edge), spacing_mm) == pytest.approx(expected)


def test_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cases of z, y, x; the arrays' axes are y, z, x."""
    plans = {"dataset_name": "Dataset001_Femur", "transpose_forward": [1, 0, 2]}
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
    assert largest_size(plans, (2.0, 2.0, 2.0)) is None
    found = {"shapes_after_crop": [[10, 20, 31], [30, 10, 10]], "spacings": [[5.0, 1.0, 1.0], [1.0, 4.0, 1.0]]}
    (tmp_path / "Dataset001_Femur").mkdir()
    (tmp_path / "Dataset001_Femur" / "dataset_fingerprint.json").write_text(json.dumps(found))
    assert largest_size(plans, (2.0, 2.0, 2.0)) == [20, 25, 16]


IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = (0.9, -0.1, 0.43, 0.1, 0.99, 0.0, -0.43, 0.04, 0.9)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""The file's first axis is y, its second z, its third x."""


class TestAxisOrder:
    """Planes are known from the order of the axes, which unconverted data may have in another order."""

    @pytest.fixture
    def check(self, tmp_path: Path) -> Any:
        from types import SimpleNamespace

        from nnunet_femur.training.slices.slice_geometry import check_axis_order

        def check(reader: str, *cases: dict[str, Any]) -> None:
            for number, properties in enumerate(cases):
                with (tmp_path / f"case{number}.pkl").open("wb") as file:
                    pickle.dump(properties, file)
            check_axis_order(tmp_path, SimpleNamespace(plans={"image_reader_writer": reader}))

        return check

    @pytest.mark.parametrize("direction", [IDENTITY, FLIPPED, OBLIQUE])
    def test_axes_as_planes_need_them(self, check: Any, direction: tuple[float, ...]) -> None:
        check("SimpleITKIO", {"sitk_stuff": {"direction": direction}})

    def test_a_reader_that_reorients_needs_no_look(self, check: Any) -> None:
        check("SimpleITKIOWithReorient", {"sitk_stuff": {"direction": SAGITTAL}})

    def test_a_sagittal_series(self, check: Any) -> None:
        with refused("invalid-dataset", "case1.pkl", "x, z, y"):
            check("SimpleITKIO", *({"sitk_stuff": {"direction": each}} for each in (IDENTITY, SAGITTAL)))

    def test_nibabel(self, check: Any) -> None:
        """An affine whose voxels are much longer along one axis; its columns are the axes of the file."""
        check("NibabelIO", {"nibabel_stuff": {"original_affine": np.diag([-0.7, 0.7, 5.0, 1.0])}})
        affine = np.eye(4)
        affine[:3, :3] = np.array(SAGITTAL).reshape(3, 3) * [0.7, 0.7, 5.0]
        with refused("invalid-dataset", "x, z, y"):
            check("NibabelIO", {"nibabel_stuff": {"original_affine": affine}})

    @pytest.mark.parametrize("properties", [{}, {"sitk_stuff": {"direction": (1.0, 0.0, 0.0, 1.0)}}])
    def test_no_orientation_at_all(self, check: Any, properties: dict[str, Any]) -> None:
        with refused("invalid-dataset", "Tiff3DIO"):
            check("Tiff3DIO", properties)

    @pytest.mark.usefixtures("nnunet")
    @pytest.mark.parametrize(("configuration", "is_refused"), [("3d_fullres", True), ("2d", False)])
    def test_trainers_look_before_they_cut(
        self, configuration: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """nnU-Net's own slices of configuration 2d belong to no named plane."""
        monkeypatch.setattr("nnunet_femur.training.slices.slice_geometry._physical_axes", lambda _: (0, 2, 1))
        monkeypatch.setattr("nnunet_femur.training.checked_trainer.check_data", lambda *_: None)
        trainer = _trainer(configuration)
        trainer.plans_manager.plans["image_reader_writer"] = "SimpleITKIO"
        del trainer.configuration_manager.configuration["femur_guard"]
        if is_refused:
            monkeypatch.setattr(trainer, "get_dataloaders", lambda: pytest.fail("slices were cut"))
            with refused("invalid-dataset", "x, z, y"):
                trainer.on_train_start()
        else:
            trainer.on_train_start()


@pytest.mark.parametrize(("batch", "fraction", "expected"), [(16, 0.0, 0), (16, 0.01, 1), (16, 0.5, 8), (16, 1.0, 16)])
def test_slices_with_femur(batch: int, fraction: float, expected: int) -> None:
    assert slices_with_femur(batch, fraction) == expected


@pytest.mark.usefixtures("nnunet")
class TestSliceTrainer:
    def test_a_foreground_fraction_of_zero_draws_from_everywhere(self) -> None:
        loader = _trainer(foreground_fraction=0.0, iterations_per_epoch=2).get_dataloaders()[0].data_loader
        assert (loader.order.per_batch, loader.others) == (0, 8)
        assert len(next(loader)["data"]) == 8

    def test_training_and_prediction_agree_on_millimetres(self) -> None:
        """The phantoms have voxels of 10 x 6 x 6 mm."""
        trainer = _trainer(slice_spacing_mm=5.0, slice_size=[64, 32], neighbours=1, plane_weights=[2, 1, 1])
        train, val = trainer.get_dataloaders()
        expected = pytest.approx((2.0, 1.2, 1.2))
        assert trainer.network.scale == expected
        assert train.data_loader.window.scale == val.data_loader.window.scale == expected
        assert trainer.network.neighbours == 1
        assert trainer.network.weights == (0.5, 0.25, 0.25)
        batch = next(train)
        assert batch["data"].shape[1:] == (3, 64, 32)
        assert batch["target"].shape[1:] == (1, 64, 32)
        assert torch.isfinite(trainer.network(batch["data"])).all()

    def test_every_case_is_predicted_in_one_piece(self) -> None:
        """And the piece is no larger than the largest case."""
        trainer = _trainer()
        data = trainer.dataset_class(trainer.preprocessed_dataset_folder)
        shapes = np.array([data.load_case(case)[0].shape[1:] for case in data.identifiers])
        patch = np.array(trainer.configuration_manager.patch_size)
        assert (shapes.max(0) <= patch).all()
        assert (patch <= shapes.max(0) + 1).all()

    def test_2d_keeps_nnunets_slices(self) -> None:
        trainer = _trainer("2d", slice_spacing_mm=5.0, neighbours=1)
        train, _ = trainer.get_dataloaders()
        assert trainer.network.scale == train.data_loader.window.scale == (1.0, 1.0, 1.0)
        assert trainer.network.neighbours == 0
        assert next(train)["data"].shape[2:] == tuple(trainer.configuration_manager.patch_size)
        assert set(train.data_loader.table.axis) == {0}

    def test_an_epoch_is_one_pass_over_all_training_cases(self) -> None:
        trainer = _trainer(iterations_per_epoch=None, foreground_fraction=1.0, slice_size=[96, 96])
        trainer.on_train_start()
        data, _ = trainer.get_tr_and_val_datasets()
        expected = 0
        for case in data.identifiers:
            mask = data.load_case(case)[1][:][0] > 0
            expected += sum(int(mask.any(axis=tuple({0, 1, 2} - {axis})).sum()) for axis in range(3))
        batches = [next(trainer.dataloader_train) for _ in range(trainer.num_iterations_per_epoch)]
        assert sum(len(batch["data"]) for batch in batches) == expected
        assert all((batch["target"] == 1).any(-1).any(-1).all() for batch in batches)

    def test_the_learning_rate_falls_with_every_step(self) -> None:
        trainer = _trainer(schedule="poly", learning_rate=0.01, epochs=2, iterations_per_epoch=2)
        trainer.on_train_start()
        rates = []
        for epoch in range(2):
            trainer.current_epoch = epoch
            trainer.on_train_epoch_start()
            for _ in range(2):
                trainer.train_step(next(trainer.dataloader_train))
                rates.append(trainer.optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([0.01 * (1 - n / 4) ** 0.9 for n in range(4)])

    def test_a_resumed_epoch_has_the_batches_of_an_undisturbed_one(self) -> None:
        whole = _trainer(seed=3, augment=True, iterations_per_epoch=2)
        train, _ = whole.get_dataloaders()
        expected = [next(train) for _ in range(4)][2:]
        resumed = _trainer(seed=3, augment=True, iterations_per_epoch=2)
        resumed.current_epoch = 1
        train, _ = resumed.get_dataloaders()
        for batch in expected:
            again = next(train)
            assert torch.equal(batch["data"], again["data"])
            assert torch.equal(batch["target"], again["target"])

    def test_without_a_seed_runs_differ(self) -> None:
        orders = [_trainer(seed=None).get_dataloaders()[0].data_loader.order.batch(0) for _ in range(2)]
        assert not np.array_equal(*orders)
