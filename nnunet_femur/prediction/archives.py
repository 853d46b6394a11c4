"""Models that travel as a zip file, unpacked without leaving the folder they are unpacked to."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from typing import TYPE_CHECKING

from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.records import leads_out

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NEEDED = (".json", ".pth")
"""What prediction reads of an exported model: plans, dataset and checkpoints."""


def unpack_model(archive: Path, folder: Path) -> None:
    """Unpack the plans and checkpoints of a file that ``nnUNetv2_export_model_to_zip`` wrote.

    Args:
        archive: The zip file.
        folder: Where to unpack it; it must exist.

    Raises:
        InputError: It is no zip file, is damaged, or holds a path that leads out of the folder.
        SetupError: There is not enough space on the disk.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir()]
            _require_inside(archive, members)
            needed = [info for info in members if info.filename.lower().endswith(_NEEDED)]
            _require_space(archive, sum(info.file_size for info in needed), folder)
            for info in needed:
                opened.extract(info, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        msg = f"{archive}: is no zip file, is damaged or is encrypted. Export or copy the model again."
        raise InputError(msg) from error


def _require_inside(archive: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    for info in members:
        if leads_out(info):
            msg = (
                f"{archive}: holds {info.filename!r}, which would be written outside the folder it is unpacked to. "
                "Do not use this file; export the model again with nnUNetv2_export_model_to_zip."
            )
            raise InputError(msg)


def _require_space(archive: Path, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        msg = (
            f"{archive}: unpacks to {needed / 1e9:.1f} GB, but {folder} has {free / 1e9:.1f} GB left. "
            "Make room there, or point TMPDIR to a larger disk."
        )
        raise SetupError(msg)
