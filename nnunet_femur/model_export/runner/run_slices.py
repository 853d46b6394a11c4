"""The mean over planes of a slice network's probabilities, in the form of a network of volumes; for run_onnx.py."""

import json
from pathlib import Path

import numpy as np
import onnxruntime

SLICES = json.loads((Path(__file__).resolve().parent / "model.json").read_text(encoding="utf-8"))["slices"]


def linear(old, new):
    """Return the weight of each old pixel (columns) in each new one (rows)."""
    places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    return (1 - abs(places[:, None] - np.arange(old))).clip(0).astype(np.float32)


class InferenceSession:
    """A network of slices that is called as onnxruntime calls a network of volumes."""

    def __init__(self, path):
        self.network = onnxruntime.InferenceSession(path)

    def run(self, _outputs, inputs):
        """Return the logarithm of the probabilities of a volume of shape (1, 1, z, y, x)."""
        volume = inputs["windows"][0, 0]
        filled = [np.flatnonzero(volume.any(others)) for others in ((1, 2), (0, 2), (0, 1))]
        content = tuple(slice(each[0], each[-1] + 1) if len(each) else slice(None) for each in filled)
        planes = [plane["weight"] * self.probabilities(volume[content], **plane) for plane in SLICES["planes"]]
        mean = np.full((len(planes[0]), *volume.shape), 1 / len(planes[0]), np.float32)
        mean[(slice(None), *content)] = sum(planes)
        return [np.log(mean.clip(1e-6))[None]]

    def probabilities(self, volume, axis, scale, **_):
        """Return the probabilities (classes, z, y, x) of the slices across an axis."""
        slices = np.moveaxis(volume, axis, 0)
        size = [max(1, round(n * s)) for n, s in zip(slices.shape[1:], scale)]
        pixels = linear(slices.shape[1], size[0]) @ slices @ linear(slices.shape[2], size[1]).T
        k, padding = SLICES["neighbours"], [(0, -n % SLICES["stride"]) for n in size]
        pixels = np.pad(np.pad(pixels, [(k, k), (0, 0), (0, 0)], "edge"), [(0, 0), *padding])
        found = [self.network.run(None, {"slices": pixels[None, i : i + 2 * k + 1]})[0][0] for i in range(len(slices))]
        found = np.stack(found, 1)[..., : size[0], : size[1]]
        found = linear(size[0], slices.shape[1]) @ found @ linear(size[1], slices.shape[2]).T
        return np.moveaxis(found, 1, axis + 1)
