"""Where files of encoder weights may lie on a machine; known without loading a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
