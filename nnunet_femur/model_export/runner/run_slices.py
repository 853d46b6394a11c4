"""The mean over planes of a slice network's probabilities, in the form of a network of volumes; for run_onnx.py."""

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime

SLICES = json.loads((Path(__file__).resolve().parent / "model.json").read_text(encoding="utf-8"))["slices"]


def linear(old, new):
    """Return the weight of each old pixel (columns) in each new one (rows)."""
    places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    return (1 - abs(places[:, None] - np.arange(old))).clip(0).astype(np.float32)


def interpolated(lines, row, column):
    """Return an array at fractional places of its first two axes."""
    row, column = row.clip(0, lines.shape[0] - 1), column.clip(0, lines.shape[1] - 1)
    i, j = row.astype(int), column.astype(int)
    found = np.zeros((*row.shape, *lines.shape[2:]), np.float32)
    for rows, of_row in ((i, 1 - (row - i)), (np.minimum(i + 1, lines.shape[0] - 1), row - i)):
        for columns, of_column in ((j, 1 - (column - j)), (np.minimum(j + 1, lines.shape[1] - 1), column - j)):
            weight = (of_row * of_column).astype(np.float32)
            found += weight.reshape(*weight.shape, *[1] * (lines.ndim - 2)) * lines[rows, columns]
    return found


class InferenceSession:
    """A network of slices that is called as onnxruntime calls a network of volumes."""

    def __init__(self, path):
        self.network = onnxruntime.InferenceSession(path)
        self.fold = Path(path).stem.removeprefix("fold_")

    def run(self, _outputs, inputs):
        """Return the logarithm of the probabilities of a volume of shape (1, 1, z, y, x)."""
        volume = inputs["windows"][0, 0]
        filled = [np.flatnonzero(volume.any(others)) for others in ((1, 2), (0, 2), (0, 1))]
        content = tuple(slice(each[0], each[-1] + 1) if len(each) else slice(None) for each in filled)
        weights = [plane["weight"] for plane in SLICES["planes"]]
        weights = [weight[self.fold] if isinstance(weight, dict) else weight for weight in weights]
        planes = [w * self.probabilities(volume[content], **p) for w, p in zip(weights, SLICES["planes"]) if w]
        mean = np.full((len(planes[0]), *volume.shape), 1 / len(planes[0]), np.float32)
        mean[(slice(None), *content)] = sum(planes)
        return [np.log(mean.clip(1e-6))[None]]

    def probabilities(self, volume, axis, scale, oblique=None, **_):
        """Return the probabilities (classes, z, y, x) of the slices across an axis."""
        if oblique:
            return self.oblique(volume, axis, scale, **oblique)
        slices = np.moveaxis(volume, axis, 0)
        found = [self.of_slice(slices, number, scale) for number in range(len(slices))]
        return np.moveaxis(np.stack(found, 1), 1, axis + 1)

    def of_slice(self, slices, number, scale):
        """Return the probabilities (classes, rows, columns) of one of several slices."""
        k, (rows, columns) = SLICES["neighbours"], slices.shape[1:]
        stack = slices[np.arange(number - k, number + k + 1).clip(0, len(slices) - 1)]
        size = [max(1, round(n * s)) for n, s in zip((rows, columns), scale)]
        pixels = linear(rows, size[0]) @ stack @ linear(columns, size[1]).T
        pixels = np.pad(pixels, [(0, 0), *((0, -n % SLICES["stride"]) for n in size)])
        found = self.network.run(None, {"slices": pixels[None]})[0][0][:, : size[0], : size[1]]
        return linear(size[0], rows) @ found @ linear(size[1], columns).T

    def oblique(self, volume, axis, scale, along, sign, pixels):
        """Return the probabilities (classes, z, y, x) of the slices of a volume that is rotated by 45 degrees."""
        lines, root = np.moveaxis(volume, (along, axis), (0, 1)), math.sqrt(2)
        height, width = (n * s for n, s in zip(lines.shape, pixels))
        count = math.ceil((height + width) / root - 1e-9)
        normal, within = np.meshgrid(*[np.arange(count) + 0.5 - count / 2] * 2, indexing="ij")
        row = ((within + sign * normal) / root + height / 2) / pixels[0] - 0.5
        column = ((normal - sign * within) / root + width / 2) / pixels[1] - 0.5
        inside = (row >= -0.5) & (row <= lines.shape[0] - 0.5) & (column >= -0.5) & (column <= lines.shape[1] - 0.5)
        slices = interpolated(lines, row, column) * inside[..., None]
        turned = along > 3 - along - axis
        found = None
        for first in range(0, count, 16):
            # Sixteen neighbouring slices have the same pixels: those of the volume, and three more on either side.
            place = sign * normal[first : first + 16, 0]
            low = np.maximum(-height / root - place, place - width / root).min() + count / 2
            high = np.minimum(height / root - place, place + width / root).max() + count / 2
            part = slice(max(0, math.floor(low) - 3), min(count, math.ceil(high) + 3))
            of_part = slices[:, part].swapaxes(1, 2) if turned else slices[:, part]
            for number in range(first, first + len(place)):
                one = self.of_slice(of_part, number, scale)
                found = np.zeros((count, count, len(one), lines.shape[2]), np.float32) if found is None else found
                found[number, part] = np.moveaxis(one, 2 if turned else 1, 0)
        row_px, column_px = (((np.arange(n) + 0.5) * s - n * s / 2) for n, s in zip(lines.shape, pixels))
        row_px, column_px = np.meshgrid(row_px, column_px, indexing="ij")
        normal, within = (column_px + sign * row_px) / root, (row_px - sign * column_px) / root
        back = interpolated(found, normal + count / 2 - 0.5, within + count / 2 - 0.5)
        return np.moveaxis(back, (0, 1, 2), (1 + along, 1 + axis, 0))
