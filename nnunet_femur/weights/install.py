"""Install TotalSegmentator's models in its weights folder from archives and folders, completely or not at all."""

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
"""Folder for incomplete models, inside the weights folder, so that a rename moves them to their place."""


def install_zip(path: Path, *, progress: Progress = SILENT) -> list[Path]:
    """Unpack the femur's models from an archive, such as those of TotalSegmentator's releases.

    Installed models are not replaced.

    Args:
        path: A ``.zip`` with one or more folders ``DatasetNNN_...``, at any depth.
        progress: Receives the progress.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        InputError: The archive contains none of the models (code "no-weights"), or as
            :func:`~nnunet_femur.archives.unpack`.
        SetupError: The weights folder cannot be written (code "cannot-write"), or the unpacked model is incomplete
            ("invalid-weights").

    Example:
        >>> import shutil
        >>> model = "Dataset298_TotalSegmentator_total_6mm_1559subj"
        >>> archive = shutil.make_archive("models", "zip", weights_folder(), model)
        >>> install_zip(Path(archive)) == [weights_folder() / model]
        True
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
    """Copy the femur's models from a folder, such as the weights folder of another machine.

    Installed models are not replaced.

    Args:
        path: A folder that contains folders ``DatasetNNN_...``, or one such folder.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        InputError: The folder does not exist or contains none of the models (code "no-weights").
        SetupError: The weights folder cannot be written (code "cannot-write"), or the copied model is incomplete
            ("invalid-weights").

    Example:
        >>> [folder.name[:10] for folder in install_folder(weights_folder())]
        ['Dataset294', 'Dataset297', 'Dataset298']
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


def is_installed(entry: ModelEntry) -> bool:
    """Return True if the checkpoint of a model is in the weights folder.

    Args:
        entry: The model.
    """
    return (weights_folder() / entry.folder / CHECKPOINT).is_file()


@contextmanager
def staging() -> Iterator[Path]:
    """Yield an empty folder inside the weights folder, which is removed afterwards.

    Raises:
        SetupError: The weights folder cannot be written, or its disk is full (code "cannot-write").
    """
    folder = weights_folder() / _STAGING
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        msg = (
            f"{weights_folder()}: TotalSegmentator's weights folder cannot be written ({error.strerror or error}). "
            "Change that, or set TOTALSEG_WEIGHTS_PATH to another folder."
        )
        raise SetupError(msg, code="cannot-write") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(staged: Path, entry: ModelEntry) -> None:
    """Move a dataset folder from the staging folder to the weights folder, after a check that it is complete.

    Args:
        staged: The staging folder that contains the dataset folder.
        entry: The model.

    Raises:
        SetupError: The model is incomplete (code "invalid-weights").
    """
    open_model(staged, entry)
    target = weights_folder() / entry.dataset
    if target.exists():
        # The remains of an interrupted download, or an empty folder that prevents TotalSegmentator from downloading.
        shutil.rmtree(target)
    rename_flushed(staged / entry.dataset, target)


@contextmanager
def _placed(entry: ModelEntry) -> Iterator[Path | None]:
    """Yield a folder to fill with a dataset, and put it in place afterwards; yield None if the model is installed."""
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
