"""Costs that grow with the number of CTs, besides the time of each CT: the second table of docs/scale.md.

Run: uv run python benchmarks/scale.py [--cases 40 1000 20000] [--write]

The hours of the first table are those of `scale_stages.py`, measured with 40 CTs. This program measures the rest on
data without volumes: the split by patient, the records of predictions, the sizes of shards, and the table of scores
with its statistics. Scores are those of one phantom, repeated with noise.
"""

from __future__ import annotations

import argparse
import datetime
import resource
import statistics
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marked_tables import machine, origin, replace_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"

METHODS = ("A__nnUNetPlans__3d_fullres", "B__nnUNetPlans__3d_fullres", "TotalSegmentator__total__1.5mm")
SHARDS = 16


def main() -> None:
    """Measure, print the table, and write it into the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[40, 1000, 20_000])
    parser.add_argument("--write", action="store_true", help="write the table into docs/scale.md")
    arguments = parser.parse_args()
    template = _alone(scores_of_a_case)
    found = {number: _measured(number, template) for number in arguments.cases}
    text = rest_table(found)
    print(text)
    if arguments.write:
        replace_table(PAGE, "scale-rest", text)


def stage_table(rows: list[dict[str, Any]], numbers: tuple[int, ...]) -> str:
    """Return hours, disk and memory of each stage for numbers of CTs; those that were not run are extrapolated."""
    titles = [f"{number:,} CTs".replace(",", " ") for number in numbers]
    lines = [
        f"| command | CTs | a CT | {' | '.join(titles)} | processor time, a CT | on disk, a CT | memory |",
        f"| --- |{' ---: |' * (len(numbers) + 5)}",
    ]
    for row in rows:
        seconds, processor_s, size = (row[key] / row["cases"] for key in ("wall_s", "processor_s", "bytes"))
        hours = " | ".join(duration(seconds * number) for number in numbers)
        lines.append(
            f"| `{row['stage']}` | {row['cases']} | {seconds:.3g} s | {hours} | {processor_s:.3g} s | "
            f"{size / 1e6:.2g} MB | {row['gib']:.2g} GiB |"
        )
    return "\n".join(lines)


def rest_table(found: dict[int, dict[str, str]]) -> str:
    """Return what was measured for each number of cases."""
    columns = [f"{number:,}".replace(",", " ") for number in found]
    rows = next(iter(found.values()))
    lines = [f"| with this number of CTs | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(of[name] for of in found.values())} |" for name in rows]
    return "\n".join(lines) + f"\n\n{_note()}"


def _note() -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return origin({"command": "benchmarks/scale.py", "machine": machine(), "date": today}) + "; processor seconds"


def duration(seconds: float) -> str:
    """Return seconds in the unit in which they are short."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s"


def _measured(number: int, template: pd.DataFrame) -> dict[str, str]:
    split_s, _ = _alone(split, number)
    (write_s, size), _ = _alone(records, number)
    (rows, seconds), mib = _alone(statistics_of, number, template)
    sizes = shard_sizes(number)
    return {
        "split by patient, five folds": duration(split_s),
        "`predictions.json` of all cases": f"{size / 1e6:.2g} MB",
        "one writing of it": duration(write_s),
        f"largest and smallest of {SHARDS} shards": f"{max(sizes)}, {min(sizes)}",
        "rows of `scores.csv`, three methods": f"{rows:,}".replace(",", " "),
        "statistics of three methods": duration(seconds),
        "peak memory of the scores and their statistics": f"{mib / 1024:.2g} GiB",
    }


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a function's result and its peak memory in MiB from a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _case(number: int) -> str:
    return f"{'LR'[number % 2]}{number:05d}"


def shard_sizes(number: int) -> list[int]:
    """Return the numbers of cases of the shards."""
    from nnunet_femur.shards import Shard

    counted = Counter(
        part for case in range(number) for part in range(1, SHARDS + 1) if Shard(part, SHARDS).takes(_case(case))
    )
    return [counted[part] for part in range(1, SHARDS + 1)]


def split(number: int) -> tuple[float, float]:
    """Return the seconds of splitting this number of cases of half as many patients."""
    from nnunet_femur.conversion.splits import Member, split_cases

    members = [Member(_case(case), f"P{case // 2}", ("left", "right")[case % 2], 400.0, None) for case in range(number)]
    start = time.process_time()
    split_cases(members)
    return time.process_time() - start, _peak_mib()


def records(number: int) -> tuple[tuple[float, int], float]:
    """Return the seconds of writing the records of a batch, and their bytes."""
    from nnunet_femur.prediction.results import RECORD, CaseResult, write_results

    stages = dict.fromkeys(("read", "preprocess", "network", "export", "checks", "write"), 1.234)
    files = {"x.nrrd": 123_456, "x.stl": 1_234_567}
    results = [
        CaseResult(
            _case(case), f"/data/cts/{_case(case)}.nrrd", {"bytes": 1, "changed_ns": 2}, "0" * 64, files, 400.0, 1,
            seconds=23.4, stage_seconds=stages, review_score=0.01, side="left", side_source="shape",
        )
        for case in range(number)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        took = []
        for _ in range(3):
            start = time.process_time()
            write_results(Path(folder), results, {})
            took.append(time.process_time() - start)
        size = (Path(folder) / RECORD).stat().st_size
    return (statistics.median(took), size), _peak_mib()


def scores_of_a_case() -> pd.DataFrame:
    """Return all scores of one phantom, in the columns of scores.csv."""
    import SimpleITK as sitk

    from nnunet_femur.comparison.discovery import discover
    from nnunet_femur.comparison.scoring import score_predictions
    from nnunet_femur.evaluation import Scoring
    from nnunet_femur.testing import make_phantom

    phantom = make_phantom(0, side="left", size_zyx=(96, 64, 64), spacing_mm_zyx=(6.0, 4.0, 4.0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("reference", "mine"):
            (folder / part).mkdir()
            sitk.WriteImage(phantom.mask, str(folder / part / "L1.nrrd"))
        found = discover(None, reference=folder / "reference", methods={"A": folder / "mine"})
        return score_predictions(found.predictions, scoring=Scoring()).scores


def statistics_of(number: int, template: pd.DataFrame) -> tuple[tuple[int, float], float]:
    """Return the rows of scores of this number of cases, and the seconds of their statistics."""
    import numpy as np
    import pandas as pd

    from nnunet_femur.comparison.grouping import group_scores
    from nnunet_femur.comparison.statistics.analysis import analyse_groups

    rng = np.random.default_rng(0)
    cases = np.array([_case(case) for case in range(number)])
    parts = []
    for method in METHODS:
        rows = template.loc[template.index.repeat(number)].reset_index(drop=True)
        rows["case"] = pd.Series(np.tile(cases, len(template)), dtype=template["case"].dtype)
        rows["patient"] = rows["case"]
        rows["method"] = pd.Series([method], dtype=template["method"].dtype).repeat(len(rows)).to_numpy()
        rows["set"], rows["fold"] = "test", "none"
        rows["value"] = rows["value"].to_numpy() * rng.uniform(0.9, 1.0, len(rows))
        parts.append(rows)
    scores = pd.concat(parts, ignore_index=True)
    start = time.process_time()
    analyse_groups(group_scores(scores))
    return (len(scores), time.process_time() - start), _peak_mib()


if __name__ == "__main__":
    main()
