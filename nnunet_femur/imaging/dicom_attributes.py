"""Attributes of a DICOM header, converted one by one: a damaged attribute counts as missing."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from nnunet_femur.imaging.geometry import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_PYDICOM = r"pydicom|nnunet_femur\.imaging\.dicom"
_lock = threading.Lock()
_quiet: dict[str, Any] = {"blocks": 0}


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress pydicom's warnings inside the block, because they quote headers.

    The filter stays active while any thread is in such a block. Filters of other modules are not changed.
    """
    with _lock:
        if not _quiet["blocks"]:
            warnings.filterwarnings("ignore", module=_PYDICOM)
            _quiet["filter"] = warnings.filters[0]
        _quiet["blocks"] += 1
    try:
        yield
    finally:
        with _lock:
            _quiet["blocks"] -= 1
            if not _quiet["blocks"]:
                # A test or a notebook may have replaced all filters in the meantime.
                with suppress(ValueError):
                    cast("list[Any]", warnings.filters).remove(_quiet["filter"])


def value(header: Any, name: str) -> Any:
    """Return the value of an attribute; None if it is missing, empty or invalid."""
    if header is None:
        return None
    try:
        found = header.get(name)
    except Exception:  # noqa: BLE001  # pydicom converts a value when it is read
        return None
    return None if found is None or found == "" else found


def text(header: Any, name: str) -> str:
    """Return an attribute as text without surrounding blanks; empty if it is missing."""
    found = value(header, name)
    return str(found).strip() if isinstance(found, str) else ""


def number(header: Any, name: str) -> float | None:
    """Return an attribute as a finite number; None if it is missing or not a number."""
    found = numbers(header, name, 1)
    return found[0] if found else None


def numbers(header: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return an attribute as a tuple of `count` finite numbers; None if it is missing, or anything else."""
    found = value(header, name)
    if found is None:
        return None
    try:
        values = tuple(float(each) for each in ([found] if isinstance(found, (str, int, float)) else found))
    except Exception:  # noqa: BLE001
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def texts(header: Any, name: str) -> list[str]:
    """Return the values of an attribute as texts without surrounding blanks; an empty list if it is missing."""
    found = value(header, name)
    if found is None:
        return []
    try:
        return [str(each).strip() for each in ([found] if isinstance(found, str) else found)]
    except Exception:  # noqa: BLE001
        return []


def items(header: Any, name: str) -> list[Any]:
    """Return the items of a sequence; an empty list if it is missing or damaged."""
    from pydicom.dataset import Dataset

    found = value(header, name)
    try:
        return [item for item in found if isinstance(item, Dataset)] if found is not None else []
    except Exception:  # noqa: BLE001
        return []


def refuse_attribute(path: Path, problem: str, attribute: str) -> VolumeError:
    """Return the error about an attribute that is missing or invalid."""
    remedy = f"Export the series itself from the scanner or PACS, with its {attribute}."
    return VolumeError(path, problem, remedy, code="dicom-attribute")
