"""Accuracy and speed of the measurements of a femur: masks of known bones at several spacings, against the bones.

Run: uv run python benchmarks/measure.py --meshes MESHES.npz --json measure.json --markdown measure.md

MESHES.npz holds closed right femurs (see femur_masks.py); the environment variable NNFEMUR_MESHES names it too. Without
it, analytic femurs are measured. Definitions and thresholds were chosen on the bones with even numbers ("tuning"); the
goals are judged on those with odd numbers ("held out"). The error of a value is its difference from the same
algorithm's value on the mesh, subdivided once: repeatability, not accuracy against an expert.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Before numpy is loaded: one core is one core.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
from femur_masks import load_meshes
from measure_parts import accuracy, invariance, refusals, sides
from measure_tables import goals_table, markdown, statistics_of
from measure_times import times

from nnunet_femur.testing.analytic_femur import AnalyticFemur

if TYPE_CHECKING:
    from nnunet_femur.imaging.surface_mesh import Surface

SPACINGS = ((1.0, 1.0, 1.0), (0.8, 0.8, 2.0), (2.0, 2.0, 3.0), (4.0, 4.0, 5.0))
PARTS = ("accuracy", "invariance", "sides", "refusals", "times")


def _analytic(count: int) -> dict[str, Surface]:
    """Return analytic femurs of random proportions by name."""
    found = {}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        scale = rng.uniform(0.92, 1.08)
        femur = AnalyticFemur(
            neck_shaft_angle_deg=rng.uniform(115, 138),
            neck_version_deg=rng.uniform(-8, 28),
            head_mm=(rng.uniform(40, 50), rng.uniform(-14, 2), 425.0),
            neck_radii_mm=(rng.uniform(12, 13.5), rng.uniform(14, 15.5)),
        )
        surface = femur.surface()
        found[f"a{seed:02d}"] = type(surface)(surface.points_mm * scale, surface.triangles)
    return found


def main() -> int:
    """Run the benchmark; 1 if a goal that must hold is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshes", type=Path, default=os.environ.get("NNFEMUR_MESHES"))
    parser.add_argument("--bones", type=int, help="number of bones; all by default")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rotations", type=int, help="orientations of each bone and side for the sides; 20 by default")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="four bones, 2 x 2 x 3 mm, few rotations")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    arguments = parser.parse_args()
    count = arguments.bones or (4 if arguments.quick else None)
    bones = load_meshes(arguments.meshes) if arguments.meshes else _analytic(count or 10)
    bones = dict(list(bones.items())[:count])
    spacings = SPACINGS[2:3] if arguments.quick else SPACINGS
    results: dict[str, object] = {
        "bones": len(bones),
        "source": Path(arguments.meshes).name if arguments.meshes else "analytic femurs",
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    if "accuracy" in arguments.parts:
        rows = accuracy(bones, spacings, jobs=arguments.jobs)
        results["accuracy"] = statistics_of(rows)
        results["goals"] = goals_table(results["accuracy"])
        results["worst"] = worst(rows)
    if "invariance" in arguments.parts:
        results["invariance"] = invariance(bones, rotations=2 if arguments.quick else 4, jobs=arguments.jobs)
    if "sides" in arguments.parts:
        results["sides"] = sides(
            bones, rotations=arguments.rotations or (2 if arguments.quick else 20), jobs=arguments.jobs
        )
    if "refusals" in arguments.parts:
        results["refusals"] = refusals(bones, SPACINGS[2:3], jobs=arguments.jobs)
    if "times" in arguments.parts:
        results["times"] = times(rounds=2 if arguments.quick else 5)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = markdown(results)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    return int(any(not goal["must_met"] for goal in results.get("goals", [])))


def worst(rows: list[dict[str, object]], count: int = 3) -> dict[str, list[list[object]]]:
    """Return the largest errors of each quantity at each spacing: bone and error."""
    found: dict[str, list[list[object]]] = {}
    for row in rows:
        if row["error"] is not None:
            found.setdefault(f"{row['spacing']} {row['key']}", []).append([row["bone"], round(float(row["error"]), 4)])
    return {key: sorted(each, key=lambda e: -abs(e[1]))[:count] for key, each in found.items()}


if __name__ == "__main__":
    sys.exit(main())
