"""Time and memory of nnfemur predict on one CT against the same network called bare, and against TotalSegmentator.

Run: uv run python benchmarks/predict.py

With `--true-size`, the networks have TotalSegmentator's real size and the peers include stock nnUNetv2_predict, stage
by stage; see `true_size.py`. What follows describes the benchmark without this option.

All use one dummy model with TotalSegmentator's classes, trained once on phantoms and kept in --folder. The bare
network sees the same windows in the same precision, and nothing else is done: no reading, resampling, joining or
writing. TotalSegmentator is its own code called from Python, with its rough model and roi_subset, in one process as
nnfemur baseline does it, which is faster than its command. It crops to the femur and steps by 0.8 of a window, so it
stands beside --quick, which steps so too, as well as beside the default, nnU-Net's windows.

Each way runs in a process of its own, in turns; medians of processor seconds. A case is from the CT's file to its mask
with everything imported; TotalSegmentator loads its two models within it, ours is loaded before. The whole process also
starts Python, imports, and loads the model. Peak memory is the process's resident set, libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from nnunet_femur.baselines.worker_process import isolated
from nnunet_femur.prediction.postprocessing import keep_largest
from nnunet_femur.prediction.prediction_options import QUICK
from nnunet_femur.testing import make_phantom, write_dummy_weights
from nnunet_femur.weights.models import crop_entry, femur_entry, open_model

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (2.0, 0.74, 0.74)
TIMES = ("case", "process", "case_wall", "process_wall")

_MEASURE = """
import json, re, sys, time
from pathlib import Path
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor as Predictor
ct, model, output, device, options = sys.argv[1:]
found, options, one_window = {"windows": 0}, json.loads(options), Predictor._internal_maybe_mirror_and_predict
def counted(self, x):
    found["windows"] += 1
    return one_window(self, x)
Predictor._internal_maybe_mirror_and_predict = counted
def gib():
    # The kernel's count for a child starts with the memory of its parent, that of /proc with its own.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**20
def begin():
    found.update(gib_before=gib(), case=time.process_time(), case_wall=time.perf_counter())
def end():
    found["case"] = time.process_time() - found["case"]
    found["case_wall"] = time.perf_counter() - found["case_wall"]
    sys.stderr.write("\\n" + json.dumps(found | {"gib": gib()}))
"""

_OURS = f"""{_MEASURE}
from nnunet_femur.prediction import Options, predict
from nnunet_femur.progress import Silent
class Watch(Silent):
    def begin(self, task, total=None):
        if task != "Predict":
            begin()
    def advance(self, task, done, *, total=None, note=""):
        if task == "Predict":
            end()
done = predict(ct, model, Path(output).parent, options=Options(**options), device=device, progress=Watch())
assert done.complete, done.results
"""

_BARE = f"""{_MEASURE}
import torch, SimpleITK as sitk
from nnunet_femur.prediction.preprocessing import bone_box
from nnunet_femur.prediction.trained_model import find_model
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.preprocessing import preprocess
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import Geometry, oriented
step_size = options.get("step_size", 0.5)
predictor = load_predictor(find_model(Path(model)), device=choose_device(device), step_size=step_size)
image = oriented(read_volume(Path(ct)))
voxels, spacing = sitk.GetArrayViewFromImage(image), Geometry.of(image).spacing_mm_zyx
data = preprocess(voxels[bone_box(voxels, spacing)] if "crop_to_bone" in options else voxels, spacing, predictor).data
short = [max(0, patch - size) for patch, size in zip(predictor.configuration_manager.patch_size, data.shape[1:])]
data = torch.nn.functional.pad(data, [n for each in short[::-1] for n in (each // 2, each - each // 2)])
network = predictor.network.to(predictor.device).eval()
windows = predictor._internal_get_sliding_window_slicers(data.shape[1:])
cut = [data[window][None].contiguous() for window in windows]
on_cuda = predictor.device.type == "cuda"
dtype = torch.half if on_cuda else torch.bfloat16
with torch.inference_mode(), torch.autocast(device, dtype=dtype, enabled=on_cuda or "half" in options):
    begin()
    for each in cut:
        network(each.to(predictor.device))
    if on_cuda:
        torch.cuda.synchronize()
    found["windows"] = len(cut)
    end()
"""

_TOTALSEGMENTATOR = f"""{_MEASURE}
import numpy as np
import totalsegmentator.python_api
from nnunet_femur.baselines.oriented_ct import OrientedCt
from nnunet_femur.baselines.worker import segment, without_processes
without_processes()
begin()
read = OrientedCt.read(Path(ct))
sides = segment(read, fast=False, robust_crop=False, device="gpu" if device == "cuda" else device)
read.write_mask((sides > 0).astype(np.uint8), Path(output))
end()
"""


def _timed(code: str, arguments: Sequence[object], environment: dict[str, str]) -> dict[str, Any]:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("{"))
    return {"process": seconds, "process_wall": time.perf_counter() - start, **json.loads(line)}


def _dice(mask: Path, reference: Path) -> tuple[float, float]:
    """To the reference: of the mask, and of its largest piece."""
    found, true = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (mask, reference))
    both = (
        2 * np.count_nonzero(each & true) / (np.count_nonzero(each) + np.count_nonzero(true))
        for each in (found, keep_largest(found))
    )
    return next(both), next(both)


def _write_ct(folder: Path, size_zyx: tuple[int, ...]) -> tuple[Path, Path]:
    phantom = make_phantom(3, size_zyx=size_zyx, spacing_mm_zyx=SPACING_MM_ZYX)
    paths = folder / "ct.nrrd", folder / "reference.nrrd"
    for image, path in zip((phantom.image, phantom.mask), paths, strict=True):
        sitk.WriteImage(image, str(path), True)  # noqa: FBT003
    return paths


WAYS = {
    "ours": (_OURS, {}),
    "bare network": (_BARE, {}),
    "ours, --quick": (_OURS, QUICK),
    "bare network, quick": (_BARE, QUICK),
    "TotalSegmentator": (_TOTALSEGMENTATOR, {}),
}
"""Code and options; those named ours and TotalSegmentator write masks."""


def _one_round(folder: Path, ct: Path, model: Path, device: str, environment: dict[str, str]) -> dict[str, Any]:
    found = {}
    for way, (code, options) in WAYS.items():
        output = _mask(folder, way)
        shutil.rmtree(output.parent, ignore_errors=True)
        output.parent.mkdir()
        found[way] = _timed(code, (ct, model, output, device, json.dumps(options)), environment)
    return found


def _mask(folder: Path, way: str) -> Path:
    return folder / way.replace(", --", "_") / "ct.nrrd"


def _print_table(folder: Path, reference: Path, median: dict[str, dict[str, float]]) -> None:
    print("| way | windows | case | process | peak memory | of it before the case | Dice, largest piece |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for way, values in median.items():
        mask = _mask(folder, way)
        dice = "{:.3f}, {:.3f}".format(*_dice(mask, reference)) if mask.is_file() else ""
        print(f"| {way} | {values['windows']:.0f} | {values['case']:.2f} s | {values['process']:.2f} s ", end="")
        print(f"| {values['gib']:.2f} GiB | {values['gib_before']:.2f} GiB | {dice} |")
    for ours, bare in (("ours", "bare network"), ("ours, --quick", "bare network, quick")):
        print(f"{ours} / {bare}: case {median[ours]['case'] / median[bare]['case']:.2f}")
    for ours in ("ours", "ours, --quick"):
        ratios = {key: median["TotalSegmentator"][key] / median[ours][key] for key in TIMES}
        print(f"TotalSegmentator / {ours}: " + ", ".join(f"{key} {value:.2f}" for key, value in ratios.items()))


def main() -> None:
    """Print medians and ratios: to the bare network at most 1.25 are wanted, of TotalSegmentator to ours at least 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--features", type=int, default=8, help="of the network's first stage; TotalSegmentator has 32")
    parser.add_argument("--patch", type=int, default=64, help="edge of its windows; TotalSegmentator has 128")
    parser.add_argument("--iterations", type=int, default=200, help="steps of the dummy's training")
    parser.add_argument("--size", type=int, nargs=3, default=SIZE_ZYX, help="voxels of the CT, z y x")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    true = parser.add_argument_group("true size")
    true.add_argument("--true-size", action="store_true", help="networks and CTs of real size, stage by stage")
    true.add_argument("--tiny", action="store_true", help="tiny networks and CTs instead, to test the benchmark")
    true.add_argument("--ways", nargs="+", metavar="WAY", help="only these programs, such as nnUNetv2_predict")
    true.add_argument("--cts", nargs="+", default=("one-leg", "both-legs"), metavar="CT", help="one-leg, both-legs")
    true.add_argument("--resume", action="store_true", help="do not repeat what an earlier call has measured")
    true.add_argument("--json", type=Path, help="file of the results [default: in the folder]")
    options = parser.parse_args()
    if options.true_size or options.tiny:
        from true_size import run

        run(options)
        return
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source = write_dummy_weights(
        folder / "weights",
        features=options.features,
        patch=options.patch,
        iterations=options.iterations,
        tasks=("femur", "crop"),
        device=options.device,
    )
    ct, reference = _write_ct(folder, tuple(options.size))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"CT of {' x '.join(map(str, options.size))} voxels of {SPACING_MM_ZYX} mm, {options.device}")
    models = [open_model(folder / "weights", entry) for entry in (femur_entry(), crop_entry())]
    with isolated(models) as (_, environment):
        rounds = [_one_round(folder, ct, source.folder, options.device, environment) for _ in range(options.rounds)]
    keys = (*TIMES, "windows", "gib", "gib_before")
    print(f"windows of {options.patch} voxels, {options.features} features, medians of {options.rounds} rounds")
    _print_table(
        folder, reference, {way: {key: statistics.median(r[way][key] for r in rounds) for key in keys} for way in WAYS}
    )


if __name__ == "__main__":
    main()
