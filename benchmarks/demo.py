"""Wall time, processor time, memory and Dice of the whole demo.

Run: uv run python benchmarks/demo.py [FOLDER]. An empty folder measures a first run, that of a finished demo a second
one.
Bounds on two cores: 6 minutes, 6 GB, Dice of 0.85 for both methods on the test phantoms.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil

INTERVAL_S = 0.5


def main() -> None:
    """Run the demo, measure it and its processes, and print the results."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="nnfemur-demo-"))
    start = time.monotonic()
    demo = psutil.Popen([sys.executable, "-m", "nnunet_femur", "demo", str(folder)])
    peak_bytes = 0
    while demo.poll() is None:
        peak_bytes = max(peak_bytes, _memory_of(demo))
        time.sleep(INTERVAL_S)
    seconds, processor = time.monotonic() - start, os.times()
    print(f"exit status       {demo.returncode}")
    print(f"wall time         {seconds:.0f} s ({seconds / 360:.2f} of the bound of 360 s)")
    print(f"processor time    {processor.children_user + processor.children_system:.0f} s on {os.cpu_count()} cores")
    print(f"peak memory       {peak_bytes / 1e9:.2f} GB ({peak_bytes / 6e9:.2f} of the bound of 6 GB)")
    scores = pd.read_csv(folder / "nnUNet_results" / "comparison" / "scores.csv")
    wanted = (scores["protocol"] == "volume") & (scores["metric"] == "dice") & (scores["set"] == "test")
    print(scores[wanted].groupby("method")["value"].agg(["mean", "min", "count"]).round(3).to_string())


def _memory_of(process: psutil.Process) -> int:
    """Return the memory of a process and its children in bytes, shared pages counted once (PSS)."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # The process may have ended.
            total += one.memory_full_info().pss
    return total


if __name__ == "__main__":
    main()
