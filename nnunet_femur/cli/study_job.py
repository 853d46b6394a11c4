"""One job of a study, started by Snakemake on this machine or on a node of a cluster.

    python -m nnunet_femur.cli.study_job STUDY.yaml NAME [--device cpu] [--gpus 0] [--threads 1]

The output of the job's command is written to the job's log, its progress to the job's status.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one job of a study, and end with the exit status of its command."""
    from nnunet_femur.errors import ending_without_traceback
    from nnunet_femur.processes import die_with_parent
    from nnunet_femur.study.job import run_named

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("name")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    die_with_parent()
    # Clusters end jobs by this signal. As an exception, it ends the command too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ending_without_traceback():
        status = run_named(given.study, given.name, device=given.device, gpus=given.gpus, threads=given.threads)
    sys.exit(status)


if __name__ == "__main__":
    main()
