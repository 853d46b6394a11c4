"""nnU-Net's folders and trainer path: read, check and print."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from nnunet_femur.errors import SetupError

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
"""The environment variables, and below one folder also the names, of nnU-Net's three folders."""

EXT_TRAINER = "nnUNet_extTrainer"
"""The environment variable in which nnU-Net looks for folders with trainers of others."""

COLUMNS = "NNFEMUR_COLUMNS"
"""The variable by which a study tells its jobs how wide the terminal is that their tables will be shown in."""

_OF_IDLE_THREADS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user chooses what OpenMP's threads do while they wait for each other."""

TRAINER_FOLDER = Path(__file__).parent / "ext_trainers"
"""The folder in which nnU-Net finds this package's trainers."""


def variables(folder: Path) -> dict[str, str]:
    """The environment under which nnU-Net works below `folder` and finds this package's trainers.

    Trainer folders that stand in the current environment are kept, behind ours: nnU-Net stops its search at
    the first folder that cannot be imported.
    """
    base = folder.expanduser().resolve()
    others = [path for path in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if path]
    trainers = [str(TRAINER_FOLDER), *(path for path in others if path != str(TRAINER_FOLDER))]
    return {name: str(base / name) for name in NNUNET_FOLDERS} | {EXT_TRAINER: os.pathsep.join(trainers)}


def sleeping_threads() -> dict[str, str]:
    """Return the variable that lets waiting OpenMP threads sleep; empty if the user has chosen something else.

    By default they spin, which takes the processors from everything else on a shared machine, and from themselves: on
    two cores beside another training, a training step took 12.6 s instead of 2.1 s. Set it before PyTorch is imported.
    """
    return {} if any(name in os.environ for name in _OF_IDLE_THREADS) else {"OMP_WAIT_POLICY": "PASSIVE"}


def export_lines(folder: Path) -> list[str]:
    """The same as lines for a POSIX shell: ``eval "$(nnfemur env DIR)"``."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables(folder).items()]


def require(name: str, *, create: bool = True) -> Path:
    """The folder that nnU-Net's variable `name` points to.

    Args:
        name: The variable.
        create: Whether the folder is made if it is missing.

    Raises:
        SetupError: The variable is not set, or the folder cannot be made.
    """
    value = os.environ.get(name)
    if not value:
        msg = f'{name} is not set, so nnU-Net has no place for it. Run: eval "$(nnfemur env DIR)"'
        raise SetupError(msg)
    folder = Path(value)
    if not create:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: {name} points here, but it cannot be made ({error.strerror}). Choose another DIR."
        raise SetupError(msg) from error
    return folder
