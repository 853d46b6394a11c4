"""Collect the warnings of ITK while one file is read, per thread.

ITK has one logger for the whole process. The logger that is installed here passes each warning to the block of the
thread that raised it. Warnings of other threads go to the logger that was installed before.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnunet_femur.kinds import finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nnunet_femur.findings import Finding

_SOURCE = re.compile(r"WARNING: In \S*?(\w+)\.[a-z]+, line (\d+)")
_lock = threading.Lock()
_collected = threading.local()
_installed: dict[str, Any] = {"blocks": 0}


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the warnings of ITK in this thread inside the block, instead of printing them.

    The texts may quote a header, so they must not be part of a message: see :func:`warning_findings`.
    """
    before = getattr(_collected, "texts", None)
    texts: list[str] = []
    _collected.texts = texts
    _install()
    try:
        yield texts
    finally:
        _uninstall()
        _collected.texts = before


def warning_findings(texts: Sequence[str], path: Path) -> tuple[Finding, ...]:
    """Return one finding for each place in ITK's code that warned; it names the place and does not quote the header."""
    places = dict.fromkeys(_place(text) for text in texts)
    return tuple(finding("reader-warning", path, f"caused a warning of ITK ({place}).") for place in places if place)


def _place(text: str) -> str:
    match = _SOURCE.search(text)
    return f"{match[1]}, line {match[2]}" if match else ""


def _install() -> None:
    import SimpleITK as sitk

    with _lock:
        _installed["blocks"] += 1
        if _installed["blocks"] > 1:
            return
        logger = _logger()
        _installed["display"] = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.GlobalWarningDisplayOn()
        _installed["before"] = logger.SetAsGlobalITKLogger()


def _uninstall() -> None:
    import SimpleITK as sitk

    with _lock:
        _installed["blocks"] -= 1
        if _installed["blocks"]:
            return
        _installed["before"].SetAsGlobalITKLogger()
        sitk.ProcessObject.SetGlobalWarningDisplay(_installed["display"])


def _logger() -> Any:
    """Return the one logger of this process. Its class needs SimpleITK, so it is created at the first read."""
    import SimpleITK as sitk

    if "logger" in _installed:
        return _installed["logger"]

    class ThreadLogger(sitk.LoggerBase):
        """Passes each text to the block of its thread, or to the previous logger."""

        def _take(self, text: str, display: str) -> None:
            texts = getattr(_collected, "texts", None)
            if texts is not None:
                texts.append(text)
            elif _installed["display"]:
                getattr(_installed["before"], display)(text)

        def DisplayText(self, text: str) -> None:  # noqa: N802  # ITK's names
            """Take a text without a level."""
            self._take(text, "DisplayText")

        def DisplayErrorText(self, text: str) -> None:  # noqa: N802
            """Take an error."""
            self._take(text, "DisplayErrorText")

        def DisplayWarningText(self, text: str) -> None:  # noqa: N802
            """Take a warning."""
            self._take(text, "DisplayWarningText")

        def DisplayGenericOutputText(self, text: str) -> None:  # noqa: N802
            """Take a message."""
            self._take(text, "DisplayGenericOutputText")

        def DisplayDebugText(self, text: str) -> None:  # noqa: N802
            """Take a debugging message."""
            self._take(text, "DisplayDebugText")

    return _installed.setdefault("logger", ThreadLogger())
