"""Bring TotalSegmentator's models into its weights folder: from its server, from an archive or from a folder.

A model is completed in a staging folder, checked and then renamed, so no interruption leaves a part of one.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from nnunet_femur.archives import archive_files, unpack
from nnunet_femur.atomic_files import rename_flushed
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.weights.models import CHECKPOINT, crop_entry, entries, femur_entry, open_model, weights_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_femur.weights.models import ModelEntry


_SERVER = "https://github.com"
"""Server of TotalSegmentator's releases."""

_CONNECT_WITHIN_S = 4.0

_DOWNLOADER = "import sys, totalsegmentator.libs as libs; libs.download_pretrained_weights(int(sys.argv[1]))"


def download(*, fast: bool = False) -> list[Path]:
    """Download the model that segments the femur and the model for the crop, unless they are installed.

    TotalSegmentator's downloader runs in a separate process, draws its progress bar on standard error, and works in a
    folder beside the models. An interrupted download leaves nothing that looks like a model, and the downloader cannot
    delete other models.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        SetupError: The server cannot be reached or the download failed (code "offline"), or the weights folder cannot
            be written ("cannot-write").

    Example:
        >>> [folder.name[:10] for folder in download()]
        ['Dataset294', 'Dataset298']
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
                    f"{entry.dataset}: the download failed; the reason is above. Run the same command again, or copy "
                    f"the archive to this machine and run: nnfemur weights download --from-zip {entry.dataset}.zip"
                )
                raise SetupError(msg, code="offline")
            put_in_place(staged, entry)
    return [weights_folder() / entry.dataset for entry in wanted]


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
        with _staged_for(entry) as place:
            if place:
                unpack(path, place, place=partial(_path_in_dataset, entry.dataset), progress=progress)
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
        with _staged_for(entry) as place:
            if place:
                shutil.copytree(by_dataset[entry.dataset], place, dirs_exist_ok=True)
    return [weights_folder() / entry.dataset for entry in found]


def is_installed(entry: ModelEntry) -> bool:
    """Return True if the checkpoint of a model is in the weights folder.

    Args:
        entry: The model.
    """
    return (weights_folder() / entry.folder / CHECKPOINT).is_file()


_STAGING = ".nnfemur.partial"
"""Folder for incomplete models, inside the weights folder, so that a rename moves them to their place."""


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


def problem_reaching(address: str, *, within_s: float = 3.0) -> str:
    """Return the reason why a server cannot be reached, directly or through the proxy that is set; empty if it can.

    Any answer counts, also an error of the server, or a certificate that Python does not trust: the client that
    downloads may trust it.

    Args:
        address: Address of the server, with http or https.
        within_s: Time limit for the answer in seconds.
    """
    outcome: SimpleQueue[str] = SimpleQueue()
    # In a thread, since the look-up of a name has no time limit.
    threading.Thread(target=lambda: outcome.put(_connection_problem(address, within_s)), daemon=True).start()
    try:
        problem = outcome.get(timeout=within_s)
    except Empty:
        problem = f"no answer within {within_s:g} seconds"
    return f"{_server_and_proxy(address)} cannot be reached: {problem}" if problem else ""


def _require_internet() -> None:
    """Check within seconds that the server can be reached; the downloader and look-ups of names have no time limit.

    Raises:
        SetupError: The server cannot be reached.
    """
    problem = problem_reaching(_SERVER, within_s=_CONNECT_WITHIN_S)
    if problem:
        names = " and ".join(f"{entry.dataset}.zip" for entry in (femur_entry(), crop_entry()))
        msg = (
            f"{problem}. Download {names} from TotalSegmentator's releases on another machine, then run: nnfemur "
            "weights download --from-zip FILE.zip"
        )
        raise SetupError(msg, code="offline")


@contextmanager
def _staged_for(entry: ModelEntry) -> Iterator[Path | None]:
    """Yield a folder to fill with a dataset, and put it in place afterwards; yield None if the model is installed."""
    if is_installed(entry):
        yield None
        return
    with staging() as staged:
        place = staged / entry.dataset
        place.mkdir()
        yield place
        put_in_place(staged, entry)


def _path_in_dataset(dataset: str, file: PurePosixPath) -> PurePosixPath | None:
    """Return the path of a file of an archive below a dataset's folder; None for a file outside of it."""
    if dataset not in file.parts:
        return None
    return PurePosixPath(*file.parts[file.parts.index(dataset) + 1 :])


def _contains_no_model(path: Path) -> InputError:
    names = ", ".join(entry.dataset for entry in entries())
    msg = (
        f"{path}: contains none of TotalSegmentator's models that segment the femur or crop to it ({names}). "
        "Check the path."
    )
    return InputError(msg, code="no-weights")


def _connection_problem(address: str, within_s: float) -> str:
    try:
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - an address of ours or of the hub's
        # Not urlopen, which remembers the proxies of its first call.
        urllib.request.build_opener().open(request, timeout=within_s).close()
    except HTTPError:
        return ""
    except URLError as error:
        return "" if isinstance(error.reason, ssl.SSLError) else _reason(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _reason(error)
    return ""


def _reason(error: BaseException | str) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _server_and_proxy(address: str) -> str:
    """Return the name of a server, and of the proxy if one is set."""
    server = urlsplit(address)
    proxy = None if urllib.request.proxy_bypass(server.netloc) else urllib.request.getproxies().get(server.scheme)
    return f"{server.netloc} through the proxy {urlsplit(proxy).netloc or proxy}" if proxy else server.netloc
