"""Run nnUNetv2_predict, TotalSegmentator, nnfemur or a bare network in this process, and write the times of its stages.

It is started by `benchmarks/predict.py --true-size`, which names program and file of the times in the environment.
Functions of nnU-Net and TotalSegmentator are replaced by ones that also measure themselves. nnU-Net's own processes
import this file too, as the main module of their parent, so they are measured as well. `nnfemur predict` records its
stages itself, in `predictions.json`.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = "NNFEMUR_BENCHMARK_EVENTS"
"""Environment variable with the file that each stage adds a line to."""

PROGRAM = "NNFEMUR_BENCHMARK_PROGRAM"
"""Environment variable with the program, one of :data:`PROGRAMS`."""

_running: list[dict[str, Any]] = []
_counts = {"windows": 0}


def _write(**event: Any) -> None:
    with Path(os.environ[EVENTS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event | {"process": os.getpid()}) + "\n")


def measured(function: Callable[..., Any], stage: str | Callable[..., str], *, whole: bool = False) -> Callable:
    """Return a function that adds its time, less that of the stages within it, to the file of events.

    Args:
        function: The function.
        stage: Name of its stage, or a function of its arguments that returns it; no name, no event.
        whole: True if the stages within it are a part of it.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        name = stage if isinstance(stage, str) else stage(*arguments, **named)
        if not name or (_running and _running[-1]["whole"]):
            return function(*arguments, **named)
        _running.append({"whole": whole, "within": 0.0})
        started, start, windows = time.time(), time.perf_counter(), _counts["windows"]
        try:
            return function(*arguments, **named)
        finally:
            seconds, within = time.perf_counter() - start, _running.pop()["within"]
            if _running:
                _running[-1]["within"] += seconds
            passes = _counts["windows"] - windows
            _write(stage=name, started=started, seconds=seconds - within, windows=passes)

    return call


def _measure(owner: Any, name: str, stage: str | Callable[..., str], *, whole: bool = False) -> None:
    setattr(owner, name, measured(getattr(owner, name), stage, whole=whole))


def _count_windows() -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    one_window = nnUNetPredictor._internal_maybe_mirror_and_predict  # noqa: SLF001

    def counted(self: nnUNetPredictor, x: Any) -> Any:
        _counts["windows"] += 1
        return one_window(self, x)

    nnUNetPredictor._internal_maybe_mirror_and_predict = counted  # noqa: SLF001


def _measure_nnunet() -> None:
    from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
    from nnunetv2.inference import export_prediction
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    _count_windows()
    _measure(nnUNetPredictor, "initialize_from_trained_model_folder", "model")
    _measure(NibabelIOWithReorient, "read_images", "read")
    _measure(DefaultPreprocessor, "run_case_npy", "preprocess")
    _measure(nnUNetPredictor, "predict_logits_from_preprocessed_data", "network")
    _measure(export_prediction, "convert_predicted_logits_to_segmentation_with_correct_shape", "export")
    _measure(NibabelIOWithReorient, "write_seg", "write")


def _run_nnunet() -> None:
    from nnunetv2.inference.predict_from_raw_data import predict_entry_point

    predict_entry_point()


def _measure_totalsegmentator() -> None:
    import totalsegmentator.map_to_binary
    import totalsegmentator.nnunet as of_nnunet
    import totalsegmentator.nnunet_runtime_patches as of_export
    import totalsegmentator.python_api  # noqa: F401 - imports are a part of the start, not of the case

    from nnunet_femur.baselines.oriented_ct import OrientedCt
    from nnunet_femur.baselines.worker import without_processes
    from nnunet_femur.weights.models import crop_entry

    without_processes()
    _measure_nnunet()
    crop = crop_entry().task_id
    predict, done = of_nnunet.nnUNet_predict_image, {"network": False}

    def task_of(_in: Any, _out: Any, task: Any, *_: Any, **__: Any) -> str:
        return "localise" if task == crop else ""

    def resampled(*_: Any, **__: Any) -> str:
        # The CT is resampled before the network, and its result afterwards.
        return "export" if _counts["windows"] > done["network"] else "preprocess"

    def predicting(*arguments: Any, **named: Any) -> Any:
        done["network"] = _counts["windows"]
        return predict(*arguments, **named)

    _measure(of_nnunet, "change_spacing", resampled)
    # It replaces nnU-Net's function by its own.
    _measure(of_export, "convert_predicted_logits_to_segmentation_with_correct_shape", "export")
    of_nnunet.nnUNet_predict_image = measured(predicting, task_of, whole=True)
    _measure(OrientedCt, "read", "read")
    _measure(OrientedCt, "write_mask", "write")


def _run_totalsegmentator() -> None:
    import numpy as np

    from nnunet_femur.baselines.oriented_ct import OrientedCt
    from nnunet_femur.baselines.worker import segment

    ct, output, device = sys.argv[1:]
    read = OrientedCt.read(Path(ct))
    sides = segment(read, fast=False, robust_crop=False, device="gpu" if device == "cuda" else device)
    read.write_mask((sides > 0).astype(np.uint8), Path(output))


def _run_nnfemur() -> None:
    from nnunet_femur.cli import main as nnfemur

    nnfemur()


def _run_bare() -> None:
    import SimpleITK as sitk
    import torch

    from nnunet_femur.imaging.geometry import Geometry, oriented
    from nnunet_femur.prediction.predictor import choose_device, load_predictor
    from nnunet_femur.prediction.preprocessing import preprocess
    from nnunet_femur.prediction.trained_model import find_model

    ct, model, device = sys.argv[1:]
    predictor = load_predictor(find_model(Path(model)), device=choose_device(device))
    image = oriented(measured(sitk.ReadImage, "read")(ct))
    spacing_mm_zyx = Geometry.of(image).spacing_mm_zyx
    data = measured(preprocess, "preprocess")(sitk.GetArrayViewFromImage(image), spacing_mm_zyx, predictor).data
    lacking = [
        max(0, n - size) for n, size in zip(predictor.configuration_manager.patch_size, data.shape[1:], strict=True)
    ]
    data = torch.nn.functional.pad(data, [n for each in lacking[::-1] for n in (each // 2, each - each // 2)])
    windows = predictor._internal_get_sliding_window_slicers(data.shape[1:])  # noqa: SLF001
    network = predictor.network.to(predictor.device).eval()

    def passes() -> None:
        for window in windows:
            network(data[window][None].to(predictor.device))
            _counts["windows"] += 1
        if predictor.device.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode():
        measured(passes, "network")()


def _memory() -> None:
    """Write the largest memory of this process, and of the GPU."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.is_file() else None
    gib = {"gib": int(found[1]) / 2**20} if found else {}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gib["gpu_gib"] = torch.cuda.max_memory_reserved() / 2**30
    _write(stage="memory", **gib)


PROGRAMS: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    "nnunet": (_measure_nnunet, _run_nnunet),
    "totalsegmentator": (_measure_totalsegmentator, _run_totalsegmentator),
    "nnfemur": (lambda: None, _run_nnfemur),
    "bare": (lambda: None, _run_bare),
}
"""Preparation, also of child processes, and the program by name."""

if EVENTS in os.environ and __name__ in ("__main__", "__mp_main__"):
    prepare, run = PROGRAMS[os.environ[PROGRAM]]
    prepare()
    if __name__ == "__main__":
        sys.argv[0] = os.environ[PROGRAM]
        atexit.register(_memory)
        run()
