"""Seconds of a batch of CTs side by side, as nnfemur predict works on them, against one after the other.

Run: uv run python benchmarks/side_by_side.py

Both ways predict the same phantoms in turn, in one process, with a dummy network of 3 mm whose weights are kept in
--folder. Seconds are those on the clock, since the processor works as much in both ways.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk
from marked_tables import table

from nnunet_femur.imaging.sources import find_sources
from nnunet_femur.prediction import Options, Segmenter
from nnunet_femur.prediction.batch_work import BatchWork
from nnunet_femur.prediction.stage_times import STAGES
from nnunet_femur.testing import make_phantom, write_dummy_weights

if TYPE_CHECKING:
    from nnunet_femur.prediction.results import CaseResult

SPACING_MM_ZYX = (2.0, 0.74, 0.74)
WAYS = {"one after the other": False, "side by side": True}


def main() -> None:
    """Print a table with a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--iterations", type=int, default=1000, help="steps of the dummy's training")
    parser.add_argument("--size", type=int, nargs=3, default=(150, 336, 256), help="voxels of a CT, z y x")
    parser.add_argument("--cases", type=int, default=6, help="number of CTs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    model = write_dummy_weights(
        options.folder / "weights-3mm", spacing_mm=3.0, patch=32, iterations=options.iterations, tasks=("femur",)
    ).folder
    cts = options.folder / "side-by-side"
    cts.mkdir(exist_ok=True)
    for seed in range(options.cases):
        phantom = make_phantom(seed, size_zyx=tuple(options.size), spacing_mm_zyx=SPACING_MM_ZYX)
        sitk.WriteImage(phantom.image, str(cts / f"phantom{seed}.nrrd"), useCompression=True)
    sources = find_sources([cts])
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    results: dict[str, list[CaseResult]] = {name: [] for name in WAYS}
    with Segmenter(model, device=options.device) as segmenter:
        segmenter.segment(sources[0])
        for number in range(options.rounds):
            for name, side_by_side in WAYS.items():
                output = options.folder / f"side-by-side-{number}-{side_by_side}"
                output.mkdir(exist_ok=True)
                work = BatchWork(segmenter, output, Options(stl=True), results[name].append, side_by_side=side_by_side)
                start = time.perf_counter()
                work.run(sources)
                seconds[name].append((time.perf_counter() - start) / len(sources))
        where = f"{segmenter.device}, {segmenter.backend}, {segmenter.precision}"
    print(f"**{options.cases} CTs of {' x '.join(map(str, options.size))} voxels**, {where}, seconds for each CT:")
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    first = next(iter(medians.values()))
    rows = []
    for name, each in medians.items():
        stages = [statistics.mean(case.stage_seconds[stage] for case in results[name]) for stage in STAGES]
        rows.append([name, each, first / each, *stages])
    print(table(("batch", "seconds", "times as fast", *STAGES), rows))


if __name__ == "__main__":
    main()
