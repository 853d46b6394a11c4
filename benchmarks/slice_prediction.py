"""Seconds and memory of three-plane prediction, against the bare network and against one slice at a time.

    uv run python benchmarks/slice_prediction.py [--network Unet ResNet34] [--part 3] [--repetitions 3]
    uv run python benchmarks/slice_prediction.py --part 1 --repetitions 1 --only bfloat16 slices --every 16

A volume of 300 x 336 x 256 voxels is the study's typical CT; `--part 1` takes it whole, the default a third of each
axis, so that a run takes a few minutes on two cores. `--only` leaves ways out. Compared, in turn, in one process:

- three planes: the wrapper that nnU-Net calls, from the volume to the averaged answer;
- bare network: the same slices, cut and padded beforehand, in batches of the same size and precision, logits dropped;
- one slice at a time: as the authors' notebooks do, in float32 and PyTorch's usual memory order, probabilities
  brought back to numpy and averaged over the planes there. With `--every N` it is timed on every N-th slice of each
  plane, and the seconds are multiplied by N.

On a processor, seconds are those that it worked, of all cores together: other programs count less than on the clock.
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
from typing import TYPE_CHECKING

import numpy as np
import torch
from marked_tables import write_results
from torch.nn import functional

from nnunet_femur.networks.registry import build_slice_network, stride_of
from nnunet_femur.networks.three_planes import SLICE_PIXELS, ThreePlaneNetwork

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

SHAPE_ZYX = (300, 336, 256)
SLICES_AT_ONCE = 16


def main() -> None:
    """Time the three ways in turn and print medians and ratios."""
    arguments = _arguments()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shape = tuple(n // arguments.part for n in SHAPE_ZYX)
    volume = torch.randn(1, 1, *shape, device=device)
    network = build_slice_network(*arguments.network, in_channels=1, classes=2).eval().to(device)
    _calibrate(network, volume)
    print(f"{' '.join(arguments.network)}, {' x '.join(map(str, shape))} voxels, {_machine(device)}")
    low = "float16" if device.type == "cuda" else "bfloat16"
    lower = torch.float16 if device.type == "cuda" else torch.bfloat16
    own = {
        "float32": ThreePlaneNetwork(network, stride=stride_of(network), in_bfloat16=False),
        low: ThreePlaneNetwork(network, stride=stride_of(network), in_bfloat16=True),
    }
    batches = _batches(volume, stride_of(network))
    usual = build_slice_network(*arguments.network, in_channels=1, classes=2).eval().to(device)
    usual.load_state_dict(network.state_dict())
    usual = usual.to(memory_format=torch.contiguous_format)
    kept: dict[str, np.ndarray | None] = {}

    def three_planes(precision: str) -> None:
        with _autocast(device, lower if precision == low else None):
            kept[precision] = own[precision](volume).exp()[0, 1].cpu().numpy()

    def bare(precision: str) -> None:
        with _autocast(device, lower if precision == low else None):
            for batch in batches:
                network(batch)

    def notebooks() -> None:
        kept["notebooks"] = _one_by_one(usual, volume, stride_of(network), arguments.every)

    precisions = [precision for precision in ("float32", low) if precision in arguments.only]
    with torch.inference_mode():
        ways: dict[str, Callable[[], None]] = {}
        for precision in precisions:
            ways[f"three planes, {precision}"] = partial(three_planes, precision)
            ways[f"bare network, {precision}"] = partial(bare, precision)
        if "slices" in arguments.only:
            ways["one slice at a time"] = notebooks
        before = _peak_mib(device)
        seconds = _in_turn(ways, arguments.repetitions, device)
    print(f"memory beside volume, slices and network, at most: {_peak_mib(device) - before:.0f} MiB")
    _report(seconds, precisions, kept, arguments.every)
    if arguments.json is not None:
        rows = [{"way": way, "seconds": value} for way, value in seconds.items()]
        for row in rows:
            bare = seconds.get(str(row["way"]).replace("three planes", "bare network"))
            row["times the bare network"] = None if bare is None else row["seconds"] / bare
        write_results(arguments.json, "slice-prediction", rows, network=arguments.network, shape_zyx=shape)


def _report(seconds: dict[str, float], precisions: list[str], kept: dict[str, np.ndarray | None], every: int) -> None:
    """Print seconds, ratios and how far the answers are apart."""
    if "one slice at a time" in seconds:
        seconds["one slice at a time"] *= every
    for way, value in seconds.items():
        print(f"{way:24}{value:8.2f} s")
    for precision in precisions:
        ours = seconds[f"three planes, {precision}"]
        print(f"{precision}: {ours / seconds[f'bare network, {precision}']:.2f} x the bare network")
        if "one slice at a time" in seconds:
            print(f"  {seconds['one slice at a time'] / ours:.2f} x as fast as one slice at a time")
        if kept.get("notebooks") is None:
            continue
        difference = np.abs(kept[precision] - kept["notebooks"])
        other = np.mean((kept[precision] > 0.5) != (kept["notebooks"] > 0.5))
        print(f"  largest difference of a probability {difference.max():.1e}, voxels decided otherwise {other:.1e}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs=2, default=("Unet", "ResNet34"), metavar=("ARCHITECTURE", "ENCODER"))
    parser.add_argument("--part", type=int, default=3, help="the volume's edges are divided by this")
    parser.add_argument("--repetitions", type=int, default=3)
    ways = ("float32", "bfloat16", "float16", "slices")
    parser.add_argument("--only", nargs="+", choices=ways, default=ways, help="precisions, and one slice at a time")
    parser.add_argument("--every", type=int, default=1, help="time one slice at a time on every so many-th")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    return parser.parse_args()


def _calibrate(network: torch.nn.Module, volume: torch.Tensor) -> None:
    """Statistics of batch normalisation as after a training, so that no value leaves the range of half precision."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(volume[0, 0, :8, :96, :96][:, None])
    network.eval()


def _batches(volume: torch.Tensor, stride: int) -> list[torch.Tensor]:
    """The slices of all planes, padded, in the batches that the wrapper makes."""
    batches: list[torch.Tensor] = []
    for axis in range(3):
        slices = volume[0, 0].movedim(axis, 0)[:, None]
        rows, columns = slices.shape[-2:]
        padded = functional.pad(slices, (0, -columns % stride, 0, -rows % stride)).contiguous()
        batches += padded.split(max(1, SLICES_AT_ONCE * SLICE_PIXELS // (padded.shape[-2] * padded.shape[-1])))
    return batches


def _one_by_one(network: torch.nn.Module, volume: torch.Tensor, stride: int, every: int) -> np.ndarray | None:
    """The average over the planes; None where not every slice was predicted."""
    planes = []
    for axis in range(3):
        found = []
        for piece in volume[0, 0].unbind(axis)[::every]:
            rows, columns = piece.shape
            logits = network(functional.pad(piece[None, None], (0, -columns % stride, 0, -rows % stride)))
            found.append(logits[0, :, :rows, :columns].softmax(0)[1].cpu().numpy())
        planes.append(np.stack(found, axis))
    return np.mean(planes, axis=0) if every == 1 else None


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
