"""Files of studies to begin with."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text
from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = ("template", "paper", "quick", "demo")

_SOURCE = "source: ~/drop"


def preset_text(name: str) -> str:
    """The file of a preset.

    Raises:
        InputError: There is no such preset.
    """
    if name not in PRESETS:
        msg = f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}."
        raise InputError(msg)
    return resources.files("nnunet_femur.study").joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")


def write_preset(file: Path, name: str, *, source: Path | None = None) -> None:
    """Write the file of a preset, to be changed and run.

    Args:
        file: The file to write.
        name: One of :data:`PRESETS`.
        source: CTs and masks to name in it.

    Raises:
        InputError: There is no such preset, it has no place for a source, or the file is there already.
    """
    text = preset_text(name)
    if source is not None and _SOURCE not in text:
        msg = f"The preset {name} makes its own data and takes no source."
        raise InputError(msg)
    if file.exists():
        msg = f"{file}: is there already. Choose another name, or remove it first."
        raise InputError(msg)
    if source is not None:
        import json

        # A path between quotes of JSON is one of YAML, whatever is in it.
        text = text.replace(_SOURCE, f"source: {json.dumps(str(source.expanduser().resolve()), ensure_ascii=False)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
