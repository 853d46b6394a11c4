"""Load a checkpoint of nnU-Net without running any code that may be in it."""

from __future__ import annotations

import pickle
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

_REFUSED = re.compile(r"GLOBAL ([\w.]*\w)")
"""The name in torch's ways to say that it does not run something."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, all tensors on the CPU, wherever they were saved.

    Beside tensors and plain values only numpy's scalars are allowed, which nnU-Net's logging puts into checkpoints.
    Nothing that the file names is imported or called beyond that.

    Args:
        path: A file that nnU-Net has written, as ``checkpoint_final.pth``.

    Returns:
        nnU-Net's keys: ``network_weights``, ``init_args``, ``trainer_name``, ...

    Raises:
        SetupError: The file is missing, damaged, no checkpoint of nnU-Net, or asks for more than that.
    """
    import torch

    again = "Remove its dataset folder and run: nnfemur weights download"
    if not path.is_file():
        msg = f"{path}: there is no such checkpoint. Run: nnfemur weights download"
        raise SetupError(msg)
    try:
        with torch.serialization.safe_globals(list(_allowed())):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise SetupError(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        msg = f"{path}: cannot be read; it is truncated or no checkpoint ({_first_line(error)}). {again}"
        raise SetupError(msg) from error
    if not isinstance(content, dict) or not isinstance(content.get("network_weights"), dict):
        msg = f"{path}: holds no network_weights, so it is no checkpoint of nnU-Net. {again}"
        raise SetupError(msg)
    return content


@cache
def _allowed() -> tuple[Any, ...]:
    """What numpy's scalars are made of, under the names of numpy 1 and numpy 2."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    types = ("float16", "float32", "float64", "int32", "int64", "bool")
    return (
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        np.dtype,
        *(type(np.dtype(name)) for name in types),
    )


def _refusal(path: Path, message: str) -> str:
    found = _REFUSED.search(message)
    if found is None:
        return f"{path}: is damaged or no checkpoint. Remove its dataset folder and run: nnfemur weights download"
    return (
        f"{path}: asks for {found[1]} to be run, which a checkpoint of nnU-Net has no need of. It was not loaded and "
        "nothing in it was run. Do not use this file; get TotalSegmentator's own: nnfemur weights download"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
