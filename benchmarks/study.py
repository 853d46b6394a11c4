"""Costs of `nnfemur study` itself, and the scores of a study that is killed again and again.

Run: uv run python benchmarks/study.py --part planning overhead kills [--folder FOLDER] [--kills 5] [--seed 0]

planning: time of `--dry-run` for a study of thirteen methods and six folds. Bound: 20 s.
overhead: the same study with commands that only make empty results: seconds of the engine for each job, one job at a
    time. Bound: 2 s.
kills: a small study on phantoms with a real 2D and 3D method, once undisturbed, and once killed (-9) at random moments.
    The scores are compared, and no finished job may have run again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

STUDY = [sys.executable, "-m", "nnunet_femur", "study"]

PAPER = """
folder: work
dataset: {{phantoms: 40}}
folds: {folds}
baseline: [1.5mm]
device: cpu
threads: 1
methods:
""" + "".join(
    f"  - Femur{part}{architecture}{encoder}Trainer\n"
    for part in ("", "Head")
    for architecture in ("Unet", "UnetPlusPlus")
    for encoder in ("ResNet34", "ResNet50", "DeepLabV3")
)
PAPER += "  - FemurFinetuneTrainer\n"

SMALL = """
folder: work
dataset: {phantoms: 7}
plans:
  nnUNetPlans: {preset: small, epochs: 3, iterations: 3, jobs: 1}
folds: [0]
methods: [FemurUnetMobileNetV3Trainer, FemurScratchTrainer]
threads: 1
"""

TRIVIAL = """#!/bin/sh
# Makes an empty result of the command of this name.
set -e
make() { mkdir -p "$(dirname "$1")" && : > "$1"; }
case "$(basename "$0") $1" in
  "nnfemur phantoms") mkdir -p "$2" ;;
  "nnfemur convert") make "$nnUNet_raw/Dataset001_Femur/conversion.json" ;;
  "nnfemur plan") make "$nnUNet_preprocessed/Dataset001_Femur/nnUNetPlans.json" ;;
  "nnfemur baseline") mkdir -p "$nnUNet_results/Dataset001_Femur/TotalSegmentator__total__1.5mm/test" ;;
  "nnfemur compare") make "$4/report.html" ;;
  nnUNetv2_train*) make "$nnUNet_results/$1/$5__$7__$2/fold_$3/checkpoint_final.pth" ;;
  "nnfemur predict") while [ "$1" != -o ]; do shift; done; mkdir -p "$2" ;;
esac
"""

REDIRECT = """
import sysconfig
_get_path = sysconfig.get_path
sysconfig.get_path = lambda name, *a, **k: {folder!r} if name == "scripts" else _get_path(name, *a, **k)
"""


def main() -> None:
    """Run the selected parts and print their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--folder", type=Path, help="folder of everything that is written; default: a temporary one")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="nnfemur-study-"))
    for part in arguments.part:
        (folder / part).mkdir(parents=True)
        PARTS[part](folder / part, arguments)


def _planning(folder: Path, _: argparse.Namespace) -> None:
    file = folder / "study.yaml"
    file.write_text(PAPER.format(folds=[0, 1, 2, 3, 4, 5]))
    start = time.perf_counter()
    printed = subprocess.run([*STUDY, str(file), "--dry-run"], check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    print(
        f"planning: {printed.split(' jobs.')[0].splitlines()[-1]} jobs in {seconds:.1f} s ({seconds / 20:.2f} of 20 s)"
    )


def _overhead(folder: Path, _: argparse.Namespace) -> None:
    file = folder / "study.yaml"
    file.write_text(PAPER.format(folds=[0, 1, 2]))
    scripts = folder / "scripts"
    scripts.mkdir()
    for name in ("nnfemur", "nnUNetv2_train"):
        (scripts / name).write_text(TRIVIAL)
        (scripts / name).chmod(0o755)
    (folder / "sitecustomize.py").write_text(REDIRECT.format(folder=str(scripts)))
    # A baseline needs weights, which are checked before anything runs.
    file.write_text(file.read_text().replace("baseline: [1.5mm]\n", ""))
    start = time.perf_counter()
    ended = subprocess.run(
        [*STUDY, str(file), "--cores", "1"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    done = [json.loads(path.read_text()) for path in (folder / "work" / "study" / "done").glob("*.json")]
    if ended.returncode:
        sys.exit(ended.stderr.decode())
    beyond = (seconds - sum(each["seconds"] for each in done)) / len(done)
    print(f"overhead: {len(done)} jobs in {seconds:.1f} s, {beyond:.2f} s each beyond its command, of 2 s")


def _kills(folder: Path, arguments: argparse.Namespace) -> None:
    for name in ("undisturbed", "killed"):
        (folder / name).mkdir()
        (folder / name / "study.yaml").write_text(SMALL)
    start = time.perf_counter()
    subprocess.run([*STUDY, str(folder / "undisturbed" / "study.yaml")], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    draw = random.Random(arguments.seed)  # noqa: S311 - moments, not secrets
    # Parts of the time of an undisturbed study; each start continues the last one, so that the moments add up.
    moments = [draw.uniform(0.05, 0.3) * seconds for _ in range(arguments.kills)]
    done: dict[Path, int] = {}
    for moment in moments:
        with subprocess.Popen(
            [*STUDY, str(folder / "killed" / "study.yaml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        time.sleep(1)
        done |= {path: path.stat().st_mtime_ns for path in (folder / "killed/work/study/done").glob("*.json")}
        print(f"kills: killed after {moment:.0f} s, {len(done)} jobs done", flush=True)
    subprocess.run([*STUDY, str(folder / "killed" / "study.yaml")], check=True, capture_output=True)
    again = [path.stem for path, written in done.items() if path.stat().st_mtime_ns != written]
    old, new = (
        pd.read_csv(folder / name / "work/nnUNet_results/comparison/scores.csv") for name in ("undisturbed", "killed")
    )
    keys = [name for name in old.columns if name != "value"]
    both = old.merge(new, on=keys, how="outer", suffixes=("", "_killed"), indicator=True)
    apart = (both["value"] - both["value_killed"]).abs().max()
    print(
        f"kills: {len(moments)} kills of a study of {seconds:.0f} s; {len(both)} scores, of which "
        f"{(both['_merge'] != 'both').sum()} are on one side only; largest difference {apart:.2g}; "
        f"done twice: {', '.join(again) or 'nothing'}"
    )


PARTS = {"planning": _planning, "overhead": _overhead, "kills": _kills}

if __name__ == "__main__":
    main()
