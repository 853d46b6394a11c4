"""Time of one 96 x 64 x 64 phantom against writing and reading it with SimpleITK (gzip NRRD) in the same run.

Run: python benchmarks/phantoms.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from nnunet_femur.testing import make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 15


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the median seconds of both and their ratio."""
    phantom = make_phantom(0)  # Also pays for the first import of scipy.
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.nrrd") for name in ("image", "mask")}

        def write_and_read() -> None:
            for name, file in files.items():
                sitk.WriteImage(getattr(phantom, name), file, True)  # noqa: FBT003
                sitk.ReadImage(file)

        write_and_read()
        # Taken in turns, so that a busy machine slows both.
        pairs = [(_seconds(partial(make_phantom, seed)), _seconds(write_and_read)) for seed in range(RUNS)]
    ours, peer = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"make_phantom, 96 x 64 x 64            {ours:.3f} s (median of {RUNS})")
    print(f"SimpleITK gzip write + read of both   {peer:.3f} s")
    print(f"ratio                                 {ours / peer:.2f}")


if __name__ == "__main__":
    main()
