"""Effect of the options of nnfemur predict on masks and time, against nnU-Net's own windows in float32.

Run: uv run python benchmarks/prediction_options.py

A dummy network of 3 mm is trained on eight phantoms and kept in --folder; others are predicted. Means over them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from marked_tables import table

from nnunet_femur.imaging.sources import find_sources
from nnunet_femur.prediction import QUICK, Options, Segmenter
from nnunet_femur.prediction.postprocessing import keep_largest
from nnunet_femur.testing import make_phantom, write_dummy_weights

SIZE_ZYX, SPACING_MM_ZYX = (150, 336, 256), (2.0, 0.74, 0.74)
SEEDS = (3, 11, 12, 13)
BASE = "--exhaustive --precision float32"
WAYS = {
    BASE: Options(exhaustive=True, precision="float32"),
    "--exhaustive": Options(exhaustive=True),
    "default": Options(),
    "--crop-to-bone": Options(crop_to_bone=True),
    "--step-size 0.8": Options(step_size=0.8),
    "--quick": Options(**QUICK),
}


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--iterations", type=int, default=1000, help="steps of the dummy's training")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the phantoms")
    options = parser.parse_args()
    model = write_dummy_weights(
        options.folder / "weights-3mm", spacing_mm=3.0, patch=32, iterations=options.iterations, tasks=("femur",)
    ).folder
    segmenters = {name: Segmenter(model, device="cpu", **way.of_mask()) for name, way in WAYS.items()}
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in WAYS}
    for seed in options.seeds:
        phantom = make_phantom(seed, size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX)
        sitk.WriteImage(phantom.image, str(options.folder / f"phantom{seed}.nrrd"))
        (source,) = find_sources([options.folder / f"phantom{seed}.nrrd"])
        reference, first = sitk.GetArrayFromImage(phantom.mask), None
        for name, segmenter in segmenters.items():
            start = time.process_time()
            femur = segmenter.segment(source)
            mask = sitk.GetArrayFromImage(femur.mask)
            seconds, largest = time.process_time() - start, keep_largest(mask)
            first = largest if first is None else first
            dices = _dice(mask, reference), _dice(largest, reference), _dice(largest, first)
            rows[name].append((femur.search.windows, seconds, *dices))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    header = ("", "windows", "processor seconds", "Dice to the reference", "of the largest piece")
    means = {name: [statistics.mean(values) for values in zip(*cases, strict=True)] for name, cases in rows.items()}
    cells = [
        (f"`{name}`", f"{number:.0f}", f"{seconds:.1f}", *(f"{dice:.4f}" for dice in dices))
        for name, (number, seconds, *dices) in means.items()
    ]
    print(table((*header, f"largest piece: Dice to that of `{BASE}`"), cells))


if __name__ == "__main__":
    main()
