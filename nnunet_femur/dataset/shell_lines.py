"""Lines of a shell that set nnU-Net's environment and put this package's launcher of TotalSegmentator on PATH."""

from __future__ import annotations

import ntpath
import re
import shlex
import sys
from typing import TYPE_CHECKING

from nnunet_femur.arguments import require_one_of
from nnunet_femur.dataset.environment import LAUNCHER_FOLDER, PYTHON, variables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHELLS = ("sh", "powershell")
"""Kinds of shells: "sh" for every POSIX shell, "powershell" for Windows PowerShell and PowerShell 7."""


def export_lines(folder: Path, *, launcher: bool = True, shell_kind: str | None = None) -> list[str]:
    """Return lines of a shell that set the environment, see :func:`nnunet_femur.dataset.environment.set_up_command`.

    Args:
        folder: The folder that contains, or will contain, nnU-Net's three folders.
        launcher: Put the launcher of TotalSegmentator first on PATH; False removes it from PATH.
        shell_kind: One of :data:`SHELLS`. None: "powershell" on Windows, else "sh".

    Raises:
        InputError: `shell_kind` is not one of :data:`SHELLS` (code "invalid-option").
    """
    shell_kind = shell_kind or ("powershell" if sys.platform == "win32" else "sh")
    require_one_of("shell_kind (--shell)", shell_kind, SHELLS)
    lines = _powershell_lines if shell_kind == "powershell" else _posix_lines
    return lines(variables(folder), launcher=launcher)


def _posix_lines(values: Mapping[str, str], *, launcher: bool) -> list[str]:
    """Return lines that set variables and move the launcher's folder to the front of PATH, or remove it.

    The shell changes its own PATH, since that of this process may differ: ``uv run`` adds a folder. The launcher's
    folder is removed first, so that PATH does not grow when the lines are evaluated again.
    """
    lines = [
        *(_export(name, value) for name, value in values.items()),
        f"_nnfemur_bin={shlex.quote(_path_entry(str(LAUNCHER_FOLDER)))}; _nnfemur_path=:$PATH:",
        'while case $_nnfemur_path in *":$_nnfemur_bin:"*) ;; *) false ;; esac; do '
        '_nnfemur_path="${_nnfemur_path%%":$_nnfemur_bin:"*}:${_nnfemur_path#*":$_nnfemur_bin:"}"; done',
        "_nnfemur_path=${_nnfemur_path#:}; _nnfemur_path=${_nnfemur_path%:}",
    ]
    if launcher:
        lines += ['export PATH="$_nnfemur_bin${_nnfemur_path:+:$_nnfemur_path}"', _export(PYTHON, sys.executable)]
    else:
        lines += ['export PATH="$_nnfemur_path"', f"unset {PYTHON}"]
    return [*lines, "unset _nnfemur_bin _nnfemur_path"]


def _path_entry(folder: str) -> str:
    r"""Return a folder as an entry of PATH. Git Bash separates entries by colons, so C:\a is /c/a there."""
    if sys.platform == "win32":
        drive, rest = ntpath.splitdrive(folder)
        start = f"/{drive[0].lower()}" if re.fullmatch("[A-Za-z]:", drive) else drive
        return (start + rest).replace("\\", "/")
    return folder


def _export(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _powershell_lines(values: Mapping[str, str], *, launcher: bool) -> list[str]:
    """Return the same lines as :func:`_posix_lines` for PowerShell, which compares folders without regard to case."""
    ours = _powershell_text(str(LAUNCHER_FOLDER))
    others = f"@($env:PATH -split [IO.Path]::PathSeparator | Where-Object {{ $_ -and $_ -ne {ours} }})"
    lines = [f"$env:{name} = {_powershell_text(value)}" for name, value in values.items()]
    if launcher:
        lines += [
            f"$env:PATH = (@({ours}) + {others}) -join [IO.Path]::PathSeparator",
            f"$env:{PYTHON} = {_powershell_text(sys.executable)}",
        ]
    else:
        lines += [
            f"$env:PATH = {others} -join [IO.Path]::PathSeparator",
            f"Remove-Item Env:{PYTHON} -ErrorAction SilentlyContinue",
        ]
    return lines


def _powershell_text(text: str) -> str:
    """Return a text as an expression of PowerShell, in ASCII.

    Windows encodes the output of a program otherwise than PowerShell decodes it, so other characters become numbers.
    PowerShell's characters are UTF-16, as here.
    """
    parts: list[str] = []
    for part in re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]", text):
        parts += ["'" + part.replace("'", "''") + "'"] if part.isascii() else [f"[char]{unit}" for unit in _utf16(part)]
    if len(parts) == 1 and text.isascii():
        return parts[0]
    # The empty text comes first, since the sum of two characters is not a text.
    return "(" + " + ".join(["''", *parts]) + ")"


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[start : start + 2], "little") for start in range(0, len(data), 2)]
