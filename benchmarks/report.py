"""Time and memory of a report on synthetic scores.

    uv run benchmarks/report.py [CASES] [METHODS]

The scores have every row that `nnfemur compare` writes for a case, with random values around a mean for each method.
There are no masks, so figures of slices are not drawn. Statistics, tables, figures and files are timed.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from nnunet_femur.comparison.discovery import Found
from nnunet_femur.comparison.grouping import group_scores
from nnunet_femur.comparison.report.output import write_all
from nnunet_femur.comparison.report.report import build_report
from nnunet_femur.comparison.scoring import COLUMNS, Scored, text_dtype
from nnunet_femur.comparison.statistics.analysis import analyse_groups
from nnunet_femur.evaluation import EMPTY_KINDS, Bone, score_case


def _keys() -> pd.DataFrame:
    """Return protocol, plane, region, metric and unit of all scores of a case."""
    box = np.zeros((60, 12, 12), bool)
    box[5:55, 3:9, 3:9] = True
    spacing = (5.0, 1.0, 1.0)
    scores = score_case(Bone(box, spacing), Bone(np.roll(box, 1, axis=1), spacing)).scores
    return pd.DataFrame(scores).drop(columns="value")


def synthetic(cases: int, methods: int) -> pd.DataFrame:
    """Return a table of scores of a number of cases and methods."""
    rng = np.random.default_rng(0)
    keys = _keys()
    names = pd.DataFrame({"case": [f"case{n:04d}" for n in range(cases)]})
    names["patient"] = [f"patient{n // 2:04d}" for n in range(cases)]
    rows = names.merge(keys, how="cross")
    # As in a comparison, equal texts are one object.
    factors = {name: pd.factorize(rows[name]) for name in rows.columns}
    texts = {name: np.array(list(levels), object)[codes] for name, (codes, levels) in factors.items()}
    columns = {name: np.empty(methods * len(rows), float if name == "value" else object) for name in COLUMNS}
    for method in range(methods):
        error = rng.gamma(2, 0.01 + 0.003 * method, cases).repeat(len(keys)) + rng.normal(0, 0.003, len(rows))
        similarity = np.clip(1 - np.abs(error), 0, 1)
        values = np.where(rows["unit"] == "mm", 100 * np.abs(error), similarity)
        values = np.where(rows["unit"] == "ml", 500 * (1 + error), values)
        values = np.where(rows["metric"] == "slices", 200, values)
        values = np.where(rows["metric"].isin([*EMPTY_KINDS, "dropped"]), 0, values)
        part = slice(method * len(rows), (method + 1) * len(rows))
        own = {"method": f"Method{method}Trainer__nnUNetPlans__3d_fullres", "set": "test", "fold": "0"}
        for name, column in columns.items():
            column[part] = values if name == "value" else own.get(name, texts.get(name))
    dtype = text_dtype()
    return pd.DataFrame(
        {name: of if name == "value" else pd.array(of, dtype=dtype, copy=False) for name, of in columns.items()},
        copy=False,
    )


def main(cases: int = 2000, methods: int = 10) -> None:
    """Time every step of a report, and print the times."""
    scores = synthetic(cases, methods)
    print(f"{cases} cases x {methods} methods, {len(scores)} scores")
    start = last = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        statistics = analyse_groups(group_scores(scores))
        print(f"statistics        {time.perf_counter() - last:6.1f} s")
        last = time.perf_counter()
        report = build_report(Scored(scores), Found(), statistics=statistics)
        print(f"tables, figures   {time.perf_counter() - last:6.1f} s")
        last = time.perf_counter()
        path = write_all(Path(folder), report, scores)
        print(f"files             {time.perf_counter() - last:6.1f} s")
        print(f"all               {time.perf_counter() - start:6.1f} s, report {path.stat().st_size / 1e6:.1f} MB")
    print(f"peak memory       {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:6.0f} MiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
