"""Seconds per case of `nnfemur convert` against a bare loop of SimpleITK that reads and writes the same files.

Both write gzip NRRD at level 2, SimpleITK's default. "copy" reads every file and copies its bytes. Every round runs the
ways in turn, each in a process of its own, and gives one ratio to the bare loop for each; what is printed are medians
over rounds, so that a busy machine slows all of them. The time to start Python and import is not counted, that to start
the jobs is.

Run: python benchmarks/intake.py [--cases 12] [--rounds 5] [--size Z Y X]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("bare", "jobs1", "jobs2", "copy")
DIFFERENT = 2
"""Phantoms that are made; the other cases are copies of these, moved along z."""


def main() -> None:
    """Print the medians of all ways and their ratios to the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=3, default=(256, 336, 300), metavar=("Z", "Y", "X"))
    parser.add_argument("--run", nargs=3, metavar=("WAY", "DROP", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        way, drop, out = arguments.run
        if way == "make":
            _make(Path(drop), arguments.cases, tuple(arguments.size))
        else:
            print(json.dumps(_run(way, Path(drop), Path(out))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        drop, out = Path(temporary) / "drop", Path(temporary) / "out"
        # In a process of its own: a child's peak memory begins with that of its parent.
        _self("make", drop, out, arguments)
        _measure(drop, out, arguments)


def _self(way: str, drop: Path, out: Path, arguments: argparse.Namespace) -> str:
    """What this program prints when it runs one way in a fresh process."""
    size = map(str, arguments.size)
    command = [
        sys.executable,
        __file__,
        "--cases",
        str(arguments.cases),
        "--size",
        *size,
        "--run",
        way,
        str(drop),
        str(out),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _make(drop: Path, cases: int, size_zyx: tuple[int, int, int]) -> None:
    import numpy as np
    import SimpleITK as sitk

    from nnunet_femur.testing import write_phantoms

    spacing_mm_zyx = tuple(extent_mm / size for extent_mm, size in zip((520.0, 220.0, 200.0), size_zyx, strict=True))
    write_phantoms(drop, cases=min(cases, DIFFERENT), seed=0, size_zyx=size_zyx, spacing_mm_zyx=spacing_mm_zyx)
    for folder in ("Images", "GoldStandard"):
        for number, made in enumerate(sorted((drop / folder).glob("*.nrrd"))):
            image = sitk.ReadImage(str(made))
            for copy in range(number, cases, DIFFERENT):
                # Each is another exam: equal ones would count as one patient.
                moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayViewFromImage(image), copy, axis=0))
                moved.CopyInformation(image)
                sitk.WriteImage(moved, str(drop / folder / f"{made.name[0]}{900 + copy}_copy.nrrd"), True)  # noqa: FBT003
            made.unlink()


def _measure(drop: Path, out: Path, arguments: argparse.Namespace) -> None:
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(arguments.rounds):
        measured = {}
        for way in WAYS:
            measured[way] = json.loads(_self(way, drop, out, arguments).splitlines()[-1])
            shutil.rmtree(out)
        rounds.append(measured)
        line = "  ".join(f"{way} {measured[way]['seconds'] / arguments.cases:.3f}" for way in WAYS)
        print(f"round {number + 1}: {line} s per case", flush=True)
    size = " x ".join(map(str, arguments.size))
    print(f"\n{arguments.cases} cases of {size} voxels (z, y, x), medians of {arguments.rounds} rounds")
    columns = (("s per case", 12), ("ratio to bare", 15), ("CPU s", 8), ("CPU ratio", 11), ("peak MB", 10))
    print(f"{'way':<8}" + "".join(f"{name:>{width}}" for name, width in columns) + f"{'of a worker':>13}")
    for way in WAYS:
        seconds = statistics.median(measured[way]["seconds"] for measured in rounds) / arguments.cases
        ratio = statistics.median(measured[way]["seconds"] / measured["bare"]["seconds"] for measured in rounds)
        cpu = statistics.median(measured[way]["cpu"] for measured in rounds) / arguments.cases
        of_bare = statistics.median(measured[way]["cpu"] / measured["bare"]["cpu"] for measured in rounds)
        peak_mb, worker_mb = (max(measured[way][key] for measured in rounds) for key in ("peak_mb", "worker_mb"))
        line = f"{way:<8}{seconds:>12.3f}{ratio:>15.2f}{cpu:>8.3f}{of_bare:>11.2f}{peak_mb:>10.0f}{worker_mb:>13.0f}"
        print(line)


def _run(way: str, drop: Path, out: Path) -> dict[str, float]:
    import SimpleITK as sitk

    from nnunet_femur.conversion import convert

    out.mkdir()
    cpu, start = _cpu_seconds(), time.perf_counter()
    if way == "bare":
        for path in sorted(drop.rglob("*.nrrd")):
            sitk.WriteImage(sitk.ReadImage(str(path)), str(out / f"{path.parent.name}_{path.name}"), True)  # noqa: FBT003
    elif way == "copy":
        # The least that a conversion would take if sources were right already and their headers named nobody.
        for path in sorted(drop.rglob("*.nrrd")):
            sitk.ReadImage(str(path))
            shutil.copyfile(path, out / f"{path.parent.name}_{path.name}")
    else:
        convert(drop, dataset_id=1, raw=out, jobs=int(way.removeprefix("jobs")))
    seconds = time.perf_counter() - start
    of_self, of_workers = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"seconds": seconds, "cpu": _cpu_seconds() - cpu, "peak_mb": of_self / 1024, "worker_mb": of_workers / 1024}


def _cpu_seconds() -> float:
    """Of this process and those that it has waited for: what a busy machine does not change."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
