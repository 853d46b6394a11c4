"""Training slices and planes of the trainers of the femur's ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnunet_femur.training.slices.slice_trainer import FemurEndsTrainer, slices_at_each_end
from tests.refusing import refused
from tests.training.making import make_trainer

pytestmark = pytest.mark.integration


class _Ends(FemurEndsTrainer):
    architecture = "Unet"
    encoder = "MobileNetV3"


def _trainer(configuration: str, **recipe: Any) -> _Ends:
    trainer = make_trainer(_Ends, configuration, **recipe)
    trainer.initialize()
    return trainer


@pytest.mark.parametrize(
    ("original_mm", "resampled_mm", "expected"),
    [(2.0, 2.0, 20), (2.0, 1.5, 27), (1.0, 1.5, 13), (3.0, 1.5, 40), (0.05, 1.5, 1)],
)
def test_the_same_length_of_bone_on_another_grid(original_mm: float, resampled_mm: float, expected: int) -> None:
    assert slices_at_each_end(20, original_mm=original_mm, resampled_mm=resampled_mm) == expected


@pytest.mark.usefixtures("nnunet")
class TestFemurEndsTrainer:
    @pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
    def test_trains_on_the_ends_of_each_case(self, configuration: str) -> None:
        trainer = _trainer(configuration, head_slices=4)
        data, _ = trainer.get_tr_and_val_datasets()
        table = trainer.find_training_slices(data, (0,))
        for number, case in enumerate(data.identifiers):
            held = np.flatnonzero((data.load_case(case)[1][:][0] > 0).any(axis=(1, 2)))
            assert table.index[table.case == number].tolist() == [*held[:4], *held[-4:]]

    def test_only_axial_slices_whatever_the_recipe(self) -> None:
        trainer = _trainer("3d_fullres", planes=["coronal", "sagittal"], iterations_per_epoch=None, batch_size=3)
        assert trainer.network.axes == (0,)
        train, _ = trainer.get_dataloaders()
        assert set(train.data_loader.table.axis) == {0}
        slices = {
            number
            for place in range(trainer.num_iterations_per_epoch)
            for number in train.data_loader.order.batch(place)
        }
        assert len(slices) == len(train.data_loader.table)

    def test_2d_slices_that_are_not_axial_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        trainer = _trainer("2d")
        monkeypatch.setitem(trainer.plans_manager.plans, "transpose_forward", [1, 0, 2])
        with refused("invalid-option", "3d_fullres"):
            trainer._axial_axis()
