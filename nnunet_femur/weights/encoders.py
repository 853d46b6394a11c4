"""Files of pretrained encoder weights: where they are, and how to bring them to a machine without internet."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
from segmentation_models_pytorch.encoders import encoders as smp_encoders

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.networks.registry import ENCODERS, find_encoder
from nnunet_femur.records import sha256
from nnunet_femur.weights.download import problem_reaching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


VARIABLE = "NNFEMUR_ENCODERS"
"""The environment variable that names another folder for the files."""

HUB_PATTERN = "models--smp-hub--*/snapshots/*/*.safetensors"
"""Files of segmentation-models-pytorch in the model hub's cache."""


def encoders_folder(environ: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """The folder of this machine for files of encoder weights; it need not exist.

    Args:
        environ: The environment variables.
        home: The user's folder; None for the one of whoever runs this.
    """
    named = environ.get(VARIABLE)
    return Path(named).expanduser() if named else (home or Path.home()) / ".nnfemur" / "encoders"


def encoder_places(environ: Mapping[str, str], home: Path) -> list[tuple[Path, str]]:
    """Folders that may hold encoder weights, with the pattern of the files in them: ours, and the model hub's cache.

    Args:
        environ: The environment variables.
        home: The user's folder.
    """
    own = encoders_folder(environ, home)
    hub_home = Path(environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface")
    hub = Path(environ.get("HF_HUB_CACHE") or hub_home / "hub")
    return [(own, "*.safetensors"), (own, "*.pth"), (hub, HUB_PATTERN)]


CHECKSUMS = "SHA256SUMS"
"""Checksums of the files, as the tool ``sha256sum`` writes and checks them."""

TIMM_PREFIX = "tu-"

_ONLINE_WITHIN_S = 3.0
_HUB_FILE = "model.safetensors"


@dataclass(frozen=True)
class WeightsFile:
    """A file of pretrained weights on the model hub.

    Attributes:
        repository: Owner and name on the hub.
        revision: The commit; None for the newest.
    """

    repository: str
    revision: str | None = None

    @property
    def name(self) -> str:
        """The file's name in the folder of this machine."""
        return f"{self.repository.rpartition('/')[2]}.safetensors"


def weights_file(encoder: str, weights: str = "imagenet") -> WeightsFile:
    """Which file holds these weights of an encoder.

    Args:
        encoder: A name in :data:`~nnunet_femur.networks.registry.ENCODERS`.
        weights: Name of the weights in segmentation-models-pytorch; for an encoder of timm its tag, or "imagenet" for
            timm's default.

    Raises:
        InputError: There is no such encoder, or it has no such weights.
    """
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
    msg = f"The encoder {encoder} ({name}) has no weights {weights!r}; it has {', '.join(available) or 'none'}."
    raise InputError(msg)


def all_weights_files() -> dict[WeightsFile, list[str]]:
    """The ImageNet files of all encoders, each with the encoders that use it."""
    files: dict[WeightsFile, list[str]] = {}
    for encoder in ENCODERS:
        files.setdefault(weights_file(encoder), []).append(encoder)
    return files


def find_weights_file(encoder: str, weights: str) -> Path:
    """The file of these weights: in the folder, else in the hub's cache, else downloaded into that.

    Raises:
        SetupError: It is not on this machine and there is no way to the hub; said within seconds.
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
            f"The {weights} weights of {encoder} ({file.name}) are neither in {own.parent} nor in the model hub's "
            "cache, and the hub cannot be reached. Where there is internet run nnfemur weights encoders --download and "
            "copy the folder that it prints; here run: nnfemur weights encoders --from-folder FOLDER. Or train from "
            'random weights: nnfemur plan -d N --no-pretrained ("encoder_weights": null in the plans\' femur_recipe).'
        )
        raise SetupError(msg) from error


def from_hub(file: WeightsFile) -> Path:
    """The file in the hub's cache, downloaded if it is not there yet.

    Raises:
        OSError: It is not in the cache, and the hub cannot be reached or does not give it.
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


def download(folder: Path, *, on_file: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Bring the ImageNet weights of all encoders from the hub into a folder; files that are there stay.

    Args:
        folder: The folder, made if missing.
        on_file: Told the name of each file before it is fetched.

    Raises:
        SetupError: The hub cannot be reached, or the folder cannot be written.
    """
    written = []
    for file in all_weights_files():
        target = folder / file.name
        if not target.is_file():
            on_file(file.name)
            try:
                source = from_hub(file)
            except OSError as error:
                msg = f"{file.repository}: the model hub does not give it ({error}). Run this where there is internet."
                raise SetupError(msg) from error
            adopt(source, target)
        written.append(target)
    return written


def adopt(source: Path, target: Path) -> None:
    """Copy a file of weights to its place, whole or not at all, and note its checksum.

    Raises:
        SetupError: The folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(target) as unfinished:
            shutil.copyfile(source, unfinished)
        sums = {**read_checksums(target.parent), target.name: sha256(target)}
        write_text(target.parent / CHECKSUMS, "".join(f"{value}  {name}\n" for name, value in sorted(sums.items())))
    except OSError as error:
        msg = f"{target}: cannot be written ({error.strerror}). Name another folder: export {VARIABLE}=FOLDER"
        raise SetupError(msg) from error


def read_checksums(folder: Path) -> dict[str, str]:
    """The checksums that a folder notes, by the name of the file; empty if it notes none."""
    path = folder / CHECKSUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {name.lstrip("*"): value for value, name in pairs}
