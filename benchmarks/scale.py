"""Costs of 40, 1000 and 20 000 CTs: what grows with their number, and the table of docs/scale.md.

Run: uv run python benchmarks/scale.py [--cases 40 1000 20000] [--write]

The time of a case does not depend on the number of cases, so the hours of docs/scale.md are the figures of
docs/performance.md, which were measured with few cases, times the number of cases. This program measures the rest, on
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
from dataclasses import dataclass
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

VOXELS = 300 * 336 * 256
"""Voxels of a CT of one leg."""


@dataclass(frozen=True)
class Stage:
    """Costs of a stage per case of VOXELS voxels.

    Attributes:
        name: The command.
        seconds: Seconds of a case; of a process, or of two processor cores.
        mib: Peak memory of a process in MiB; None if it was not measured.
        megabytes: Megabytes on disk.
        source: Where the seconds come from.
    """

    name: str
    seconds: float
    mib: int | None
    megabytes: float
    source: str


STAGES = (
    Stage("convert", 0.50, 312, VOXELS * 1.0e-6, "conversion: `--jobs 1`"),
    Stage("plan", 10.0, None, VOXELS * 4.0e-6, "`nnfemur study --dry-run`, not measured"),
    Stage("predict", 23.4, 4147, VOXELS * 0.02e-6, "true size, one leg, two cores"),
    Stage("baseline", 35.6, 4741, VOXELS * 0.02e-6, "true size, one leg, two cores"),
    Stage("measure", 1.5, None, 0.3, "scoring, comparing, measuring"),
    Stage("compare, each method", 90 / 64, None, 0.02, "64 predictions, measured as well"),
)
"""Figures of docs/performance.md (time, memory) and of the forecast of a study (disk)."""


def main() -> None:
    """Measure, print the tables, and write them into the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[40, 1000, 20_000])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    arguments = parser.parse_args()
    template = _alone(scores_of_a_case)
    found = {number: _measured(number, template) for number in arguments.cases}
    tables = {"scale-stages": stage_table(arguments.cases), "scale-rest": rest_table(found)}
    for name, text in tables.items():
        print(text, end="\n\n")
        if arguments.write:
            replace_table(PAGE, name, text)


def stage_table(cases: list[int]) -> str:
    """Return hours, disk and memory of each stage for numbers of cases."""
    columns = [f"{number:,} CTs".replace(",", " ") for number in cases]
    lines = [
        f"| stage | a CT | {' | '.join(columns)} | on disk, each | memory of a process | seconds from |",
        f"| --- | ---: |{' ---: |' * len(cases)} ---: | ---: | --- |",
    ]
    for stage in STAGES:
        hours = [_duration(stage.seconds * number) for number in cases]
        lines.append(
            f"| `{stage.name}` | {stage.seconds:.3g} s | {' | '.join(hours)} | {_megabytes(stage.megabytes)} | "
            f"{'–' if stage.mib is None else f'{stage.mib / 1024:.1f} GiB'} | {stage.source} |"
        )
    return "\n".join(lines)


def rest_table(found: dict[int, dict[str, str]]) -> str:
    """Return what was measured for each number of cases."""
    columns = [f"{number:,}".replace(",", " ") for number in found]
    rows = next(iter(found.values()))
    lines = [f"| with this number of CTs | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(of[name] for of in found.values())} |" for name in rows]
    return "\n".join(lines) + f"\n\n{_note()}"


def _megabytes(size: float) -> str:
    return f"{size:.0f} MB" if size >= 1 else f"{size:.2g} MB"


def _note() -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return origin({"command": "benchmarks/scale.py", "machine": machine(), "date": today}) + "; processor seconds"


def _duration(seconds: float) -> str:
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
        "split by patient, five folds": _duration(split_s),
        "`predictions.json` of all cases": f"{size / 1e6:.2g} MB",
        "one writing of it": _duration(write_s),
        f"largest and smallest of {SHARDS} shards": f"{max(sizes)}, {min(sizes)}",
        "rows of `scores.csv`, three methods": f"{rows:,}".replace(",", " "),
        "statistics of three methods": _duration(seconds),
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
