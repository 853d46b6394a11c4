"""Results of benchmarks: JSON with the machine and the command, and tables between markers of a page.

A marked table of a page looks like this. Everything between the two lines is replaced by the next run:

    <!-- begin training-gpu -->
    | trainer | step (ms) |
    |---|---:|
    | FemurScratchTrainer | 131 |
    <!-- end training-gpu -->
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence


def machine() -> dict[str, Any]:
    """Return processor, cores, load, GPU (None without one), and versions of Python and PyTorch."""
    import torch

    gpu = None
    if torch.cuda.is_available():
        gib = torch.cuda.get_device_properties(0).total_memory / 2**30
        gpu = f"{torch.cuda.get_device_name()}, {gib:.0f} GiB, CUDA {torch.version.cuda}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def write_results(file: Path, benchmark: str, rows: Sequence[dict[str, Any]], **settings: Any) -> dict[str, Any]:
    """Write the results of a benchmark as JSON, and return them.

    Args:
        file: The file to write.
        benchmark: Name of the benchmark.
        rows: The measured values, a dict for each row.
        settings: Settings that the values depend on.
    """
    results = {
        "benchmark": benchmark,
        "command": _command(sys.argv),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": settings,
        "rows": list(rows),
    }
    write_json(file, results)
    return results


def _command(words: Sequence[str]) -> str:
    """Return the command line of a benchmark, with the names of files and folders instead of whole paths."""
    script, *options = words
    named = (Path(each).name if Path(each).is_absolute() else each for each in options)
    return shlex.join([f"benchmarks/{Path(script).name}", *named])


def read_results(file: Path) -> dict[str, Any]:
    """Return what :func:`write_results` wrote."""
    return json.loads(file.read_text(encoding="utf-8"))


def origin(results: dict[str, Any]) -> str:
    """Return the line below a table: command, machine and date."""
    where = results["machine"]
    device = where["gpu"] or f"{where['processor']}, {where['cores']} cores, load {where['load']}"
    return f"`{results['command']}`; {device}; torch {where['torch']}; {results['date']}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; the first column is text, the others are aligned to the right.

    Args:
        header: Names of the columns.
        rows: Cells. None is shown as "–", and a float with three significant digits.
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *([_cell(each) for each in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def replace_table(page: Path, name: str, text: str) -> None:
    """Replace the content between the markers of a page.

    Args:
        page: The Markdown page.
        name: Name in the markers.
        text: The new content, without an empty line at its ends.

    Raises:
        ValueError: The page lacks the markers, or has them more than once.
    """
    before = page.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if before.count(begin) != 1 or before.count(end) != 1 or before.index(end) < before.index(begin):
        msg = f"{page}: must have the lines {begin.strip()} and {end} once, in this order."
        raise ValueError(msg)
    start = before.index(begin) + len(begin)
    write_text(page, before[:start] + text.strip("\n") + "\n" + before[before.index(end) :])
