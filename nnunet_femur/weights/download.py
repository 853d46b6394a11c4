"""Download models by TotalSegmentator's own downloader."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from nnunet_femur.errors import SetupError
from nnunet_femur.internet import problem_reaching
from nnunet_femur.weights.install import is_installed, put_in_place, staging
from nnunet_femur.weights.source import weights_folder
from nnunet_femur.weights.tables import crop_entry, femur_entry

if TYPE_CHECKING:
    from pathlib import Path

_SERVER = "https://github.com"
"""Where TotalSegmentator's releases lie."""

_SECONDS_TO_CONNECT = 4.0

_DOWNLOADER = "import sys, totalsegmentator.libs as libs; libs.download_pretrained_weights(int(sys.argv[1]))"


def download(*, fast: bool = False) -> list[Path]:
    """Download the model that segments the femur and the one that crops to it, unless they are there.

    TotalSegmentator's downloader runs in a process of its own and draws its progress bar. It works in a folder beside
    the models, so that an interrupted download leaves nothing that looks like a model, nor does it tidy up there.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        SetupError: There is no internet here, the download failed, or the weights folder cannot be written.
    """
    wanted = (femur_entry(fast=fast), crop_entry())
    missing = [entry for entry in wanted if not is_installed(entry)]
    if missing:
        _require_internet()
    for entry in missing:
        with staging() as staged:
            environment = os.environ | {"TOTALSEG_WEIGHTS_PATH": str(staged)}
            command = [sys.executable, "-c", _DOWNLOADER, str(entry.task_id)]
            ended = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
            if ended.returncode != 0:
                msg = (
                    f"{entry.dataset}: the download failed, as said above. Run the same command again, or bring the "
                    f"archive here by hand: nnfemur weights download --from-zip {entry.dataset}.zip"
                )
                raise SetupError(msg)
            put_in_place(staged, entry)
    return [weights_folder() / entry.dataset for entry in wanted]


def _require_internet() -> None:
    """See within seconds whether the download can begin: neither it nor a look-up of a name has a time limit.

    Raises:
        SetupError: It cannot.
    """
    problem = problem_reaching(_SERVER, within_s=_SECONDS_TO_CONNECT)
    if problem:
        names = " and ".join(f"{entry.dataset}.zip" for entry in (femur_entry(), crop_entry()))
        msg = (
            f"{problem[0].upper()}{problem[1:]}. Download {names} from TotalSegmentator's releases on another machine, "
            "then run: nnfemur weights download --from-zip FILE.zip"
        )
        raise SetupError(msg)
