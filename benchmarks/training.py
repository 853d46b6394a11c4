"""Training steps, loaders and epochs of our trainers against stock nnU-Net's on the same network.

    uv run python benchmarks/training.py                      # true size; needs a GPU
    uv run python benchmarks/training.py --small              # smaller networks, for processors
    uv run python benchmarks/training.py --part loader        # batches of true size only; needs no GPU
    uv run python benchmarks/training.py --tiny               # seconds, for tests

Stock nnU-Net is `nnUNetTrainer` with the same plans (volumes, TotalSegmentator's topology) or with the same network of
segmentation-models-pytorch and configuration 2d (slices), and with our optimizer and loss. Measured are

- step: median milliseconds of a training step on one ready batch: nnU-Net's step of the stock network ("bare"), and our
  trainer's step, in turn. Bound: our step takes at most 1.05 x the bare one.
- loaded: milliseconds of a step with its loader, mean of the second half of the last of three epochs. Loaders then have
  used up the batches that they made in advance. Bound: 1.05 x the bare step.
- loader: milliseconds for a batch if nothing waits for it: by the worker processes together, and processor milliseconds
  of one batch in one process ("core"). Workers needed for a GPU are core / step, rounded up.
- epoch: seconds of the last epoch with validation and checkpoints, ours against stock nnU-Net's with its own loader.

On a GPU these are seconds of the clock. On a processor they are processor seconds, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import math
import os
import shutil
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gpu import FEW_TRAINERS, TRAINERS
from gpu_tables import training_table
from marked_tables import replace_table, write_results
from training_data import SIZES, Size, make_ours, make_stock, prepare

from nnunet_femur.training.slices.slice_loader import SliceLoader

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def main() -> None:
    """Measure the trainers, print the tables, and write results and tables if asked for."""
    arguments = _arguments()
    size = SIZES[arguments.size]
    folder = arguments.folder.resolve() / arguments.size
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.device == "cuda":
        # As nnUNetv2_train does.
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = True
    with _quiet():
        prepare(folder, size, arguments.source)
    if arguments.part == "data":
        return
    rows = []
    for name in arguments.trainers:
        with _quiet():
            row = measure(name, size, torch.device(arguments.device), arguments.workers, arguments.part)
        shutil.rmtree(os.environ["nnUNet_results"], ignore_errors=True)
        rows.append(row)
        print(f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in row.items() if key != "trainer"))
    file = arguments.json or folder / "training.json"
    results = write_results(file, "training", rows, size=arguments.size, workers=arguments.workers)
    text = training_table(results)
    print(f"\n{text}")
    if arguments.page is not None:
        replace_table(arguments.page, arguments.marker, text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("benchmark-training"), help="where everything is written")
    parser.add_argument("--source", type=Path, help="CTs and masks; default: phantoms")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", choices=SIZES, default="true-size")
    for name in ("small", "tiny"):
        size.add_argument(f"--{name}", dest="size", action="store_const", const=name)
    parser.add_argument("--part", choices=("all", "step", "loader", "data"), default="all")
    parser.add_argument("--trainers", nargs="+", default=list(TRAINERS if torch.cuda.is_available() else FEW_TRAINERS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=8 if torch.cuda.is_available() else 0, help="that load batches")
    parser.add_argument("--json", type=Path, help="file of the results; default: training.json in the folder")
    parser.add_argument("--page", type=Path, help="Markdown page whose table is replaced")
    parser.add_argument("--marker", default="training-gpu" if torch.cuda.is_available() else "training-cpu")
    return parser.parse_args()


def measure(name: str, size: Size, device: torch.device, workers: int, part: str) -> dict[str, Any]:
    """Return the figures of one trainer; parts that are not asked for are missing.

    Args:
        name: The trainer's name.
        size: Size of the epochs.
        device: The device to train on.
        workers: Number of processes that load batches; 0 to load in the process of the training.
        part: "step", "loader" or "all".
    """
    row: dict[str, Any] = {"trainer": name}
    for attempt in ("ours", "stock"):
        _release()
        ours = make_ours(name, size, device)
        ours.initialize()
        stock = make_stock(ours, size, device)
        trainer = ours if attempt == "ours" else stock
        if attempt == "ours" and part != "loader":
            row |= _steps(ours, stock, size.repetitions)
        if attempt == "ours" and part != "step":
            row |= _core_ms({"ours": ours, "stock": stock}, 2 * size.repetitions)
        if part != "step" and workers:
            row[f"loader_{attempt}_ms"] = _loader_ms(trainer, workers, size.repetitions)
        if part == "all":
            del ours, stock
            _use_workers(workers)
            row |= {f"{key}_{attempt}": value for key, value in _epoch(trainer).items()}
        del trainer
    return _with_ratios(row)


def _steps(ours: Any, stock: nnUNetTrainer, repetitions: int) -> dict[str, float]:
    """Return the median milliseconds of both trainers' steps on one ready batch."""
    _use_workers(0)
    loader, _ = ours.get_dataloaders()
    batch = next(loader)
    batch |= {key: _to(batch[key], ours.device) for key in ("data", "target")}
    ours.network.train()
    stock.network.train()
    ours.set_deep_supervision_enabled(ours.enable_deep_supervision)
    ways = {"bare": lambda: stock.train_step(batch), "step": lambda: ours.train_step(batch)}
    # A fine-tuning trains all layers after its first epoch.
    ours.current_epoch = 1
    ours.on_train_epoch_start()
    seconds = in_turn(ways, repetitions, ours.device)
    ours.current_epoch = 0
    return {f"{key}_ms": 1e3 * value for key, value in seconds.items()}


def _core_ms(trainers: dict[str, Any], batches: int) -> dict[str, float]:
    """Return the processor milliseconds that one process needs for a batch, while no network runs.

    Trainers take turns, and their random numbers start from the same seeds, so that both draw the same augmentation.
    """
    _use_workers(0)
    spent = dict.fromkeys(trainers, 0.0)
    loaders = {name: trainer.get_dataloaders()[0].data_loader for name, trainer in trainers.items()}
    for loader in loaders.values():
        if isinstance(loader, SliceLoader):
            # Its thread would read in the turn of the other.
            loader._reader = None  # noqa: SLF001
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for number in range(-1, batches):
        for name, loader in loaders.items():
            np.random.seed(number + 1)  # noqa: NPY002 - nnU-Net's generator
            torch.manual_seed(number + 1)
            start = time.process_time()
            next(loader)
            if number >= 0:
                spent[name] += time.process_time() - start
    torch.set_num_threads(threads)
    return {f"core_{name}_ms": 1e3 * seconds / batches for name, seconds in spent.items()}


def _loader_ms(trainer: Any, workers: int, batches: int) -> float:
    """Return the milliseconds between batches of the worker processes together, once their queues are empty."""
    _use_workers(workers)
    loader, validation = trainer.get_dataloaders()
    for _ in range(4 * workers):
        next(loader)
    start = time.perf_counter()
    for _ in range(4 * batches):
        next(loader)
    seconds = time.perf_counter() - start
    for each in (loader, validation):
        each._finish()  # noqa: SLF001 - as nnU-Net ends it
    return 1e3 * seconds / (4 * batches)


def _epoch(trainer: Any) -> dict[str, float]:
    """Train three epochs; return the seconds of the last one and its parts, and the milliseconds of a loaded step."""
    times: dict[str, float] = {}
    ends: list[float] = []

    def mark(name: str, after: bool = True) -> None:  # noqa: FBT001, FBT002
        method = getattr(trainer, name)

        def marked(*given: Any) -> Any:
            if not after:
                times[name] = _now(trainer.device)
            result = method(*given)
            if after:
                times[name] = _now(trainer.device)
            return result

        setattr(trainer, name, marked)

    mark("on_epoch_start", after=False)
    for name in ("on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_end", "on_epoch_end"):
        mark(name)
    step = trainer.train_step

    def timed_step(batch: dict) -> dict:
        result = step(batch)
        ends.append(_now(trainer.device))
        return result

    trainer.train_step = timed_step
    trainer.run_training()
    late = ends[-max(2, trainer.num_iterations_per_epoch // 2) :]
    return {
        "loaded_ms": 1e3 * (late[-1] - late[0]) / (len(late) - 1),
        "epoch_s": times["on_epoch_end"] - times["on_epoch_start"],
        "training_s": times["on_train_epoch_end"] - times["on_epoch_start"],
        "validation_s": times["on_validation_epoch_end"] - times["on_train_epoch_end"],
        "saving_s": times["on_epoch_end"] - times["on_validation_epoch_end"],
    }


def in_turn(ways: dict[str, Callable[[], object]], repetitions: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each way; all are called in turn, and twice untimed at first."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 2):
        for name, way in ways.items():
            start = _now(device)
            way()
            if repetition > 1:
                taken[name].append(_now(device) - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _now(device: torch.device) -> float:
    """Return seconds: of the clock on a GPU, of the processor elsewhere, since other programs may use it too."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _with_ratios(row: dict[str, Any]) -> dict[str, Any]:
    ratios = {
        "step_ratio": ("step_ms", "bare_ms"),
        "loaded_ratio": ("loaded_ms_ours", "bare_ms"),
        "epoch_ratio": ("epoch_s_ours", "epoch_s_stock"),
        "core_ratio": ("core_ours_ms", "core_stock_ms"),
    }
    row |= {name: row[over] / row[under] for name, (over, under) in ratios.items() if {over, under} <= row.keys()}
    if {"core_ours_ms", "bare_ms"} <= row.keys():
        row["workers_needed"] = math.ceil(row["core_ours_ms"] / row["bare_ms"])
    return row


def _to(value: Any, device: torch.device) -> Any:
    return [each.to(device) for each in value] if isinstance(value, list) else value.to(device)


def _use_workers(workers: int) -> None:
    os.environ["nnUNet_n_proc_DA"] = str(workers)


def _release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep nnU-Net's output unless something fails."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    except BaseException:
        print(said.getvalue())
        raise


def _short(value: float) -> str:
    return f"{value:.4g}"


if __name__ == "__main__":
    main()
