"""Presets: files of studies to start from."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError

PRESETS = ("template", "paper", "quick", "demo")
"""Names of the presets: every option explained, the study's fourteen methods, a first comparison, and phantoms."""

_SOURCE = "source: ~/source"


def preset_text(name: str) -> str:
    """Return the text of a preset, which is YAML.

    Args:
        name: One of :data:`PRESETS`.

    Raises:
        InputError: The preset does not exist (code "invalid-option").

    Example:
        >>> "FemurScratchTrainer" in preset_text("demo")
        True
    """
    if name not in PRESETS:
        msg = f"preset must be one of {', '.join(PRESETS)}, got {name!r}."
        raise InputError(msg, code="invalid-option")
    return resources.files("nnunet_femur.study").joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")


def write_preset(file: str | Path, name: str, *, source: str | Path | None = None) -> None:
    """Write the file of a preset, to change and run.

    Args:
        file: The file to write.
        name: One of :data:`PRESETS`.
        source: Folder or table of CTs and masks to name in the file.

    Raises:
        InputError: The preset does not exist or takes no source (code "invalid-option"), or the file exists (code
            "exists").

    Example:
        >>> write_preset("femur.yaml", "quick", source="drop")
    """
    path, text = Path(file), preset_text(name)
    if source is not None and _SOURCE not in text:
        msg = f"The preset {name} makes its own data. Remove the source, or choose another preset."
        raise InputError(msg, code="invalid-option")
    if path.exists():
        msg = f"{path}: exists already. Choose another name, or remove the file."
        raise InputError(msg, code="exists")
    if source is not None:
        # A JSON string is a YAML string too, whatever characters the path contains.
        text = text.replace(
            _SOURCE, f"source: {json.dumps(str(Path(source).expanduser().resolve()), ensure_ascii=False)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
