"""Environment of nnU-Net: its folders and trainers, and this package's launcher of TotalSegmentator on PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nnunet_femur.errors import SetupError

NNUNET_FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
"""Environment variables with nnU-Net's three folders; also the names of these folders inside one folder."""

EXT_TRAINER = "nnUNet_extTrainer"
"""Environment variable with the folders in which nnU-Net looks for further trainers."""

COLUMNS = "NNFEMUR_COLUMNS"
"""Environment variable with the width of the terminal in characters, which a study sets for the tables of its jobs."""

_OF_IDLE_THREADS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Environment variables that control OpenMP's threads while they wait for each other."""

TRAINER_FOLDER = Path(__file__).parents[1] / "ext_trainers"
"""Folder in which nnU-Net finds this package's trainers."""

LAUNCHER_FOLDER = Path(__file__).parents[1] / "launchers"
"""Folder with this package's ``TotalSegmentator``, which passes volumes to the stock program that it cannot read."""

PYTHON = "NNFEMUR_PYTHON"
"""Environment variable with the Python in which this package is installed, for the launcher."""


def variables(folder: Path) -> dict[str, str]:
    """Return the environment variables for nnU-Net's folders inside a folder and for this package's trainers.

    Folders with trainers in the current environment are kept behind this package's, since nnU-Net's search ends at the
    first folder that cannot be imported.

    Args:
        folder: The folder that contains, or will contain, nnU-Net's three folders.

    Example:
        >>> from pathlib import Path
        >>> variables(Path("/data"))["nnUNet_raw"]
        '/data/nnUNet_raw'
    """
    base = folder.expanduser().resolve()
    others = [path for path in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if path]
    trainers = [str(TRAINER_FOLDER), *(path for path in others if path != str(TRAINER_FOLDER))]
    return {name: str(base / name) for name in NNUNET_FOLDERS} | {EXT_TRAINER: os.pathsep.join(trainers)}


def set_environment(folder: str | os.PathLike[str]) -> dict[str, str]:
    """Point nnU-Net to a folder and to this package's trainers, in this process and in those that it starts.

    A notebook calls it once, as a shell evaluates ``nnfemur env``. A later call replaces the folder.

    Args:
        folder: The folder that contains, or will contain, nnU-Net's three folders.

    Returns:
        The environment variables that were set, and their values.

    Example:
        >>> sorted(set_environment("."))
        ['nnUNet_extTrainer', 'nnUNet_preprocessed', 'nnUNet_raw', 'nnUNet_results']
    """
    found = variables(Path(folder))
    os.environ.update(found)
    return found


def sleeping_threads() -> dict[str, str]:
    """Return the environment variable that lets waiting OpenMP threads sleep; empty if the user has set another choice.

    By default waiting threads use the processors, which slows down other work on a shared machine and their own: with
    two trainings on two cores, a training step took 12.6 s instead of 2.1 s. Set it before PyTorch is imported.
    """
    return {} if any(name in os.environ for name in _OF_IDLE_THREADS) else {"OMP_WAIT_POLICY": "PASSIVE"}


def set_up_command(folder: str = "DIR") -> str:
    """Return the command that sets the environment in a shell of this system, for messages.

    Args:
        folder: The folder for nnU-Net's three folders, as it is typed.
    """
    if sys.platform == "win32":
        return f"nnfemur env {folder} | Out-String | Invoke-Expression"
    return f'eval "$(nnfemur env {folder})"'


def require(name: str, *, create: bool = True) -> Path:
    """Return the folder in one of nnU-Net's environment variables.

    Args:
        name: The variable, one of :data:`NNUNET_FOLDERS`.
        create: Make the folder if it is missing.

    Raises:
        SetupError: The variable is not set, or the folder cannot be created (code "environment").
    """
    value = os.environ.get(name)
    if not value:
        msg = f"{name} is not set, so nnU-Net's folder is unknown. Run: {set_up_command()}"
        raise SetupError(msg, code="environment")
    folder = Path(value)
    if not create:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: the folder of {name} cannot be created ({error.strerror}). Set {name} to another folder."
        raise SetupError(msg, code="environment") from error
    return folder
