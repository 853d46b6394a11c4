"""How fast slices are loaded and trained on, against nnU-Net's own 2D loader and against the bare network.

    uv run python benchmarks/slices.py                        # loader, then training steps, on this machine
    uv run python benchmarks/slices.py --part loader
    uv run python benchmarks/slices.py --part precision       # bfloat16 and orders of memory on a processor
    uv run python benchmarks/slices.py --part steps --size 64 --encoders ResNet34 MobileNetV3

Data are phantoms of the study's typical size and spacing (300 x 336 x 256 voxels of 2.0 x 0.74 x 0.74 mm), written as
nnU-Net's preprocessing writes them. All ways are timed in turn in one process; medians are printed.

- loader: slices per second of one core, 256 x 256 pixels, 16 in a batch, without augmentation; ours across all planes,
  with square pixels (coronal and sagittal slices are resampled) and without, against nnU-Net's loader on the same
  files in the same plane as well as on files laid out for its configuration 2d. Bound: 1.0 x or more.
- steps: nnU-Net's training step on batches from the loader against the same step on a random batch that is there
  already. Bound: 1.10 x or less. On graphics cards slices are 256 x 256, on processors 64 x 64.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
from nnunetv2.training.loss.robust_ce_loss import RobustCrossEntropyLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_femur.networks.registry import ARCHITECTURES, ENCODERS, build_slice_network, stride_of
from nnunet_femur.networks.three_planes import ThreePlaneNetwork
from nnunet_femur.testing import make_phantom
from nnunet_femur.training.slices.slice_loader import SliceLoader
from nnunet_femur.training.slices.slice_order import SliceOrder, find_slices
from nnunet_femur.training.slices.slice_window import SliceWindow

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_ZYX = (300, 336, 256)
SPACING_MM_ZYX = (2.0, 0.74, 0.74)
BATCH = 16
PLANES = {"axial": (0,), "coronal": (1,), "sagittal": (2,), "three planes": (0, 1, 2)}


def main() -> None:
    """Run the parts that are asked for."""
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # More threads than cores would wait for each other, and for the thread that reads.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{cores} cores"
    print(f"{platform.processor() or platform.machine()}, {name}, torch {torch.__version__}")
    size = arguments.size or (256 if device.type == "cuda" else 64)
    if arguments.part == "precision":
        _precision(arguments.encoders, size)
        return
    with tempfile.TemporaryDirectory() as folder:
        volumes = nnUNetDatasetBlosc2(str(_write(Path(folder) / "3d", arguments.cases, (96, 160, 128))))
        if arguments.part in ("loader", "all"):
            slices = nnUNetDatasetBlosc2(str(_write(Path(folder) / "2d", arguments.cases, (384, 320))))
            _loader(volumes, slices, arguments.repetitions)
        if arguments.part in ("steps", "all"):
            _steps(volumes, arguments, size, device)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("all", "loader", "steps", "precision"), default="all")
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--size", type=int, help="rows and columns of slices in training steps")
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--repetitions", type=int, default=7, help="batches or steps that a median is taken of")
    parser.add_argument("--workers", type=int, default=0, help="processes that load, in training steps")
    return parser.parse_args()


def _write(folder: Path, cases: int, patch_size: tuple[int, ...]) -> Path:
    """Phantoms as nnU-Net's preprocessing would leave them, in chunks for this size of patch."""
    folder.mkdir()
    for seed in range(cases):
        phantom = make_phantom(seed, size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX)
        image = sitk.GetArrayFromImage(phantom.image).astype(np.float32)[None]
        image = (image - image.mean()) / image.std()
        mask = sitk.GetArrayFromImage(phantom.mask).astype(np.int8)[None]
        locations = DefaultPreprocessor._sample_foreground_locations(mask, [1], seed=0)  # noqa: SLF001
        layout: dict[str, Any] = {}
        for key, itemsize in (("", 4), ("_seg", 1)):
            blocks, chunks = comp_blosc2_params(image.shape, patch_size, itemsize)
            layout |= {f"blocks{key}": blocks, f"chunks{key}": chunks}
        properties = {"class_locations": locations, "spacing": SPACING_MM_ZYX}
        nnUNetDatasetBlosc2.save_case(image, mask, properties, str(folder / f"case{seed}"), **layout)
    return folder


def _ours(
    data: nnUNetDatasetBlosc2, axes: tuple[int, ...], size: int, *, square: bool = True, workers: int = 0
) -> SliceLoader:
    table = find_slices((data.load_case(case)[1][0] > 0 for case in data.identifiers), axes)
    scale = tuple(mm / min(SPACING_MM_ZYX) for mm in SPACING_MM_ZYX) if square else (1.0, 1.0, 1.0)
    return SliceLoader(
        data,
        table=table,
        order=SliceOrder(len(table), per_batch=BATCH, iterations=None, seed=0),
        axes=axes,
        window=SliceWindow(size=(size, size), scale=scale),
        others=0,
        transforms=_transforms(),
        workers=workers,
    )


def _transforms() -> ComposeTransforms:
    return ComposeTransforms([RemoveLabelTansform(-1, 0)])


def _nnunets(data: nnUNetDatasetBlosc2) -> nnUNetDataLoader:
    labels = SimpleNamespace(all_labels=[1], has_ignore_label=False)
    size = (256, 256)
    return nnUNetDataLoader(
        data, BATCH, size, size, labels, oversample_foreground_percent=1.0, transforms=_transforms()
    )


def _loader(volumes: nnUNetDatasetBlosc2, slices: nnUNetDatasetBlosc2, repetitions: int) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ways: dict[str, Any] = {
        "nnU-Net 2D, same files": _nnunets(volumes),
        "nnU-Net 2D, files of 2d": _nnunets(slices),
        "ours, axial, files of 2d": _ours(slices, (0,), 256),
    }
    for plane, axes in PLANES.items():
        ways[f"ours, {plane}"] = _ours(volumes, axes, 256)
        if plane != "axial":
            ways[f"ours, {plane}, voxels"] = _ours(volumes, axes, 256, square=False)
    seconds = _in_turn({name: loader.generate_train_batch for name, loader in ways.items()}, repetitions)
    print(f"\nloader, 256 x 256, batches of {BATCH}")
    for name, value in seconds.items():
        print(f"{name:30}{BATCH / value:8.0f} slices/s{seconds['nnU-Net 2D, same files'] / value:8.2f} x nnU-Net's")
    torch.set_num_threads(threads)


def _steps(volumes: nnUNetDatasetBlosc2, arguments: argparse.Namespace, size: int, device: torch.device) -> None:
    print(f"\ntraining step, {BATCH} slices of {size} x {size}, {arguments.workers} workers")
    for architecture in ARCHITECTURES:
        for encoder in arguments.encoders:
            batches: Any = _ours(volumes, (0, 1, 2), size, workers=arguments.workers)
            if not arguments.workers:
                batches.read_ahead()
            else:
                batches = MultiThreadedAugmenter(
                    batches, None, arguments.workers, pin_memory=device.type == "cuda", wait_time=0.002
                )
            trainer = _trainer(architecture, encoder, device)
            there = {
                "data": torch.randn(BATCH, 1, size, size, device=device),
                "target": torch.randint(0, 2, (BATCH, 1, size, size), device=device),
            }
            ways = {
                "bare": lambda trainer=trainer, there=there: nnUNetTrainer.train_step(trainer, there),
                "loaded": lambda trainer=trainer, batches=batches: nnUNetTrainer.train_step(trainer, next(batches)),
            }
            seconds = _in_turn(ways, arguments.repetitions)
            if arguments.workers:
                batches._finish()  # noqa: SLF001 - as nnU-Net ends it
            print(
                f"{architecture:14}{encoder:14}bare {1e3 * seconds['bare']:8.1f} ms   with loader "
                f"{1e3 * seconds['loaded']:8.1f} ms{seconds['loaded'] / seconds['bare']:8.2f} x",
                flush=True,
            )


def _trainer(
    architecture: str, encoder: str, device: torch.device, memory_format: torch.memory_format | None = None
) -> Any:
    """What nnU-Net's training step needs of a trainer."""
    network = build_slice_network(architecture, encoder, in_channels=1, classes=2)
    wrapper = ThreePlaneNetwork(network, stride=stride_of(network)).train().to(device)
    if memory_format is not None:
        wrapper = wrapper.to(memory_format=memory_format)
    return SimpleNamespace(
        network=wrapper,
        device=device,
        optimizer=torch.optim.Adam(wrapper.parameters(), 3e-4),
        loss=RobustCrossEntropyLoss(),
        grad_scaler=torch.amp.GradScaler("cuda") if device.type == "cuda" else None,
    )


def _precision(encoders: list[str], size: int) -> None:
    """Training steps on a processor in two precisions and two orders of memory."""
    there = {"data": torch.randn(BATCH, 1, size, size), "target": torch.randint(0, 2, (BATCH, 1, size, size))}
    print(f"\ntraining step of a U-Net on the processor, {BATCH} slices of {size} x {size}, ms")
    for encoder in encoders:
        ways = {}
        for order in ("contiguous_format", "channels_last"):
            trainer = _trainer("Unet", encoder, torch.device("cpu"), getattr(torch, order))

            def step(trainer: Any = trainer) -> None:
                nnUNetTrainer.train_step(trainer, there)

            def low(step: Callable[[], None] = step) -> None:
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    step()

            ways |= {f"float32 {order}": step, f"bfloat16 {order}": low}
        for name, value in _in_turn(ways, 5).items():
            print(f"{encoder:14}{name:32}{1e3 * value:8.0f}", flush=True)


def _in_turn(ways: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median seconds of each way, all of them once, untimed, to begin with."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name, way in ways.items():
            _wait()
            start = time.perf_counter()
            way()
            _wait()
            if repetition:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
