"""The study on synthetic femurs, from the data to the tables of docs/results.md.

Run: uv run python benchmarks/synthetic_study.py --cohort make_cohort.py
     uv run python benchmarks/synthetic_study.py                # with `nnfemur phantoms` instead of real surfaces

The run takes about two hours on two cores. It may be stopped at any time; the same command continues.

- femurs: 40 synthetic CTs with a spacing of 4 x 4 x 5 mm (seed 0), made by the program of --cohort from real femur
  surfaces: `make_cohort.py FOLDER --cases N --seed N --spacing X Y Z` writes FOLDER/Images and FOLDER/GoldStandard.
- weights: dummy weights of TotalSegmentator's models, trained for 500 steps on twelve other femurs (seed 100).
- study: `nnfemur study FOLDER/study.yaml`, a copy of synthetic_study.yaml.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from transfer import cases_of_drop

HERE = Path(__file__).parent
CASES, SEED = 40, 0
OTHER_CASES, OTHER_SEED = 12, 100
SPACING_MM = ("4", "4", "5")
SIZE = ("112", "56", "56")
"""Size of phantoms in voxels (z, y, x)."""

WEIGHTS = {"spacing_mm": 4.0, "iterations": 500}


def main() -> None:
    """Make what is missing, and run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE.parent / "benchmark-study")
    parser.add_argument("--cohort", type=Path, help="program that makes synthetic CTs of real femur surfaces")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
    make_femurs(folder / "femurs", CASES, SEED, arguments.cohort)
    make_femurs(folder / "other-femurs", OTHER_CASES, OTHER_SEED, arguments.cohort)
    make_weights(folder / "weights", folder / "other-femurs")
    file = folder / "study.yaml"
    shutil.copyfile(HERE / "synthetic_study.yaml", file)
    command = (sys.executable, "-m", "nnunet_femur", "study", str(file), "--cores", str(arguments.cores))
    sys.exit(subprocess.run(command, check=False).returncode)


def make_femurs(folder: Path, cases: int, seed: int, cohort: Path | None) -> None:
    """Make CTs and masks, unless the folder exists."""
    if folder.exists():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    what = (str(partial), "--cases", str(cases), "--seed", str(seed), "--spacing")
    if cohort is None:
        command = [sys.executable, "-m", "nnunet_femur", "phantoms", *what, "5", "4", "4", "--size", *SIZE]
    else:
        command = [sys.executable, str(cohort), *what, *SPACING_MM, "--jobs", "2"]
    subprocess.run(command, check=True)
    partial.rename(folder)


def make_weights(folder: Path, femurs: Path) -> None:
    """Train dummy weights on femurs, unless they exist."""
    from nnunet_femur.testing import write_dummy_weights

    write_dummy_weights(folder, training=cases_of_drop(femurs), tasks=("femur", "crop"), **WEIGHTS)


if __name__ == "__main__":
    main()
