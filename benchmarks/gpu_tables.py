"""Tables of the GPU run: from JSON results and the study's own tables to Markdown between markers of the pages."""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from marked_tables import machine, origin, read_results, replace_table, table
from true_size_tables import tables as true_size_table

from nnunet_femur.atomic_files import write_json, write_text
from nnunet_femur.comparison.report.tables.study_tables import STUDY_TABLES

if TYPE_CHECKING:
    from pathlib import Path

PAGES = {
    "true-size-gpu": "performance.md",
    "backends-gpu": "performance.md",
    "slice-prediction-gpu": "performance.md",
    "training-gpu": "performance.md",
    "study-gpu": "results.md",
}
"""Page of each table."""

SUMMARY = "gpu.json"

BASE = "torch, float32"
"""Way that the others are compared with by ``backends.py``."""


def training_table(results: dict[str, Any]) -> str:
    """Return the table of ``training.py``, with its origin below."""
    columns = {
        "bare step (ms)": "bare_ms",
        "our step": "step_ms",
        "ratio": "step_ratio",
        "with loader (ms)": "loaded_ms_ours",
        "ratio to bare": "loaded_ratio",
        "epoch (s)": "epoch_s_ours",
        "stock epoch (s)": "epoch_s_stock",
        "ratio of epochs": "epoch_ratio",
        "a batch by the workers (ms)": "loader_ours_ms",
        "a batch on one core (ms)": "core_ours_ms",
        "stock batch (ms)": "core_stock_ms",
        "ratio of batches": "core_ratio",
        "workers needed": "workers_needed",
    }
    shown = {title: key for title, key in columns.items() if any(key in row for row in results["rows"])}
    rows = [(row["trainer"], *(row.get(key) for key in shown.values())) for row in results["rows"]]
    return f"{table(('trainer', *shown), rows)}\n\n{origin(results)}"


def backends_table(results: dict[str, Any]) -> str:
    """Return the table of ``backends.py``, with its origin below."""
    edge, rounds = results["settings"]["patch"], results["settings"]["rounds"]
    base_s = next(row["window_s"] for row in results["rows"] if row["way"] == BASE)
    header = ("", "a window (s)", f"{BASE} / this", "making it (s)", "largest difference", "mean", "decide otherwise")
    rows = [
        (
            row["way"],
            row["window_s"],
            f"{base_s / row['window_s']:.2f}",
            row["made_s"],
            *(f"{row[key]:.1e}" for key in ("largest", "mean", "otherwise")),
        )
        for row in results["rows"]
    ]
    title = f"**A window of {edge} x {edge} x {edge} voxels**, medians of {rounds}:"
    return f"{title}\n\n{table(header, rows)}\n\n{origin(results)}"


def results_table(results: dict[str, Any]) -> str:
    """Return a table of any benchmark's rows: a column for each value, named as in the JSON."""
    columns = list(
        dict.fromkeys(key for row in results["rows"] for key in row if not isinstance(row[key], dict | list))
    )
    rows = [[row.get(key) for key in columns] for row in results["rows"]]
    return f"{table(columns, rows)}\n\n{origin(results)}"


def merged(files: list[Path]) -> dict[str, Any]:
    """Return the results of several runs of one benchmark in one; date and machine are those of the last run."""
    found = [read_results(file) for file in files]
    return {**found[-1], "command": "benchmarks/gpu.py", "rows": [row for each in found for row in each["rows"]]}


def study_tables(study: Path, notes: list[str]) -> str | None:
    """Return Tables 1 to 4 of a finished study, with the time of each stage; None if it is not finished.

    Args:
        study: Folder of the study.
        notes: Sentences about the data and the weights.
    """
    comparison = study / "nnUNet_results" / "comparison"
    if not (comparison / "report.html").is_file():
        return None
    stages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in sorted((study / "study" / "done").glob("*.json")):
        stages[file.stem.partition("-")[0]].append(json.loads(file.read_text(encoding="utf-8")))
    rows = [
        (
            f"`{stage}`",
            len(jobs),
            sum(job["seconds"] for job in jobs) / 60,
            max((job.get("peak_memory_mib") or 0 for job in jobs), default=0) / 1024,
        )
        for stage, jobs in stages.items()
    ]
    parts = [
        "\n".join(f"- {note}" for note in notes),
        table(("stage", "jobs", "total time (min)", "peak memory (GiB)"), rows),
    ]
    for kind in STUDY_TABLES:
        for file in sorted((comparison / "tables").glob(f"table{kind.number}_test*.md")):
            parts += [f"**Table {kind.number}: {kind.title}**", file.read_text(encoding="utf-8").strip()]
    finished = datetime.datetime.fromtimestamp((comparison / "report.html").stat().st_mtime, tz=datetime.UTC)
    run = {"command": "benchmarks/gpu.py", "machine": machine(), "date": finished.date().isoformat()}
    parts.append(origin(run))
    return "\n\n".join(parts)


def write_tables(folder: Path, state: dict[str, Any], notes: list[str], docs: Path | None) -> list[str]:
    """Write summary and tables of what has been measured so far, and return the names of the tables.

    Args:
        folder: Folder of the run.
        state: State of its steps.
        notes: Sentences about the study's data and weights.
        docs: Folder of the pages whose tables are replaced; None to leave them as they are.
    """
    results = folder / "results"
    training = sorted(results.glob("training-*.json"), key=lambda file: file.stat().st_mtime)
    texts: dict[str, str | None] = {"study-gpu": study_tables(folder / "study", notes)}
    summary: dict[str, Any] = {"machine": machine(), "steps": state, "notes": notes, "results": {}}
    if training:
        summary["results"]["training"] = merged(training)
        texts["training-gpu"] = training_table(summary["results"]["training"])
    makers = {"true-size": true_size_table, "backends": backends_table, "slice-prediction": results_table}
    for name, make in makers.items():
        if (results / f"{name}.json").is_file():
            summary["results"][name] = read_results(results / f"{name}.json")
            texts[f"{name}-gpu"] = make(summary["results"][name])
    write_json(folder / SUMMARY, summary)
    made = {name: text for name, text in texts.items() if text is not None}
    (folder / "tables").mkdir(exist_ok=True)
    for name, text in made.items():
        write_text(folder / "tables" / f"{name}.md", text + "\n")
        if docs is not None:
            replace_table(docs / PAGES[name], name, text)
    return sorted(made)
