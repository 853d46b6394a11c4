"""Files of pretrained encoder weights: their places, and ways to bring them to a machine without internet.

Only functions import PyTorch, so that the checks of a machine can look for files without it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.records import sha256
from nnunet_femur.weights.download import problem_reaching

if TYPE_CHECKING:
    from collections.abc import Mapping


VARIABLE = "NNFEMUR_ENCODERS"
"""Environment variable that names another folder for the files."""

HUB_PATTERN = "models--smp-hub--*/snapshots/*/*.safetensors"
"""Files of segmentation-models-pytorch in the cache of the model hub."""

CHECKSUMS = "SHA256SUMS"
"""File with the checksums of the others, in the format of the program ``sha256sum``."""

TIMM_PREFIX = "tu-"
"""Prefix that segmentation-models-pytorch puts before timm's names of encoders."""

_ONLINE_WITHIN_S = 3.0
_HUB_FILE = "model.safetensors"


def encoders_folder(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """Return the folder of this machine for files of encoder weights; it need not exist.

    Args:
        environ: The environment variables.
        home: The user's folder. Default: that of the user of this process.

    Example:
        >>> encoders_folder({"NNFEMUR_ENCODERS": "/data/encoders"})
        PosixPath('/data/encoders')
    """
    named = environ.get(VARIABLE)
    return Path(named).expanduser() if named else (home or Path.home()) / ".nnfemur" / "encoders"


def encoder_places(environ: Mapping[str, str], home: Path) -> list[tuple[Path, str]]:
    """Return folders that may contain encoder weights, each with the pattern of the files in it.

    Args:
        environ: The environment variables.
        home: The user's folder.

    Returns:
        This package's folder, and the cache of the model hub.
    """
    own = encoders_folder(environ, home)
    hub_home = Path(environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface")
    hub = Path(environ.get("HF_HUB_CACHE") or hub_home / "hub")
    return [(own, "*.safetensors"), (own, "*.pth"), (hub, HUB_PATTERN)]


@dataclass(frozen=True)
class WeightsFile:
    """A file of pretrained weights on the model hub.

    Attributes:
        repository: Owner and name on the hub.
        revision: The commit; None for the newest.

    Example:
        >>> WeightsFile("smp-hub/resnet34.imagenet").name
        'resnet34.imagenet.safetensors'
    """

    repository: str
    revision: str | None = None

    @property
    def name(self) -> str:
        """Name of the file in the folder of this machine."""
        return f"{self.repository.rpartition('/')[2]}.safetensors"


def weights_file(encoder: str, weights: str = "imagenet") -> WeightsFile:
    """Return the file with the weights of an encoder.

    Args:
        encoder: A name in :data:`~nnunet_femur.networks.registry.ENCODERS`.
        weights: Name of the weights in segmentation-models-pytorch; for an encoder of timm its tag, or "imagenet" for
            timm's default.

    Raises:
        InputError: The encoder does not exist, or has no such weights (code "invalid-option").
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders as smp_encoders

    from nnunet_femur.networks.registry import find_encoder

    name = find_encoder(encoder).name
    if name.startswith(TIMM_PREFIX):
        model = name.removeprefix(TIMM_PREFIX)
        try:
            config = timm.get_pretrained_cfg(model if weights == "imagenet" else f"{model}.{weights}")
        except RuntimeError:
            config = None
        if config is not None and config.hf_hub_id:
            return WeightsFile(config.hf_hub_id)
        available = sorted(tag.partition(".")[2] for tag in timm.list_pretrained(f"{model}.*"))
    else:
        settings: dict[str, Any] = smp_encoders[name]["pretrained_settings"]
        if weights in settings:
            return WeightsFile(settings[weights]["repo_id"], settings[weights]["revision"])
        available = sorted(settings)
    msg = f"Weights of the encoder {encoder} ({name}) must be one of {', '.join(available) or 'none'}, got {weights!r}."
    raise InputError(msg, code="invalid-option")


def all_weights_files() -> dict[WeightsFile, list[str]]:
    """Return the ImageNet files of all encoders, each with the encoders that use it."""
    from nnunet_femur.networks.registry import ENCODERS

    files: dict[WeightsFile, list[str]] = {}
    for encoder in ENCODERS:
        files.setdefault(weights_file(encoder), []).append(encoder)
    return files


def find_weights_file(encoder: str, weights: str) -> Path:
    """Return the file with the weights of an encoder, from the folder, from the hub's cache, or downloaded to that.

    Args:
        encoder: A name in :data:`~nnunet_femur.networks.registry.ENCODERS`.
        weights: As for :func:`weights_file`.

    Raises:
        SetupError: The file is not on this machine, and the hub cannot be reached; raised within seconds (code
            "no-weights").
        InputError: As :func:`weights_file`.
    """
    file = weights_file(encoder, weights)
    own = encoders_folder() / file.name
    if own.is_file():
        return own
    try:
        return from_hub(file)
    except OSError as error:
        msg = (
            f"The {weights} weights of {encoder} ({file.name}) are neither in {own.parent} nor in the cache of the "
            "model hub, and the hub cannot be reached. On a machine with internet, run nnfemur weights encoders "
            "--download and copy the folder that it prints; then run here: nnfemur weights encoders --from-folder "
            "FOLDER. Or train from random weights: nnfemur plan -d N --no-pretrained "
            '("encoder_weights": null in the femur_recipe of the plans).'
        )
        raise SetupError(msg, code="no-weights") from error


def from_hub(file: WeightsFile) -> Path:
    """Return a file in the hub's cache, after a download if it is not there.

    Args:
        file: The file on the hub.

    Raises:
        OSError: The file is not in the cache, and the hub cannot be reached or refuses it.
    """
    from huggingface_hub import constants, hf_hub_download

    fetch = partial(
        hf_hub_download, file.repository, _HUB_FILE, revision=file.revision, cache_dir=constants.HF_HUB_CACHE
    )
    try:
        return Path(fetch(local_files_only=True))
    except OSError:
        # The hub's client would try for a minute.
        if constants.HF_HUB_OFFLINE or problem_reaching(constants.ENDPOINT, within_s=_ONLINE_WITHIN_S):
            raise
    return Path(fetch(etag_timeout=_ONLINE_WITHIN_S))


def download(folder: Path, *, progress: Progress = SILENT) -> list[Path]:
    """Download the ImageNet weights of all encoders to a folder; existing files stay.

    Args:
        folder: The folder; made if missing.
        progress: Receives the progress.

    Raises:
        SetupError: The hub cannot be reached (code "offline"), or the folder cannot be written ("cannot-write").
    """
    files = list(all_weights_files())
    task = "Encoder weights"
    progress.begin(task, len(files))
    try:
        for done, file in enumerate(files):
            progress.advance(task, done, note=file.name)
            if not (folder / file.name).is_file():
                adopt(_fetched(file), folder / file.name)
        progress.advance(task, len(files))
    finally:
        progress.end(task)
    return [folder / file.name for file in files]


def _fetched(file: WeightsFile) -> Path:
    try:
        return from_hub(file)
    except OSError as error:
        msg = f"{file.repository}: cannot be downloaded from the model hub ({error}). Use a machine with internet."
        raise SetupError(msg, code="offline") from error


def adopt(source: Path, target: Path) -> None:
    """Copy a file of weights to its place, completely or not at all, and record its checksum.

    Args:
        source: The file.
        target: The new file; its folder is made if missing.

    Raises:
        SetupError: The folder cannot be written (code "cannot-write").
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(target) as unfinished:
            shutil.copyfile(source, unfinished)
        sums = {**read_checksums(target.parent), target.name: sha256(target)}
        write_text(target.parent / CHECKSUMS, "".join(f"{value}  {name}\n" for name, value in sorted(sums.items())))
    except OSError as error:
        msg = f"{target}: cannot be written ({error.strerror}). Choose another folder: export {VARIABLE}=FOLDER"
        raise SetupError(msg, code="cannot-write") from error


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the recorded checksums of a folder by name of the file; empty if there are none.

    Args:
        folder: The folder with the files of weights.
    """
    path = folder / CHECKSUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name.lstrip("*"): value for value, name in pairs}
