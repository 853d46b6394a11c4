"""Time and memory of nnfemur predict on one CT against the same network called bare, and against TotalSegmentator.

Run: uv run python benchmarks/predict.py

All three use one stand-in model with TotalSegmentator's classes, trained once on phantoms and kept in --folder.
TotalSegmentator is its own code, with its rough model and roi_subset; the bare network sees the same windows and
nothing else is done: no reading, resampling, joining or writing. Each way runs in processes of its own, in turns;
medians. A case is timed from its file to its mask; the whole command also starts Python and loads the model.
TotalSegmentator imports itself within its first case. It crops to the femur by its rough model, so it stands beside
--crop-to-bone too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from nnunet_femur.phantoms import make_phantom
from nnunet_femur.standin import write_standin

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (2.0, 0.74, 0.74)
TARGETS = {"bare": 1.25, "totalsegmentator": 2.0}

_PEAK = """
import atexit, json, re, sys, time
from pathlib import Path
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 2**20
"""
"""The kernel's count for a child starts with the memory of its parent, that of /proc with its own."""

_OURS = f"""{_PEAK}
from nnunet_femur.cli import main
atexit.register(lambda: sys.stderr.write("\\n" + json.dumps({{"gib": peak()}})))
main()
"""

_BARE = f"""{_PEAK}
import torch, SimpleITK as sitk
from nnunet_femur.prediction.models import find_model
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.preparing import prepare
from nnunet_femur.volumes import Geometry, oriented, read_volume
ct, model, device = sys.argv[1:]
predictor = load_predictor(find_model(Path(model)), device=choose_device(device))
image = oriented(read_volume(Path(ct)))
data = prepare(sitk.GetArrayViewFromImage(image), Geometry.of(image).spacing_mm_zyx, predictor).data
short = [max(0, patch - size) for patch, size in zip(predictor.configuration_manager.patch_size, data.shape[1:])]
data = torch.nn.functional.pad(data, [n for each in short[::-1] for n in (each // 2, each - each // 2)])
network = predictor.network.to(predictor.device).eval()
windows = predictor._internal_get_sliding_window_slicers(data.shape[1:])
cut = [data[window][None].contiguous() for window in windows]
with torch.inference_mode(), torch.autocast("cuda", enabled=predictor.device.type == "cuda"):
    start = time.perf_counter()
    for each in cut:
        network(each.to(predictor.device))
    if predictor.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
sys.stderr.write("\\n" + json.dumps({{"case": seconds, "windows": len(cut), "gib": peak()}}))
"""

_TOTALSEGMENTATOR = """
import json, resource, sys
from pathlib import Path
from nnunet_femur.baseline import Settings, run_on_volume
ct, output, device = sys.argv[1:]
record = json.loads(run_on_volume(Path(ct), Path(output), Settings(device=device)).read_text())
(case,) = record["cases"].values()
gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
sys.stderr.write("\\n" + json.dumps({"case": case["seconds"], "gib": gib}))
"""


_STAGES = """
import json, sys, time
from pathlib import Path
import numpy as np, SimpleITK as sitk, torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape as export
from nnunet_femur.prediction.models import find_model
from nnunet_femur.prediction.predictor import choose_device, load_predictor
from nnunet_femur.prediction.preparing import prepare
from nnunet_femur.prediction.restoring import restore
from nnunet_femur.volumes import Geometry, oriented, read_volume
ct, truth, model = map(Path, sys.argv[1:])
predictor = load_predictor(find_model(model), device=choose_device("cpu"))
plans, configuration, labels = predictor.plans_manager, predictor.configuration_manager, predictor.label_manager
image = oriented(read_volume(ct))
spacing = list(Geometry.of(image).spacing_mm_zyx)
voxels = sitk.GetArrayViewFromImage(image)
found = {}
def timed(name, work):
    start = time.perf_counter()
    result = work()
    found[name] = time.perf_counter() - start
    return result
threads = torch.get_num_threads()
ours = timed("prepare", lambda: prepare(voxels, spacing, predictor))
preprocessor = configuration.preprocessor_class(verbose=False)
theirs, _, properties = timed("nnunet_prepare", lambda: preprocessor.run_case_npy(
    voxels[None].astype(np.float32), None, {"spacing": spacing}, plans, configuration, predictor.dataset_json))
found["largest_difference"] = float(np.abs(theirs - ours.data.numpy()).max())
# Logits of two of the classes that say what is bone; of the others that they are not meant.
bone = torch.from_numpy(sitk.GetArrayFromImage(oriented(read_volume(truth))).astype(np.float32))[None, None]
bone = torch.nn.functional.interpolate(bone, size=ours.data.shape[1:], mode="trilinear")[0, 0] - 0.5
logits = torch.full((labels.num_segmentation_heads, *bone.shape), -9.0, dtype=torch.half)
logits[0], logits[7] = (0.1 * torch.rand(bone.shape) - 8 * bone).half(), (8 * bone).half()
mask = timed("restore", lambda: restore([logits], ours, predictor, femur=(7,)).mask_zyx)
expected = timed("nnunet_restore", lambda: export(
    logits, plans, configuration, labels, ours.properties, num_threads_torch=threads))
found["voxels"], found["differ"] = int(np.count_nonzero(expected)), int(np.count_nonzero((expected == 7) != mask))
sys.stderr.write("\\n" + json.dumps(found))
"""


def _print_stages(ct: Path, truth: Path, model: Path) -> None:
    found = _timed(_STAGES, (ct, truth, model), {**os.environ})
    for stage, what in (("prepare", "preprocessing"), ("restore", "back to the CT's grid")):
        ours, theirs = found[stage], found[f"nnunet_{stage}"]
        print(f"{what:22} {ours:6.2f} s, nnU-Net's own {theirs:6.2f} s, {theirs / ours:.1f} times ours")
    print(f"largest difference of the normalized CT {found['largest_difference']:.1e}; ", end="")
    print(f"{found['differ']} of {found['voxels']} voxels of femur differ")


def _timed(code: str, arguments: Sequence[object], environment: dict[str, str]) -> dict[str, Any]:
    start = time.perf_counter()
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return {"command": time.perf_counter() - start, **json.loads(done.stderr.rsplit("\n", 1)[1])}


def _dice(a: Path, b: Path) -> float:
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0 for path in (a, b))
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))


def _write_ct(folder: Path, size_zyx: tuple[int, ...]) -> tuple[Path, Path]:
    phantom = make_phantom(3, size_zyx=size_zyx, spacing_mm_zyx=SPACING_MM_ZYX)
    paths = folder / "ct.nrrd", folder / "truth.nrrd"
    for image, path in zip((phantom.image, phantom.mask), paths, strict=True):
        sitk.WriteImage(image, str(path), True)  # noqa: FBT003
    return paths


def _ours(arguments: Sequence[object], output: Path, environment: dict[str, str]) -> dict[str, Any]:
    timed = _timed(_OURS, ("predict", *arguments, "-o", output), environment)
    (case,) = json.loads((output / "predictions.json").read_text(encoding="utf-8"))["cases"]
    return {**timed, "case": case["seconds"]}


def _one_round(folder: Path, ct: Path, model: Path, device: str) -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "TOTALSEG_WEIGHTS_PATH": str(folder / "weights")}
    for name in ("ours", "cropped", "theirs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "theirs").mkdir()
    arguments = ("-i", ct, "-m", model, "--device", device)
    theirs = "gpu" if device == "cuda" else device
    return {
        "ours": _ours(arguments, folder / "ours", environment),
        "ours, cropped": _ours((*arguments, "--crop-to-bone"), folder / "cropped", environment),
        "bare": _timed(_BARE, (ct, model, device), environment),
        "totalsegmentator": _timed(_TOTALSEGMENTATOR, (ct, folder / "theirs" / "ct.nrrd", theirs), environment),
    }


def main() -> None:
    """Print the medians of all ways, the ratios and the targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--features", type=int, default=8, help="of the network's first stage; TotalSegmentator has 32")
    parser.add_argument("--patch", type=int, default=64, help="edge of its windows; TotalSegmentator has 128")
    parser.add_argument("--iterations", type=int, default=200, help="steps of the stand-in's training")
    parser.add_argument("--size", type=int, nargs=3, default=SIZE_ZYX, help="voxels of the CT, z y x")
    parser.add_argument("--only-stages", action="store_true", help="only what surrounds the network, against nnU-Net's")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source = write_standin(
        folder / "weights",
        features=options.features,
        patch=options.patch,
        iterations=options.iterations,
        tasks=("femur", "crop"),
        device=options.device,
    )
    ct, truth = _write_ct(folder, tuple(options.size))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"CT of {' x '.join(map(str, options.size))} voxels of {SPACING_MM_ZYX} mm, {options.device}")
    _print_stages(ct, truth, source.folder)
    if options.only_stages:
        return
    rounds = [_one_round(folder, ct, source.folder, options.device) for _ in range(options.rounds)]
    print(f"{rounds[0]['bare']['windows']} windows of {options.patch} voxels, {options.features} features")
    median = {
        way: {key: statistics.median(each[way][key] for each in rounds) for key in ("case", "command", "gib")}
        for way in rounds[0]
    }
    for way, values in median.items():
        print(f"{way:18} case {values['case']:7.2f} s   command {values['command']:7.2f} s   {values['gib']:.2f} GiB")
    print(f"Dice to the truth: ours {_dice(folder / 'ours' / 'ct.nrrd', truth):.3f}, ", end="")
    print(f"cropped {_dice(folder / 'cropped' / 'ct.nrrd', truth):.3f}, ", end="")
    print(f"TotalSegmentator {_dice(folder / 'theirs' / 'ct.nrrd', truth):.3f}")
    print(f"Dice of ours and ours, cropped: {_dice(folder / 'ours' / 'ct.nrrd', folder / 'cropped' / 'ct.nrrd'):.4f}")
    bare = median["ours"]["case"] / median["bare"]["case"]
    print(f"case, ours / bare network {bare:.2f} (target at most {TARGETS['bare']})")
    for way in ("ours", "ours, cropped"):
        ratio = median["totalsegmentator"]["command"] / median[way]["command"]
        print(f"command, TotalSegmentator / {way} {ratio:.2f} (target at least {TARGETS['totalsegmentator']})")


if __name__ == "__main__":
    main()
