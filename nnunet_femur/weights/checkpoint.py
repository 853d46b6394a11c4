"""Load a checkpoint of nnU-Net without running any code that it may contain."""

from __future__ import annotations

import pickle
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

_REFUSED = re.compile(r"GLOBAL ([\w.]*\w)")
"""Name of the refused function or class in the messages of torch."""

_AGAIN = "Remove its dataset folder and run: nnfemur weights download"


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, with all tensors on the CPU.

    Besides tensors and plain values only numpy's scalars are allowed, which nnU-Net's logging puts into checkpoints.
    Anything else that the file names is neither imported nor called.

    Args:
        path: A file that nnU-Net has written, such as ``checkpoint_final.pth``.

    Returns:
        nnU-Net's keys: ``network_weights``, ``init_args``, ``trainer_name``, ...

    Raises:
        SetupError: The file is missing (code "no-weights"), damaged or not a checkpoint of nnU-Net ("invalid-weights"),
            or contains code ("unsafe-checkpoint").

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> torch.save({"network_weights": {"layer": torch.zeros(2, 3)}}, "checkpoint_final.pth")
        >>> load_checkpoint(Path("checkpoint_final.pth"))["network_weights"]["layer"].shape
        torch.Size([2, 3])
    """
    import torch

    if not path.is_file():
        msg = f"{path}: checkpoint not found. Run: nnfemur weights download"
        raise SetupError(msg, code="no-weights")
    try:
        with torch.serialization.safe_globals(list(_allowed())):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        msg = f"{path}: cannot be read; it is truncated or not a checkpoint ({_first_line(error)}). {_AGAIN}"
        raise SetupError(msg, code="invalid-weights") from error
    if not isinstance(content, dict) or not isinstance(content.get("network_weights"), dict):
        msg = f"{path}: contains no network_weights, so it is not a checkpoint of nnU-Net. {_AGAIN}"
        raise SetupError(msg, code="invalid-weights")
    return content


@cache
def _allowed() -> tuple[Any, ...]:
    """Return the types that numpy's scalars consist of, under the names of numpy 1 and numpy 2."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    types = ("float16", "float32", "float64", "int32", "int64", "bool")
    return (
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        np.dtype,
        *(type(np.dtype(name)) for name in types),
    )


def _refusal(path: Path, message: str) -> SetupError:
    found = _REFUSED.search(message)
    if found is None:
        return SetupError(f"{path}: damaged, or not a checkpoint. {_AGAIN}", code="invalid-weights")
    msg = (
        f"{path}: contains code besides data: it asks for {found[1]}, which no checkpoint of nnU-Net needs. Nothing in "
        "it was run. Do not use this file. Get TotalSegmentator's own: nnfemur weights download"
    )
    return SetupError(msg, code="unsafe-checkpoint")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
