"""Run the benchmarks of docs/performance.md on this machine, and replace its tables by their results.

Run: uv run python benchmarks/performance.py --list
     uv run python benchmarks/performance.py --only true-size-cpu stages
     uv run python benchmarks/performance.py --resume     # after an interruption

Each section of the page has a name and two markers, see `marked_tables.py`. A section is replaced as soon as its
benchmark has ended, so an interrupted run keeps what it has measured. Without --only, all sections are measured, which
takes about two hours on two cores. Let nothing else run meanwhile. Sections of GPUs are those of `gpu.py`.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from marked_tables import machine, origin, replace_table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BENCHMARKS = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        command: Benchmark and its options.
        minutes: Rough duration on two cores.
        resumable: True if the benchmark has an option --resume.
    """

    command: str
    minutes: int
    resumable: bool = False


SECTIONS = {
    "true-size-cpu": Section("predict.py --true-size --rounds 3", 45, resumable=True),
    "windows": Section("windows.py", 2),
    "backends": Section("backends.py --compile", 6),
    "stages": Section("prediction_stages.py --size 150 336 256", 3),
    "side-by-side": Section("side_by_side.py", 5),
    "options": Section("prediction_options.py", 10),
    "small-network": Section("predict.py --small --rounds 3", 20, resumable=True),
    "slice-prediction": Section("slice_prediction.py", 5),
    "slice-loading": Section("slices.py --part loader", 3),
    "slice-steps": Section("slices.py --part steps --size 64 --encoders ResNet34 MobileNetV3", 5),
    "training-cpu": Section("training.py --small", 6),
    "training-loader": Section("training.py --part loader", 8),
    "conversion": Section("intake.py", 5),
    "scoring": Section("scoring.py", 10),
    "startup": Section("startup.py", 2),
}
"""The sections by name, in the order of the page."""


def measure(command: str, *further: str) -> str:
    """Run a benchmark and return its tables, with command, machine and date below.

    Args:
        command: Benchmark and its options.
        further: Options that are not named below the tables.

    Raises:
        CalledProcessError: The benchmark failed.
    """
    before = machine()
    script, *options = shlex.split(command)
    process = [sys.executable, str(BENCHMARKS / script), *options, *further]
    printed = subprocess.run(process, stdout=subprocess.PIPE, text=True, check=True).stdout
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    measured_by = {"command": f"benchmarks/{command}", "machine": before, "date": today}
    return f"{markdown_of(printed)}\n\n{origin(measured_by)}"


def markdown_of(printed: str) -> str:
    r"""Return the tables that a benchmark prints, their captions and lists; the whole text as code if it has none.

    Args:
        printed: What the benchmark printed.

    Example:
        >>> markdown_of("load 0.1\n| a |\n|---|\n| 1 |\n- twice as fast")
        '| a |\n|---|\n| 1 |\n\n- twice as fast'
    """
    parts: list[list[str]] = []
    kind = ""
    for line in printed.splitlines():
        new = next((start for start in ("|", "**", "- ") if line.startswith(start)), "")
        if new:
            if new != kind:
                parts.append([])
            parts[-1].append(line)
        kind = new
    if not any(part[0].startswith("|") for part in parts):
        return f"```text\n{printed.strip()}\n```"
    return "\n\n".join("\n".join(part) for part in parts)


def main() -> None:
    """Measure the sections and replace them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=tuple(SECTIONS), metavar="NAME")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write [default: docs/performance.md]")
    parser.add_argument("--resume", action="store_true", help="keep what predict.py measured before an interruption")
    parser.add_argument("--list", action="store_true", help="only print the sections and their commands")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.only:
        section = SECTIONS[name]
        print(f"{name:18} {section.minutes:3} min  benchmarks/{section.command}", flush=True)
        if not arguments.list:
            try:
                further = ("--resume",) if arguments.resume and section.resumable else ()
                replace_table(arguments.page, name, measure(section.command, *further))
            except subprocess.CalledProcessError as error:
                failed.append(name)
                print(f"{name}: failed with exit status {error.returncode}; its old table stays.", file=sys.stderr)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
