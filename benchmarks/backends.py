"""Seconds of a window of TotalSegmentator's topology in every library and precision, and how far its logits differ.

Run: uv run python benchmarks/backends.py

All ways compute the same window of the phantom in turns. The model is that of the true-size benchmark and is kept in
--folder. Differences are those from PyTorch in float32; the voxels that decide otherwise are divided by its voxels of
femur.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import SimpleITK as sitk
import torch
from gpu_tables import BASE, backends_table
from marked_tables import write_results
from true_size_data import TINY, TRUE_SIZE, network_of, write_cts, write_models

from nnunet_femur.imaging.geometry import Geometry, oriented
from nnunet_femur.prediction.backends import make_backend
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.preprocessing import preprocess
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.weights import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from nnunet_femur.weights.models import SourceModel

BACKENDS = (
    ("torch", "float32"),
    ("torch", "float16"),
    ("torch", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "float16"),
    ("openvino", "bfloat16"),
)
"""Backends of `nnfemur predict` and their precisions."""

Compute: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"
"""Function from windows to logits."""

Way: TypeAlias = tuple[float, "Compute"]
"""Seconds to make a way of computing, and the way."""


def _window(model: SourceModel, ct: Path, patch: int) -> torch.Tensor:
    """Return the window in the middle of the upper half of the preprocessed CT, where the hip is."""
    predictor = load_predictor(find_model(model.folder), device=choose_device("cpu"))
    image = oriented(sitk.ReadImage(str(ct)))
    data = preprocess(sitk.GetArrayViewFromImage(image), Geometry.of(image).spacing_mm_zyx, predictor).data
    lacking = [max(0, patch - n) for n in data.shape[1:]]
    padded = torch.nn.functional.pad(data, [n for each in lacking[::-1] for n in (each // 2, each - each // 2)])
    starts = [padded.shape[1] - patch, *((n - patch) // 2 for n in padded.shape[2:])]
    z, y, x = (slice(start, start + patch) for start in starts)
    return padded[None, :, z, y, x].contiguous()


def _ways(model: SourceModel, window: torch.Tensor, *, compiled: bool) -> dict[str, Way]:
    weights = load_checkpoint(model.checkpoint)["network_weights"]
    channels, device = max(model.classes.values()) + 1, choose_device("auto")
    if device.type == "mps":
        device = choose_device("cpu")

    def network() -> torch.nn.Module:
        made = network_of(model.plans, channels).eval()
        made.load_state_dict(weights)
        return made.to(device)

    def backend(name: str, precision: str) -> Compute:
        patch = tuple(window.shape[2:])
        return make_backend(network(), [weights], patch_size=patch, device=device, backend=name, precision=precision)

    makers: dict[str, Callable[[], Compute]] = {
        f"{name}, {precision}": partial(backend, name, precision) for name, precision in BACKENDS
    }
    if device.type == "cpu":
        makers["ONNX Runtime, float32"] = lambda: onnxruntime_of(network(), window)
    makers["torch, float32, channels_last_3d"] = lambda: _in_channels_last(network(), device)
    if compiled:
        makers["torch.compile, float32"] = lambda: _compiled(network(), window.to(device))
    return _made(makers)


def _made(makers: dict[str, Callable[[], Compute]]) -> dict[str, Way]:
    ways: dict[str, Way] = {}
    for name, make in makers.items():
        start = time.perf_counter()
        try:
            made = make()
        # Without a library, a compiler or an instruction, any error can occur.
        except Exception as error:  # noqa: BLE001
            print(f"{name}: left out. {error}", flush=True)
        else:
            ways[name] = time.perf_counter() - start, made
    return ways


def _in_channels_last(network: torch.nn.Module, device: torch.device) -> Compute:
    ordered = network.to(memory_format=torch.channels_last_3d)
    return lambda windows: ordered(windows.to(device, memory_format=torch.channels_last_3d))


def _compiled(network: torch.nn.Module, window: torch.Tensor) -> Compute:
    made = torch.compile(network)
    with torch.inference_mode():
        made(window)
    return lambda windows: made(windows.to(window.device))


def onnxruntime_of(network: torch.nn.Module, window: torch.Tensor) -> Compute:
    """Return a network as ONNX Runtime computes it on the processor.

    Args:
        network: The network.
        window: A window, shape (1, 1, z, y, x).
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        torch.onnx.export(
            network, (window,), file, input_names=["windows"], dynamo=True, external_data=False, verbose=False
        )
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda windows: torch.from_numpy(session.run(None, {"windows": windows.numpy()})[0])


def measure(ways: dict[str, Way], window: torch.Tensor, femur: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Return seconds of a window and differences of the logits for each way.

    Args:
        ways: The ways by name; :data:`BASE` is one of them.
        window: The window, shape (1, 1, z, y, x).
        femur: Channels of the femur.
        rounds: Number of times that each is measured, after one that is not.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    logits: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, (_, compute) in ways.items():
                start = time.perf_counter()
                found = compute(window).float().cpu()
                if number:
                    seconds[name].append(time.perf_counter() - start)
                logits[name] = found[0].numpy()
    base = np.isin(logits[BASE].argmax(0), femur)
    rows = []
    for name, (made_s, _) in ways.items():
        difference = np.abs(logits[name] - logits[BASE])
        other = np.count_nonzero(np.isin(logits[name].argmax(0), femur) != base)
        rows.append(
            {
                "way": name,
                "window_s": statistics.median(seconds[name]),
                "made_s": made_s,
                "largest": float(difference.max()),
                "mean": float(difference.mean()),
                "otherwise": other / max(1, np.count_nonzero(base)),
            }
        )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--tiny", action="store_true", help="a tiny network instead, to test the benchmark")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes on a processor")
    parser.add_argument("--json", type=Path, help="file of the results [default: in the folder]")
    options = parser.parse_args()
    size, name = (TINY, "tiny") if options.tiny else (TRUE_SIZE, "true-size")
    folder = options.folder.resolve() / name
    model, _ = write_models(folder / "weights", size)
    window = _window(model, write_cts(folder / "cts", size)["one-leg"][0], size.patch)
    rows = measure(_ways(model, window, compiled=options.compile), window, model.femur_channels, options.rounds)
    settings = {"patch": size.patch, "rounds": options.rounds}
    print(backends_table(write_results(options.json or folder / "backends.json", "backends", rows, **settings)))


if __name__ == "__main__":
    main()
