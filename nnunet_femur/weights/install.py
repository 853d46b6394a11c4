"""Bring model folders into TotalSegmentator's weights folder, each whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nnunet_femur.archives import archive_files, unpack
from nnunet_femur.atomic_files import rename_flushed
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT, Progress
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
    files = archive_files(path)
    found = [entry for entry in entries() if any(entry.dataset in file.parts for file in files)]
    if not found:
        raise _contains_no_model(path)
    for entry in found:
        with _placed(entry) as place:
            if place:
                unpack(path, place, place=partial(_below, entry.dataset), progress=progress)
    return [weights_folder() / entry.dataset for entry in found]


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
        raise _contains_no_model(path)
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


def _below(dataset: str, file: PurePosixPath) -> PurePosixPath | None:
    """Return the path of a file of an archive below a dataset's folder; None for a file outside of it."""
    if dataset not in file.parts:
        return None
    return PurePosixPath(*file.parts[file.parts.index(dataset) + 1 :])


def _contains_no_model(path: Path) -> InputError:
    names = ", ".join(entry.dataset for entry in entries())
    msg = f"{path}: contains none of TotalSegmentator's models that segment the femur or crop to it ({names})."
    return InputError(msg, code="no-weights")
