"""What goes wrong in a user's hands, said so that the user can mend it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class FemurError(Exception):
    """A problem the user can mend; the command line prints its message without a traceback.

    The message names the file or setting, what is wrong with it, and what to do.
    """


class InputError(FemurError):
    """A file or folder given to the package cannot be used."""


class SetupError(FemurError):
    """An environment variable, folder or installed tool that a command needs is missing or wrong."""


@contextmanager
def ending_without_traceback() -> Iterator[None]:
    """End the process with the message of a mendable problem, status 1; for scripts and nnU-Net's own commands."""
    try:
        yield
    except FemurError as error:
        message = f"error: {error}"
        raise SystemExit(message) from None
