"""Tables and pictures of docs/results.md, from the study that synthetic_study.py ran.

Run: uv run python benchmarks/results_page.py --study benchmark-study/work --real benchmark-study/real

Replaces what is between the markers of the page, and the pictures docs/images/results-*.png. Tables 1 to 4, claims and
pictures are of the trained methods and TotalSegmentator; ensembles and postprocessed methods have a table of their own.
--real is the folder that real_cts.py wrote; without it, the part about real CTs stays as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from marked_tables import replace_table, table

import nnunet_femur as nf
from nnunet_femur.comparison.predictions import method_names
from nnunet_femur.comparison.report.tables.model import p_value
from nnunet_femur.comparison.statistics.claims import claim_better
from nnunet_femur.dataset.environment import variables

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

DOCS = Path(__file__).parents[1] / "docs"
TABLES = {
    "table1": "table1_test",
    "table2": "table2_test",
    "table3": "table3_test",
    "table4": "table4_test",
    "claims": "claims_test",
    "dice": "statistics_test_volume_dice",
    "training": "training",
}
"""Names in the page's markers, and the comparison's tables."""

PICTURES = {"boxes_test": "results-boxes", "grid": "results-grid", "training_curves": "results-curves"}
"""Figures of the comparison, and their names in the page."""

STAGES = ("convert", "plan", "train", "predict", "baseline", "ensemble", "select", "compare")


def main() -> None:
    """Write the tables into the page, and copy the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, required=True, help="folder of the study")
    parser.add_argument("--real", type=Path, help="folder that real_cts.py wrote")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of results.md and images/")
    arguments = parser.parse_args()
    page = arguments.docs / "results.md"
    results = arguments.study / "nnUNet_results"
    entries = end_entries(results)
    os.environ |= variables(arguments.study)
    comparison = arguments.study / "methods"
    nf.compare(results, without=tuple(entries), output=comparison, published="paper", measurements=True)
    table_of_end = end_table(pd.read_csv(results / "comparison" / "scores.csv", low_memory=False), entries)
    replace_table(page, "results-end", table_of_end)
    for name, file in TABLES.items():
        replace_table(page, f"results-{name}", (comparison / "tables" / f"{file}.md").read_text(encoding="utf-8"))
    replace_table(
        page, "results-stages", stages_table(arguments.study / "study" / "done", trained_minutes(results, entries))
    )
    pictures = {comparison / "figures" / f"{figure}.png": name for figure, name in PICTURES.items()}
    if arguments.real:
        replace_table(page, "results-real", (arguments.real / "real.md").read_text(encoding="utf-8"))
        pictures |= {file: f"results-real-{file.stem}" for file in sorted(arguments.real.glob("*.png"))}
    for file, name in pictures.items():
        shutil.copyfile(file, arguments.docs / "images" / f"{name}.png")


def end_entries(results: Path) -> dict[str, tuple[str, ...]]:
    """Return the methods that each ensemble and each postprocessed method was made of."""
    entries = {}
    for file in sorted(results.glob("Dataset*/*/run.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        if run.get("made_by") == "nnunet_femur.selection":
            entries[file.parent.name] = tuple(run["recipe"].get("members") or (run["recipe"]["chosen"],))
    return entries


def end_table(scores: pd.DataFrame, entries: Mapping[str, tuple[str, ...]]) -> str:
    """Return 3D Dice and HD95 of each entry on the test set, and its gains over the methods that it was made of.

    Args:
        scores: Table `scores.csv` of the comparison.
        entries: The methods of each entry. Entries without scores are left out.
    """
    test = scores[(scores["set"] == "test") & (scores["protocol"] == "volume") & (scores["region"] == "whole")]
    of = {
        metric: test[test["metric"] == metric].pivot_table(index="patient", columns="method", values="value")
        for metric in ("dice", "hd95")
    }
    names = method_names(test["method"].unique())
    rows = [
        (
            names[entry],
            f"{of['dice'][entry].mean():.3f}",
            f"{of['hd95'][entry].mean():.1f}",
            names[other],
            *_gain(of["dice"], entry, other, ideal=1, digits=3),
            *_gain(of["hd95"], entry, other, ideal=0, digits=1),
        )
        for entry, others in entries.items()
        for other in others
        if entry in names
    ]
    return table(
        ("entry", "3D Dice", "HD95 (mm)", "against", "gain in Dice", "false", "gain in HD95 (mm)", "false"), rows
    )


def _gain(scores: pd.DataFrame, first: str, second: str, *, ideal: float, digits: int) -> tuple[str, str]:
    claim = claim_better(scores[first], scores[second], ideal=ideal)
    low, high = claim.interval
    gain = f"{claim.gain:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return gain, str(p_value(claim.false))


def trained_minutes(results: Path, entries: Container[str]) -> float:
    """Return the minutes of all trainings, interrupted runs included; entries repeat those of their members."""
    runs = [run for run in results.glob("Dataset*/*/fold_*/run.json") if run.parents[1].name not in entries]
    return sum(json.loads(run.read_text(encoding="utf-8"))["seconds"] for run in runs) / 60


def stages_table(done: Path, train_minutes: float) -> str:
    """Return the table of jobs, minutes and memory by stage.

    Args:
        done: The study's records of jobs that have ended well.
        train_minutes: Minutes of all trainings. The records contain the last run of each job only.
    """
    return table(
        ("stage", "jobs", "minutes", "peak memory (GiB)"),
        list(_stage_rows(_jobs_by_stage(done), train_minutes)),
    )


def _jobs_by_stage(done: Path) -> dict[str, list[Mapping]]:
    found = defaultdict(list)
    for file in sorted(done.glob("*.json")):
        found[file.stem.partition("-")[0]].append(json.loads(file.read_text(encoding="utf-8")))
    return found


def _stage_rows(jobs: Mapping[str, list[Mapping]], train_minutes: float) -> Iterator[tuple[str, int, str, str]]:
    for stage in STAGES:
        if of_stage := jobs.get(stage):
            minutes = train_minutes if stage == "train" else sum(job["seconds"] for job in of_stage) / 60
            memory = max(job["peak_memory_mib"] or 0 for job in of_stage) / 1024
            yield f"`{stage}`", len(of_stage), f"{minutes:.1f}", f"{memory:.1f}"


if __name__ == "__main__":
    main()
