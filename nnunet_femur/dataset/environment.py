"""nnU-Net's folders and trainer path: read, check and print; our launcher of TotalSegmentator on PATH."""

from __future__ import annotations

import os
import shlex
import sys
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

TRAINER_FOLDER = Path(__file__).parents[1] / "ext_trainers"
"""The folder in which nnU-Net finds this package's trainers."""

LAUNCHER_FOLDER = Path(__file__).parents[1] / "launchers"
"""The folder with our ``TotalSegmentator``, which gives the stock one volumes that it does not read itself."""

PYTHON = "NNFEMUR_PYTHON"
"""The variable that tells our launcher which Python this package is installed in."""


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


def export_lines(folder: Path, *, launcher: bool = True) -> list[str]:
    """The same as lines for a POSIX shell: ``eval "$(nnfemur env DIR)"``.

    Args:
        folder: The folder that holds, or will hold, nnU-Net's three.
        launcher: Put our launcher of TotalSegmentator in front of PATH; False takes it off PATH.
    """
    return [*(_export(name, value) for name, value in variables(folder).items()), *_path_lines(launcher=launcher)]


def _export(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _path_lines(*, launcher: bool) -> list[str]:
    """Lines that move the launcher's folder to the front of PATH, or take it off.

    The shell does it, since only the shell knows its PATH: under ``uv run`` ours has a folder more. What is there is
    taken off first, so that PATH does not grow when the lines are evaluated again.
    """
    if sys.platform == "win32":
        return []  # the launcher is a shell script
    lines = [
        f"_nnfemur_bin={shlex.quote(str(LAUNCHER_FOLDER))}; _nnfemur_path=:$PATH:",
        'while case $_nnfemur_path in *":$_nnfemur_bin:"*) ;; *) false ;; esac; do '
        '_nnfemur_path="${_nnfemur_path%%":$_nnfemur_bin:"*}:${_nnfemur_path#*":$_nnfemur_bin:"}"; done',
        "_nnfemur_path=${_nnfemur_path#:}; _nnfemur_path=${_nnfemur_path%:}",
    ]
    if launcher:
        lines += ['export PATH="$_nnfemur_bin${_nnfemur_path:+:$_nnfemur_path}"', _export(PYTHON, sys.executable)]
    else:
        lines += ['export PATH="$_nnfemur_path"', f"unset {PYTHON}"]
    return [*lines, "unset _nnfemur_bin _nnfemur_path"]


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
        raise SetupError(msg, code="environment")
    folder = Path(value)
    if not create:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: {name} points here, but it cannot be made ({error.strerror}). Choose another DIR."
        raise SetupError(msg, code="environment") from error
    return folder
