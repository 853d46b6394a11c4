"""Time and memory of scoring against google-deepmind/surface-distance and MONAI on the same masks, and of a comparison.

Run: uv run --group benchmark python benchmarks/scoring.py

One core scores one case of 300 x 336 x 256 voxels, peers in turns with us, medians of several rounds. Then
nnfemur-compare runs over 8 methods x 8 such cases, twice without and twice with measurements. A peer that is not
installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# Before numpy is loaded: one core is one core.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from nnunet_femur.evaluation import Bone, Scoring, score_case
from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIZE_ZYX, SPACING_MM_ZYX = (300, 336, 256), (2.0, 0.74, 0.74)
METHODS, CASES = 8, 8
TARGETS = {
    "case_s": 0.25,
    "google": 4.0,
    "monai": 6.0,
    "compare_s": 30.0,
    "again_s": 5.0,
    "measured_s": 90.0,
    "memory_gb": 1.0,
}


def _prediction(reference: NDArray[np.bool_], seed: int, error_mm: float) -> NDArray[np.bool_]:
    """The reference with its surface moved by smooth noise of this standard deviation."""
    coarse = np.random.default_rng(seed).standard_normal([-(-n // 4) for n in reference.shape]).astype(np.float32)
    coarse = ndimage.gaussian_filter(coarse, 2)
    noise = ndimage.zoom(coarse / coarse.std(), 4, order=1)[tuple(slice(n) for n in reference.shape)]
    inside, outside = (ndimage.distance_transform_edt(m, sampling=SPACING_MM_ZYX) for m in (reference, ~reference))
    return np.asarray(inside - outside + error_mm * noise > 0)


def _ours(reference: NDArray[np.bool_], prediction: NDArray[np.bool_], *, slice_surfaces: bool = False) -> None:
    bones = (Bone(mask, SPACING_MM_ZYX) for mask in (reference, prediction))
    score_case(*bones, scoring=Scoring(slice_surfaces=slice_surfaces))


def _google(reference: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> None:
    import surface_distance

    distances = surface_distance.compute_surface_distances(reference, prediction, SPACING_MM_ZYX)
    surface_distance.compute_robust_hausdorff(distances, 95)
    surface_distance.compute_surface_dice_at_tolerance(distances, 2)
    surface_distance.compute_average_surface_distance(distances)


def _monai(reference: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> None:
    import torch
    from monai import metrics

    torch.set_num_threads(1)
    masks = [torch.from_numpy(mask[None, None]) for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": SPACING_MM_ZYX}
    metrics.compute_hausdorff_distance(*masks, percentile=95, **options)
    metrics.compute_average_surface_distance(*masks, symmetric=True, **options)
    metrics.compute_surface_dice(*masks, class_thresholds=[2.0], **options)
    metrics.compute_dice(*masks)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _available(work: Callable[[], object], name: str) -> bool:
    try:
        work()
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return False
    return True


def time_case(rounds: int) -> dict[str, float]:
    """Print the medians and ratios of one case; return them by name."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    reference = sitk.GetArrayFromImage(make_phantom(0, size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX).mask) > 0
    prediction = _prediction(reference, 1, 2.0)
    dice = 2 * np.count_nonzero(reference & prediction) / (np.count_nonzero(reference) + np.count_nonzero(prediction))
    print(f"masks of {' x '.join(map(str, SIZE_ZYX))} voxels, {np.count_nonzero(reference)} of bone, Dice {dice:.3f}")
    works = {
        "google": partial(_google, reference, prediction),
        "monai": partial(_monai, reference, prediction),
        "ours": partial(_ours, reference, prediction),
    }
    works = {name: work for name, work in works.items() if _available(work, name)}
    # Taken in turns, so that a busy machine slows all of them.
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_seconds(work))
    medians = {name: statistics.median(of) for name, of in times.items()}
    everything = "everything: 3D, regions, three planes, paper"
    print(f"{everything:52} {medians['ours']:.3f} s (target {TARGETS['case_s']} s, one core, median of {rounds})")
    for name, what in (
        ("google", "google surface-distance: HD95, NSD, ASSD"),
        ("monai", "MONAI: Dice, HD95, NSD, ASSD"),
    ):
        if name in medians:
            ratio = medians[name] / medians["ours"]
            print(f"{what:52} {medians[name]:.3f} s, {ratio:.1f} times ours (target {TARGETS[name]:.0f})")
    slices = _seconds(partial(_ours, reference, prediction, slice_surfaces=True))
    print(f"{'with surface scores of every slice':52} {slices:.3f} s")
    far = np.roll(reference, (0, 40, 60), axis=(0, 1, 2))
    print(f"{'masks far apart (40 and 60 voxels)':52} {_seconds(partial(_ours, reference, far)):.3f} s")
    return medians


def make_cohort(folder: Path, methods: int, cases: int) -> Path:
    """Write a dataset with a test set and the predictions of several methods; return the results folder."""
    phantom = make_phantom(0, size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX)
    raw = folder / "nnUNet_raw" / "Dataset001_Femur"
    results = folder / "nnUNet_results"
    images, labels = raw / "imagesTs", raw / "labelsTs"
    for path in (images, labels):
        path.mkdir(parents=True)
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}), encoding="utf-8")
    hu, reference = (sitk.GetArrayFromImage(image) for image in (phantom.image, phantom.mask))

    def write(path: Path, voxels: NDArray) -> None:
        image = sitk.GetImageFromArray(voxels)
        image.CopyInformation(phantom.mask)
        sitk.WriteImage(image, str(path), True, 1)  # noqa: FBT003

    for case in range(cases):
        shift = (case - cases // 2, 2 * case, -case)
        write(images / f"L{case}_0000.nii.gz", np.roll(hu, shift, axis=(0, 1, 2)))
        write(labels / f"L{case}.nii.gz", np.roll(reference, shift, axis=(0, 1, 2)))
    for method in range(methods):
        test = results / raw.name / f"Method{method}Trainer__nnUNetPlans__3d_fullres" / "test"
        test.mkdir(parents=True)
        wrong = _prediction(reference > 0, method, 0.5 + 0.3 * method)
        for case in range(cases):
            turned = np.roll(wrong, (case - cases // 2, 2 * case + case % 2, -case), axis=(0, 1, 2))
            write(test / f"L{case}.nii.gz", turned.astype(np.uint8))
    return results


def time_comparison(methods: int, cases: int) -> None:
    """Print wall time and peak memory of nnfemur-compare, and of a second run, without and with measurements."""
    with tempfile.TemporaryDirectory() as folder:
        results = make_cohort(Path(folder), methods, cases)
        for options, targets in (
            (("--no-measurements",), (TARGETS["compare_s"], TARGETS["again_s"])),
            (("--measurements",), (TARGETS["measured_s"], TARGETS["again_s"])),
        ):
            output = Path(folder) / "report" / options[0]
            command = [sys.executable, "-c", _COMPARE, str(results), "-o", str(output), *options]
            for name, target in zip(("first run", "second run"), targets, strict=True):
                start = time.perf_counter()
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                seconds = time.perf_counter() - start
                assert done.returncode == 0, done.stderr
                memory = int(done.stderr.rsplit("peak KiB", 1)[1]) / 2**20
                what = f"{methods} methods x {cases} cases, {options[0]}, {name}"
                print(f"{what:52} {seconds:.1f} s wall (target {target:.0f})")
                print(f"{'':52} {memory:.2f} GiB at most (target {TARGETS['memory_gb']:.0f})")
                sys.stdout.flush()


# The kernel's count for a child starts with the memory of its parent, that of /proc with its own.
_COMPARE = """
import atexit, re, sys
from pathlib import Path
from nnunet_femur.cli import compare_main
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
atexit.register(lambda: sys.stderr.write(f"peak KiB {peak()}\\n"))
compare_main()
"""


def main() -> None:
    """Print all figures of scoring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the single case")
    parser.add_argument("--skip-compare", action="store_true", help="only the single case")
    parser.add_argument("--skip-case", action="store_true", help="only the comparison")
    options = parser.parse_args()
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if not options.skip_case:
        time_case(options.rounds)
    if cores:
        os.sched_setaffinity(0, cores)
    if not options.skip_compare:
        time_comparison(METHODS, CASES)


if __name__ == "__main__":
    main()
