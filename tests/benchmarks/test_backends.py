"""The benchmark of libraries and precisions: the same logits by another library, and the figures of a way."""

from __future__ import annotations

import backends
import pytest
import torch
from gpu_tables import BASE
from torch import nn

WINDOW = torch.linspace(-1, 1, 8**3).reshape(1, 1, 8, 8, 8)


def test_onnx_runtime_computes_the_same() -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4), nn.Conv3d(4, 2, 1)).eval()
    with torch.inference_mode():
        expected = network(WINDOW)
    torch.testing.assert_close(backends.onnxruntime_of(network, WINDOW)(WINDOW), expected, atol=1e-5, rtol=1e-5)


def test_differences_are_those_from_pytorch_in_float32() -> None:
    """The window is below 0 in one half: there channel 0 wins, and channel 1, the femur, elsewhere."""
    logits = torch.cat([-WINDOW, WINDOW], 1)
    other = logits.clone()
    other[0, :, 7, 7, :2] = -other[0, :, 7, 7, :2]
    rows = backends.measure({BASE: (0.0, lambda _: logits), "other": (1.0, lambda _: other)}, WINDOW, (1,), 2)
    assert [row["way"] for row in rows] == [BASE, "other"]
    assert [row["otherwise"] for row in rows] == [0, 2 / 256]
    assert rows[1]["largest"] == pytest.approx(2 * float(WINDOW[0, 0, 7, 7, 1]))
    assert [row["made_s"] for row in rows] == [0.0, 1.0]
