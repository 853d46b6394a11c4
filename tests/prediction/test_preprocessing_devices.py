"""Preprocessing and export on a device whose memory is too small: the CPU takes over with the same result.

No graphics card is needed: the first product of the resampling fails as on a card, and the card is PyTorch's CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nnunet_femur.prediction import export, preprocessing
from nnunet_femur.prediction.export import export as exported
from nnunet_femur.prediction.predictor import load_predictor
from nnunet_femur.prediction.preprocessing import preprocess
from nnunet_femur.prediction.trained_model import find_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

SPACING = (10.0, 6.0, 6.0)


class _Card:
    """Device that calls itself CUDA: tensors that go there stay on the CPU."""

    type = "cuda"


@pytest.fixture(scope="module")
def predictor(model: Path) -> nnUNetPredictor:
    return load_predictor(find_model(model), device=torch.device("cpu"))


def _full_card(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[str]:
    """Let a module compute on a card whose memory is exhausted at the second product; return the kinds of devices."""
    devices: list[str] = []
    products: list[str] = []
    along, slabs, to, empty = module.along, module.slabs, torch.Tensor.to, torch.empty

    def product(*arguments: Any) -> torch.Tensor:
        products.append(devices[-1])
        if products == ["cuda", "cuda"]:
            raise torch.OutOfMemoryError
        return along(*arguments)

    def noted(length: int, bytes_each: int, device: Any) -> list[slice]:
        devices.append(device.type)
        return slabs(length, bytes_each, device)

    def moved(self: torch.Tensor, *target: Any, **options: Any) -> torch.Tensor:
        return self if isinstance(target[0], _Card) else to(self, *target, **options)

    def created(*size: Any, device: Any = None, **options: Any) -> torch.Tensor:
        return empty(*size, device=None if isinstance(device, _Card) else device, **options)

    monkeypatch.setattr(module, "work_device", lambda _: _Card())
    monkeypatch.setattr(module, "slabs", noted)
    monkeypatch.setattr(module, "along", product)
    monkeypatch.setattr(torch.Tensor, "to", moved)
    monkeypatch.setattr(torch, "empty", created)
    return devices


def test_preprocessing(predictor: nnUNetPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    ct = np.random.default_rng(0).integers(-1000, 1500, (24, 20, 18)).astype(np.int16)
    expected = preprocess(ct, SPACING, predictor)
    devices = _full_card(monkeypatch, preprocessing)
    found = preprocess(ct, SPACING, predictor)
    assert devices == ["cuda", "cpu"]
    assert torch.equal(found.data, expected.data)
    assert found.properties == expected.properties


def test_export(predictor: nnUNetPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    ct = np.random.default_rng(0).integers(-1000, 1500, (24, 20, 18)).astype(np.int16)
    seen = preprocess(ct, SPACING, predictor)
    logits = torch.randn(2, *seen.data.shape[1:], generator=torch.Generator().manual_seed(0)).half()
    expected = exported([logits], seen, predictor, femur=(1,))
    devices = _full_card(monkeypatch, export)
    found = exported([logits], seen, predictor, femur=(1,))
    assert devices == ["cuda", "cpu"]
    assert 0 < expected.mask_zyx.sum() < expected.mask_zyx.size
    assert np.array_equal(found.mask_zyx, expected.mask_zyx)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_normalization_is_nnunets(kind: type, make_model: Callable[..., Path]) -> None:
    """To the bit, on a grid that is not resampled."""
    predictor = load_predictor(find_model(make_model()), device=torch.device("cpu"))
    ct = np.random.default_rng(0).uniform(1 if kind is np.uint16 else -1200, 2500, (24, 20, 18)).astype(kind)
    configuration = predictor.configuration_manager
    spacing = list(configuration.spacing)
    given = ct.copy()
    found = preprocess(given, spacing, predictor)
    expected, *_ = configuration.preprocessor_class(verbose=False).run_case_npy(
        ct[None].astype(np.float32), None, {"spacing": spacing}, predictor.plans_manager, configuration, {}
    )
    assert np.array_equal(found.data.numpy(), expected)
    assert np.array_equal(given, ct), "the CT is not changed"
