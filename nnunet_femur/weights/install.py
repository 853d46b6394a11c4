"""Bring model folders into TotalSegmentator's weights folder, each whole or not at all."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from nnunet_femur.atomic_files import leads_out, rename_flushed
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.weights.models import CHECKPOINT, entries, open_model, weights_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.weights.models import ModelEntry

_STAGING = ".nnfemur.partial"
"""Where models are gathered: below the weights folder, so that a rename can put them in place."""


def install_zip(path: Path, *, progress: Progress = SILENT) -> list[Path]:
    """Unpack the models of the femur in an archive, as TotalSegmentator's release offers them.

    Models that are there already stay as they are.

    Args:
        path: A ``.zip`` with one or more ``DatasetNNN_...`` folders, in whatever folder.
        progress: Receives the progress.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        InputError: The file is missing or no archive, holds none of the models, or names files outside of it.
        SetupError: The weights folder cannot be written, or what was unpacked is no whole model.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        msg = f"{path}: is missing or no zip archive. Download it again, or give the right path."
        raise InputError(msg) from error
    with archive:
        members = _safe_members(path, archive)
        found = [entry for entry in entries() if entry.dataset in members]
        if not found:
            raise InputError(_holds_none(path))
        installed = []
        for entry in found:
            with _placed(entry) as place:
                for member, inside in track(
                    members[entry.dataset] if place else (), f"Unpack {entry.dataset}", progress=progress
                ):
                    target = Path(str(place)) / inside
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with _readable(path, archive, member) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file, 1 << 20)
            installed.append(weights_folder() / entry.dataset)
        return installed


def install_folder(path: Path) -> list[Path]:
    """Copy the models of the femur from a folder, as from another machine's weights folder.

    Models that are there already stay as they are.

    Args:
        path: A folder that holds ``DatasetNNN_...`` folders, or one such folder.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        InputError: The folder is missing or holds none of the models.
        SetupError: The weights folder cannot be written, or what was copied is no whole model.
    """
    by_dataset = {entry.dataset: path if path.name == entry.dataset else path / entry.dataset for entry in entries()}
    found = [entry for entry in entries() if (by_dataset[entry.dataset] / Path(entry.folder).name).is_dir()]
    if not found:
        raise InputError(_holds_none(path))
    for entry in found:
        with _placed(entry) as place:
            if place:
                shutil.copytree(by_dataset[entry.dataset], place, dirs_exist_ok=True)
    return [weights_folder() / entry.dataset for entry in found]


@contextmanager
def staging() -> Iterator[Path]:
    """An empty folder beside the models, removed afterwards.

    Raises:
        SetupError: The weights folder cannot be written, or its disk is full.
    """
    folder = weights_folder() / _STAGING
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        msg = (
            f"{weights_folder()}: TotalSegmentator's weights belong here, but it cannot be written "
            f"({error.strerror or error}). Mend that, or set TOTALSEG_WEIGHTS_PATH to another folder."
        )
        raise SetupError(msg) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_installed(entry: ModelEntry) -> bool:
    """Whether a model's checkpoint is in the weights folder."""
    return (weights_folder() / entry.folder / CHECKPOINT).is_file()


def put_in_place(staged: Path, entry: ModelEntry) -> None:
    """Move a gathered dataset folder to its place, once it is seen to be a whole model.

    Args:
        staged: The weights folder in which it was gathered.
        entry: Which model.

    Raises:
        SetupError: It is not whole.
    """
    open_model(staged, entry)
    target = weights_folder() / entry.dataset
    if target.exists():
        # What is left of an interrupted download, or an empty folder that keeps TotalSegmentator from one.
        shutil.rmtree(target)
    rename_flushed(staged / entry.dataset, target)


@contextmanager
def _placed(entry: ModelEntry) -> Iterator[Path | None]:
    """Give a folder to gather a dataset in and put it in place afterwards; None if the model is there already."""
    if is_installed(entry):
        yield None
        return
    with staging() as staged:
        place = staged / entry.dataset
        place.mkdir()
        yield place
        put_in_place(staged, entry)


@contextmanager
def _readable(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    try:
        with archive.open(member) as source:
            yield source
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        msg = f"{path}: {member.filename} in it is damaged. Download the archive again."
        raise InputError(msg) from error


def _safe_members(path: Path, archive: zipfile.ZipFile) -> dict[str, list[tuple[zipfile.ZipInfo, PurePosixPath]]]:
    """The files of every model in the archive, with their place below its dataset folder.

    Raises:
        InputError: A name leads out of the folder, or a file is a link.
    """
    known = {entry.dataset for entry in entries()}
    members: dict[str, list[tuple[zipfile.ZipInfo, PurePosixPath]]] = {}
    for member in archive.infolist():
        inside = PurePosixPath(member.filename.replace("\\", "/"))
        if leads_out(member):
            msg = f"{path}: names {member.filename!r}, which leads out of its folder. Do not use this archive."
            raise InputError(msg)
        dataset = next((part for part in inside.parts if part in known), None)
        if dataset is not None and not member.is_dir():
            below = inside.parts[inside.parts.index(dataset) + 1 :]
            members.setdefault(dataset, []).append((member, PurePosixPath(*below)))
    return members


def _holds_none(path: Path) -> str:
    names = ", ".join(entry.dataset for entry in entries())
    return f"{path}: holds none of TotalSegmentator's models that segment the femur or crop to it ({names})."
