"""Seconds and memory of three-plane prediction by each backend, against the bare network and one slice at a time.

    uv run python benchmarks/slice_prediction.py [--network Unet ResNet34] [--part 3] [--repetitions 3]
    uv run python benchmarks/slice_prediction.py --part 1 --repetitions 1 --only float32 openvino

A volume of 300 x 336 x 256 voxels is the study's typical CT; `--part 1` takes it whole, the default a third of each
axis, so that a run takes a few minutes on two cores. `--only` leaves ways out. Compared, in turn, in one process:

- three planes: the wrapper that nnU-Net calls, from the volume to the averaged answer, computed by PyTorch; in
  float32 this is what `nnfemur predict` did before it had other backends;
- three planes, OpenVINO: the same by the backend that `nnfemur predict` takes on processors, if it is installed, in
  each precision that the processor has instructions for;
- bare network: the same slices, cut and padded beforehand, in batches of the same size and precision, logits dropped;
- one slice at a time: as the authors' notebooks do, in float32 and PyTorch's usual memory order, probabilities
  brought back to numpy and averaged over the planes there. With `--every N` it is timed on every N-th slice of each
  plane, and the seconds are multiplied by N.

The volume is a phantom, and the network is trained on its slices for some steps. On a processor, seconds are processor
seconds of all cores together, which other programs affect less than the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch
from marked_tables import table, write_results
from torch.nn import functional

from nnunet_femur.networks.precision import openvino_precisions
from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import SLICE_PIXELS, ThreePlaneNetwork
from nnunet_femur.prediction.backends import make_backend
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from nnunet_femur.prediction.backends import Backend

SHAPE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (2.0, 0.74, 0.74)
SLICES_AT_ONCE = 16
BATCH, EDGE = 12, 96
SINGLE = "one slice at a time, PyTorch float32"


def main() -> None:
    """Time the ways in turn, and print a table of medians and ratios."""
    arguments = _arguments()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    volume, mask = _phantom(arguments.part)
    volume, mask = volume.to(device), mask.to(device)
    network = build_slice_network(*arguments.network, in_channels=1, classes=2).to(device)
    _train(network, volume, mask, arguments.iterations)
    network.eval()
    print(f"{' '.join(arguments.network)}, {_machine(device)}")
    kept: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        ways = _ways(network, volume, arguments, kept)
        before = _peak_mib(device)
        seconds = _in_turn(ways, arguments.repetitions, device)
    peak = _peak_mib(device) - before
    if SINGLE in seconds:
        seconds[SINGLE] *= arguments.every
    rows = _rows(seconds, kept)
    size = " x ".join(map(str, volume.shape[2:]))
    print(f"**{size} voxels**; at most {peak:.0f} MiB beside volume, slices and network")
    print(table(tuple(rows[0]), [list(row.values()) for row in rows]))
    if arguments.json is not None:
        settings = {"network": arguments.network, "shape_zyx": list(volume.shape[2:]), "steps": arguments.iterations}
        write_results(arguments.json, "slice-prediction", rows, **settings)


def _ways(
    network: torch.nn.Module, volume: torch.Tensor, arguments: argparse.Namespace, kept: dict[str, np.ndarray]
) -> dict[str, Callable[[], None]]:
    """Return the ways to compare; those that predict the volume put their masks into `kept`."""
    device, stride = volume.device, stride_of(network)
    low = "float16" if device.type == "cuda" else "bfloat16"
    lower = torch.float16 if device.type == "cuda" else torch.bfloat16
    batches = _batches(volume, stride)

    def three_planes(way: str, precision: str) -> None:
        wrapper = ThreePlaneNetwork(network, stride=stride, in_bfloat16=precision == "bfloat16").eval()
        with _autocast(device, lower if precision == low else None):
            kept[way] = _mask(wrapper(volume))

    def bare(precision: str) -> None:
        with _autocast(device, lower if precision == low else None):
            for batch in batches:
                network(batch)

    def backend(way: str, made: Backend) -> None:
        kept[way] = _mask(made(volume))

    ways: dict[str, Callable[[], None]] = {}
    for precision in ("float32", low):
        if precision in arguments.only:
            way = f"three planes, PyTorch {precision}"
            ways[way] = partial(three_planes, way, precision)
            ways[f"bare network, PyTorch {precision}"] = partial(bare, precision)
    if "openvino" in arguments.only and device.type == "cpu":
        wrapper = ThreePlaneNetwork(network, stride=stride, in_bfloat16=False).eval()
        weights = [wrapper.state_dict()]
        for each in openvino_precisions():
            way = f"three planes, OpenVINO {each}"
            start = time.process_time()
            made = make_backend(
                wrapper, weights, patch_size=volume.shape[2:], device=device, backend="openvino", precision=each
            )
            print(f"conversion to OpenVINO {each}: {time.process_time() - start:.1f} s")
            ways[way] = partial(backend, way, made)
    if "slices" in arguments.only:
        usual = build_slice_network(*arguments.network, in_channels=1, classes=2).eval().to(device)
        usual.load_state_dict(network.state_dict())
        usual = usual.to(memory_format=torch.contiguous_format)
        ways[SINGLE] = partial(_one_by_one, usual, volume, stride, arguments.every, kept)
    return ways


def _rows(seconds: dict[str, float], kept: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return seconds, their ratio to those of the first way, and voxels of femur that differ from its mask."""
    first = next(iter(seconds))
    rows = []
    for way, value in seconds.items():
        differ = None
        if way in kept and first in kept:
            differ = np.count_nonzero(kept[way] != kept[first]) / max(1, kept[first].sum())
        rows.append(
            {
                "way": way,
                "seconds": value,
                "times as fast as the first": seconds[first] / value,
                "differing voxels / voxels of femur": differ,
            }
        )
    return rows


def _mask(logits: torch.Tensor) -> np.ndarray:
    return (logits[0, 1] > logits[0, 0]).cpu().numpy()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs=2, default=("Unet", "ResNet34"), metavar=("ARCHITECTURE", "ENCODER"))
    parser.add_argument("--part", type=int, default=3, help="the volume's edges are divided by this")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=100, help="training steps on the phantom")
    ways = ("float32", "bfloat16", "float16", "openvino", "slices")
    parser.add_argument(
        "--only", nargs="+", choices=ways, default=ways, help="precisions, OpenVINO, one slice at a time"
    )
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--every", type=int, default=1, help="time one slice at a time on every so many-th")
    return parser.parse_args()


def _phantom(part: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a normalized CT, shape (1, 1, z, y, x), and its mask, shape (z, y, x)."""
    shape = tuple(n // part for n in SHAPE_ZYX)
    phantom = make_phantom(3, size_zyx=shape, spacing_mm_zyx=tuple(part * mm for mm in SPACING_MM_ZYX))
    ct = torch.from_numpy(sitk.GetArrayFromImage(phantom.image)).float().clamp(-200, 1000) / 300
    return ct[None, None], torch.from_numpy(sitk.GetArrayFromImage(phantom.mask)).long()


def _train(network: torch.nn.Module, volume: torch.Tensor, mask: torch.Tensor, iterations: int) -> None:
    """Train on random slices of all planes, in float32: a network that finds the femur differs from one of noise."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    network.train()
    for step in range(iterations):
        axis = step % 3
        ct, femur = volume[0, 0].movedim(axis, 0), mask.movedim(axis, 0)
        chosen = torch.randint(len(ct), (BATCH,), generator=generator)
        rows, columns = (max(0, n - EDGE) for n in ct.shape[1:])
        row, column = (int(torch.randint(n + 1, (), generator=generator)) for n in (rows, columns))
        part = (chosen, slice(row, row + EDGE), slice(column, column + EDGE))
        missing = (0, EDGE - min(EDGE, ct.shape[2]), 0, EDGE - min(EDGE, ct.shape[1]))
        logits = network(functional.pad(ct[part][:, None], missing))
        loss = functional.cross_entropy(logits, functional.pad(femur[part], missing))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if iterations:
        print(f"trained for {iterations} steps on the phantom, loss {loss.item():.3f}")


def _batches(volume: torch.Tensor, stride: int) -> list[torch.Tensor]:
    """Return the slices of all planes, padded, in the batches that the wrapper makes."""
    batches: list[torch.Tensor] = []
    for axis in range(3):
        slices = volume[0, 0].movedim(axis, 0)[:, None]
        rows, columns = slices.shape[-2:]
        padded = functional.pad(slices, (0, -columns % stride, 0, -rows % stride)).contiguous()
        batches += padded.split(max(1, SLICES_AT_ONCE * SLICE_PIXELS // (padded.shape[-2] * padded.shape[-1])))
    return batches


def _one_by_one(
    network: torch.nn.Module, volume: torch.Tensor, stride: int, every: int, kept: dict[str, np.ndarray]
) -> None:
    """Average over the planes; keep the mask if every slice is predicted."""
    planes = []
    for axis in range(3):
        found = []
        for piece in volume[0, 0].unbind(axis)[::every]:
            rows, columns = piece.shape
            logits = network(functional.pad(piece[None, None], (0, -columns % stride, 0, -rows % stride)))
            found.append(logits[0, :, :rows, :columns].softmax(0)[1].cpu().numpy())
        planes.append(np.stack(found, axis))
    if every == 1:
        kept[SINGLE] = np.mean(planes, axis=0) > 0.5


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager:
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def _in_turn(ways: dict[str, Callable[[], None]], repetitions: int, device: torch.device) -> dict[str, float]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repetitions):
        for way, run in ways.items():
            start = _seconds(device)
            run()
            taken[way].append(_seconds(device) - start)
    return {way: statistics.median(values) for way, values in taken.items()}


def _seconds(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    threads = f"{torch.get_num_threads()} threads of {os.cpu_count()} cores"
    return f"{threads}, {platform.machine()}, PyTorch {torch.__version__}"


if __name__ == "__main__":
    main()
