"""What goes wrong in a user's hands, said so that the user can mend it."""

from __future__ import annotations


class FemurError(Exception):
    """A problem the user can mend; the command line prints its message without a traceback.

    The message names the file or setting, what is wrong with it, and what to do.
    """


class InputError(FemurError):
    """A file or folder given to the package cannot be used."""


class SetupError(FemurError):
    """An environment variable, folder or installed tool that a command needs is missing or wrong."""
