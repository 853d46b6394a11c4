"""Errors that a user can fix."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class FemurError(Exception):
    """A problem that the user can fix; the command line prints its message without a traceback.

    The message names the file or setting, the problem, and the fix.
    """


class InputError(FemurError):
    """A file or folder given to the package cannot be used."""


class SetupError(FemurError):
    """An environment variable, folder or installed tool that a command needs is missing or wrong."""


@contextmanager
def ending_without_traceback() -> Iterator[None]:
    """Print the message alone, status 1, of a FemurError that leaves this block and is caught by nothing.

    For code that runs inside commands of others, as trainers do in ``nnUNetv2_train``. The error is an ordinary
    exception, which callers can catch; if it ends the process, its message is the last line instead of a traceback.
    """
    try:
        yield
    except FemurError:
        _shorten_uncaught()
        raise


def _shorten_uncaught() -> None:
    """Replace the interpreter's printing of uncaught exceptions, once, for FemurErrors only."""
    if getattr(sys.excepthook, "prints_femur_errors", False):
        return
    others = sys.excepthook

    def print_message(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        if isinstance(error, FemurError):
            sys.stderr.write(f"error: {error}\n")
        else:
            others(kind, error, where)

    print_message.prints_femur_errors = True  # type: ignore[attr-defined]
    sys.excepthook = print_message
