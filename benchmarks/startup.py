"""How soon the commands answer, as a ratio to the interpreter's own start and to nnU-Net's commands, in one run.

Run: uv run python benchmarks/startup.py. Bound: 0.5 s for the help of either command (median of 5).
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import sysconfig
import time

RUNS = 5


def main() -> None:
    """Print the median seconds of each command and its ratio to a bare interpreter."""
    scripts = sysconfig.get_path("scripts")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "nnfemur --help": [str(shutil.which("nnfemur", path=scripts)), "--help"],
        "nnfemur-compare --help": [str(shutil.which("nnfemur-compare", path=scripts)), "--help"],
        "nnUNetv2_train --help": [str(shutil.which("nnUNetv2_train", path=scripts)), "--help"],
    }
    medians = {name: statistics.median(_seconds(command) for _ in range(RUNS)) for name, command in commands.items()}
    for name, median in medians.items():
        print(f"{name:24} {median:6.2f} s  {median / medians['python -c pass']:6.1f} x the bare interpreter")


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
