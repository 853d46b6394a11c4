"""Time and memory of nnfemur predict, stage by stage, against stock nnUNetv2_predict and TotalSegmentator's code.

Run: uv run python benchmarks/predict.py --true-size

All programs use the same model, a dummy that is trained once on phantoms and kept in --folder, and the same CTs of one
leg and of both legs; see `true_size.py`. `--small` takes a network with fewer features and smaller windows, and also
measures our own work beside the network: the same windows through the bare network, without reading, resampling and
writing. `--tiny` tests the benchmark itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from true_size import BARE, CTS, WAYS, run
from true_size_data import SMALL, TINY, TRUE_SIZE


def main() -> None:
    """Print a table for each CT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--true-size", action="store_true", help="networks and CTs of real size [default]")
    parser.add_argument("--small", action="store_true", help="8 features, windows of 64 voxels, half of a CT")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and CTs, to test the benchmark")
    parser.add_argument("--folder", type=Path, default=Path("benchmark-predict"), help="where the model is kept")
    parser.add_argument("--rounds", type=int, default=1, help="times that each program runs, in turns")
    parser.add_argument("--ways", nargs="+", choices=(*WAYS, *BARE), metavar="WAY", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--cts", nargs="+", choices=CTS, default=CTS, help="CTs to predict [default: both]")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--resume", action="store_true", help="do not repeat what an earlier call has measured")
    parser.add_argument("--json", type=Path, help="file of the results [default: in the folder]")
    options = parser.parse_args()
    name, size = ("small", SMALL) if options.small else ("tiny", TINY) if options.tiny else ("true-size", TRUE_SIZE)
    run(
        options.folder.resolve() / name,
        size,
        cts=options.cts,
        ways=options.ways or ((*WAYS, *BARE) if options.small else WAYS),
        rounds=options.rounds,
        device=options.device,
        resume=options.resume,
        json_file=options.json,
    )


if __name__ == "__main__":
    main()
