"""TotalSegmentator's 6 mm model as a localiser, with dummy weights that find the phantom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage

from nnunet_femur.prediction import crop_model
from nnunet_femur.prediction.coarse_blocks import Blocks
from nnunet_femur.prediction.crop_model import CropModel, CropOfCt, region_of
from nnunet_femur.prediction.localisation import MARGIN_MM, is_femur
from nnunet_femur.weights.models import find_crop_model

if TYPE_CHECKING:
    from pathlib import Path


class TestRegion:
    """A femur of another grid, on blocks of the padded grid: 24 voxels in 6, after a padding of 3."""

    blocks = Blocks((30, 8, 8), (1.5, 30.0, 30.0))
    inside = (slice(3, 27), slice(0, 8), slice(0, 8))

    def test_contains_the_femur_with_its_margin(self) -> None:
        femur = np.zeros((6, 8, 8), bool)
        femur[3, 4, 5] = True
        region = region_of(femur, self.blocks, self.inside)
        # Voxels 15 to 18 are femur: block 5. Six blocks of 4.5 mm are between it and the last one within 31 mm.
        assert np.argwhere(region[:, 4, 5]).flatten().tolist() == list(range(10))
        assert np.argwhere(region[5, :, 5]).flatten().tolist() == [2, 3, 4, 5, 6]
        assert region[5, 4, 5]

    def test_of_voxels_that_share_a_block(self) -> None:
        blocks = Blocks((10, 1, 1), (1.5, 500.0, 500.0))
        femur = np.zeros((20, 1, 1), bool)
        femur[7] = True
        region = region_of(femur, blocks, (slice(0, 10), slice(0, 1), slice(0, 1)))
        assert region.all()


def test_is_not_used_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    assert CropModel.installed(torch.device("cpu")) is None


class Threshold:
    """A network that takes dense voxels for the left femur."""

    def load(self, parameters: dict[str, torch.Tensor]) -> None:
        assert parameters

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(windows), 118, *windows.shape[2:])
        logits[:, 75] = windows[:, 0] - 0.5
        return logits


class OnCard:
    """A tensor in the memory of a graphics card, which numpy cannot read."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values

    def cpu(self) -> torch.Tensor:
        return self._values


@pytest.mark.integration
@pytest.mark.parametrize("order", ["LPS", "RAS"])
def test_finds_bone_of_a_large_ct_in_any_orientation(
    order: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preprocessing, grids and axes are real; a threshold is in place of the network."""
    import SimpleITK as sitk

    from nnunet_femur.prediction import Segmenter
    from nnunet_femur.prediction.network_input import ImageInMemory
    from nnunet_femur.testing import make_phantom, write_dummy_weights

    made = make_phantom(1, side="left", size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    write_dummy_weights(tmp_path, features=2, iterations=0, training=[(made.image, made.mask, "left")], tasks=("crop",))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    monkeypatch.setattr(CropModel, "_network", lambda _: Threshold())
    monkeypatch.setattr(crop_model, "is_femur", lambda *given: OnCard(is_femur(*given)))
    monkeypatch.setattr(crop_model, "CROP_MODEL_FROM", 2)
    voxels = np.full((48, 60, 50), -100, np.int16)
    voxels[20:40, 8:14, 30:38] = 900
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((6.0, 6.0, 8.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    with Segmenter(model, device="cpu", mirror=False) as segmenter:
        seen = segmenter.read(ImageInMemory(sitk.DICOMOrient(image, order)))
        crop = CropOfCt.of(segmenter._crop_model, seen.for_crop, segmenter._require_open())
    shape = tuple(seen.preprocessed.data.shape[1:])
    whole = tuple(slice(0, n) for n in shape)
    blocks = Blocks(shape, (8.0, 5.0, 5.0))
    found = blocks.voxels(crop.region(blocks, whole), whole)
    assert shape == (48, 72, 60)
    femur = np.zeros(shape, bool)
    femur[20:40, 10:17, 36:46] = True
    distance_mm = ndimage.distance_transform_edt(~femur, sampling=(8.0, 5.0, 5.0))
    assert found[distance_mm <= MARGIN_MM].all()
    assert not found[distance_mm > MARGIN_MM + 30].any()


@pytest.mark.integration
def test_whose_output_is_infinite_is_not_used(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import SimpleITK as sitk

    from nnunet_femur.prediction import Segmenter
    from nnunet_femur.prediction.network_input import ImageInMemory
    from nnunet_femur.testing import make_phantom, write_dummy_weights

    class Infinite(Threshold):
        def __call__(self, windows: torch.Tensor) -> torch.Tensor:
            return super().__call__(windows) * torch.inf

    made = make_phantom(1, side="left", size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    write_dummy_weights(tmp_path, features=2, iterations=0, training=[(made.image, made.mask, "left")], tasks=("crop",))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    monkeypatch.setattr(CropModel, "_network", lambda _: Infinite())
    monkeypatch.setattr("nnunet_femur.prediction.crop_model.CROP_MODEL_FROM", 1)
    image = ImageInMemory(sitk.DICOMOrient(made.image, "RAS"))
    with Segmenter(model, device="cpu", mirror=False) as segmenter:
        seen = segmenter.read(image)
        crop = CropOfCt.of(segmenter._crop_model, seen.for_crop, segmenter._require_open())
        shape = tuple(seen.preprocessed.data.shape[1:])
        assert crop.region(Blocks(shape, (8.0, 5.0, 5.0)), tuple(slice(0, n) for n in shape)) is None
        assert segmenter.read(image).for_crop is None


@pytest.mark.integration
def test_is_not_used_if_its_weights_are_damaged(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import SimpleITK as sitk

    from nnunet_femur.prediction import Segmenter
    from nnunet_femur.prediction.network_input import ImageInMemory
    from nnunet_femur.testing import make_phantom, write_dummy_weights

    made = make_phantom(1, side="left", size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
    write_dummy_weights(tmp_path, features=2, iterations=0, training=[(made.image, made.mask, "left")], tasks=("crop",))
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    monkeypatch.setattr("nnunet_femur.prediction.crop_model.CROP_MODEL_FROM", 1)
    find_crop_model().checkpoint.write_bytes(b"damaged")
    with Segmenter(model, device="cpu", mirror=False) as segmenter:
        seen = [segmenter.read(ImageInMemory(sitk.DICOMOrient(made.image, order))) for order in ("LPS", "RAS")]
    assert [each.for_crop for each in seen] == [None, None]
