"""``TotalSegmentator`` behind our launcher, called as ``python -m nnunet_femur.cli.totalsegmentator ARGUMENTS``."""

from __future__ import annotations

import sys

from nnunet_femur.errors import FemurError


def main() -> None:
    """Run the command and exit with its status, which is the stock program's where that runs."""
    from nnunet_femur.baselines.launch import launch

    try:
        status = launch(sys.argv[1:])
    except FemurError as error:
        sys.stderr.write(f"error: {error}\n")
        status = 1
    except KeyboardInterrupt as reason:
        status = getattr(reason, "status", 130)
    sys.exit(status)


if __name__ == "__main__":
    main()
