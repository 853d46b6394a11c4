"""The picture in docs/slice-networks.md: what a network says in each plane of a phantom, and the average.

    uv run python benchmarks/three_planes_figure.py

A U-Net with a MobileNetV3 encoder is trained from random weights so briefly, on slices of four phantoms,
that the planes still disagree.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
import torch
from matplotlib import pyplot as plt
from torch.nn import functional

from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.testing import make_phantom

TARGET = Path(__file__).parents[1] / "docs" / "images" / "three-planes.png"
PLANES = ("axial", "coronal", "sagittal")
STEPS = 400
BATCH = 8
SIZE = 64


def main() -> None:
    """Train, predict another phantom, draw."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    cases = [_case(seed) for seed in range(4)]
    network = build_slice_network("Unet", "MobileNetV3", in_channels=1, classes=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for _ in range(STEPS):
        pairs = [_draw(cases, rng) for _ in range(BATCH)]
        images, reference = (torch.stack(part) for part in zip(*pairs, strict=True))
        optimizer.zero_grad()
        functional.cross_entropy(network(images[:, None]), reference).backward()
        optimizer.step()
    network.eval()
    volume, reference = _case(11)
    said = {"average": _probability(network, volume, (0, 1, 2))}
    said |= {plane: _probability(network, volume, (axis,)) for axis, plane in enumerate(PLANES)}
    _picture(volume.numpy(), reference.numpy(), {name: said[name] for name in (*PLANES, "average")})


def _case(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A phantom's image, scaled, and its mask."""
    phantom = make_phantom(seed)
    image = torch.from_numpy(sitk.GetArrayFromImage(phantom.image)).float().clamp(-200, 1200)
    return (image - 300) / 400, torch.from_numpy(sitk.GetArrayFromImage(phantom.mask)).long()


def _draw(
    cases: list[tuple[torch.Tensor, torch.Tensor]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A slice with femur, across an axis by chance, and its reference; rows cut to the common size."""
    image, mask = cases[rng.integers(len(cases))]
    axis = int(rng.integers(3))
    held = np.flatnonzero(mask.numpy().any(axis=tuple({0, 1, 2} - {axis})))
    index = int(rng.choice(held))
    picture, reference = image.select(axis, index), mask.select(axis, index)
    first = int(rng.integers(picture.shape[0] - SIZE + 1))
    return picture[first : first + SIZE, :SIZE], reference[first : first + SIZE, :SIZE]


def _probability(network: torch.nn.Module, volume: torch.Tensor, axes: tuple[int, ...]) -> np.ndarray:
    wrapper = ThreePlaneNetwork(network, axes=axes, stride=stride_of(network), in_bfloat16=False).eval()
    return wrapper(volume[None, None]).exp()[0, 1].numpy()


def _dice(probability: np.ndarray, reference: np.ndarray) -> float:
    mask = probability > 0.5
    return float(2 * (mask & (reference > 0)).sum() / (mask.sum() + reference.sum()))


def _picture(volume: np.ndarray, reference: np.ndarray, said: dict[str, np.ndarray]) -> None:
    mpl.use("Agg")
    where = np.argwhere(reference > 0)
    z, y, _ = (int(n) for n in np.median(where, axis=0))
    z = int(np.quantile(where[:, 0], 0.9))
    # An axial slice near the hip and a coronal one; 5 mm rows and 3 mm columns in the latter.
    views = (("axial slice", np.s_[z], 1.0), ("coronal slice", np.s_[::-1, y], 5 / 3))
    figure, axes = plt.subplots(
        2, 1 + len(said), figsize=(10, 5.6), height_ratios=(64, 160), layout="constrained", dpi=78
    )
    for row, (view, cut, aspect) in zip(axes, views, strict=True):
        row[0].imshow(volume[cut], cmap="gray", aspect=aspect)
        row[0].set_ylabel(view)
        row[0].set_title("CT and reference", fontsize=9)
        for axis, (name, probability) in zip(row[1:], said.items(), strict=True):
            shown = axis.imshow(probability[cut], cmap="viridis", vmin=0, vmax=1, aspect=aspect)
            axis.set_title(f"{name}\nDice {_dice(probability, reference):.3f}", fontsize=9)
        for axis in row:
            axis.contour(reference[cut], [0.5], colors="tab:orange", linewidths=1)
            axis.set_xticks([])
            axis.set_yticks([])
    figure.colorbar(shown, ax=axes, label="probability of femur", shrink=0.6)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET)


if __name__ == "__main__":
    main()
