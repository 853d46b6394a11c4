"""Errors that a user can fix, each with a stable code."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


CODES = {
    "input": "A file, folder or argument cannot be used, for a reason that no other code names.",
    "setup": "The environment is incomplete, for a reason that no other code names.",
    "not-found": "A file or folder does not exist.",
    "unreadable": "A file is damaged, incomplete, or may not be read.",
    "invalid-file": "The content of a file is not of the form that is needed.",
    "invalid-name": "The name of a file or folder cannot be used.",
    "invalid-option": "An argument or option has a value that is not allowed, or does not go with another.",
    "exists": "The place to write to is taken.",
    "edited-by-hand": "The place to write to contains files that were changed or added by hand.",
    "cannot-write": "A file or folder cannot be written.",
    "locked": "Another process is writing the same files.",
    "no-cases": "No CT, mask or case was found.",
    "duplicate-case": "Several files claim to be the same case.",
    "bad-cases": "Cases cannot be used; the findings name each.",
    "too-few-patients": "There are fewer patients than the split needs.",
    "no-dataset": "The dataset does not exist, or is ambiguous.",
    "invalid-dataset": "A dataset lacks files, or its files contradict each other.",
    "invalid-folds": "The folds of a dataset are missing, damaged, or do not fit its cases.",
    "folds-changed": "Networks were trained on other folds than the dataset has now.",
    "no-plans": "The dataset has not been planned, or not with these plans.",
    "inconsistent": "Data, plans and weights were not made for each other.",
    "invalid-recipe": "A recipe has an unknown hyperparameter or an invalid value.",
    "invalid-study": "The file of a study has problems; the message lists them.",
    "no-model": "No trained model was found.",
    "invalid-model": "A trained model is incomplete or damaged, or its labels do not contain a femur.",
    "unsafe-checkpoint": "A checkpoint contains code besides data.",
    "unsafe-archive": "An archive contains links, or paths that lead out of it.",
    "no-weights": "Pretrained weights are missing.",
    "invalid-weights": "Pretrained weights are damaged, or do not fit the network.",
    "offline": "A server cannot be reached.",
    "no-device": "The device does not exist on this machine.",
    "not-installed": "A program or package is missing.",
    "environment": "An environment variable is missing, or names a folder that cannot be used.",
    "no-femur": "No femur was found in a CT.",
    "program-failed": "A program that was started, such as TotalSegmentator, failed or ended unexpectedly.",
    "export-differs": "An exported model predicts another mask than the model that it was made from.",
    "no-reference": "No reference masks were found.",
    "no-predictions": "No predictions were found, or some are missing.",
    "grid-differs": "Two masks differ in shape, spacing or position.",
    "unscorable": "No prediction can be scored.",
    "job-failed": "A job of a study failed; the message names its log.",
    "unsupported": "The input is valid, but is not supported.",
}
"""Meaning of each code of an error. Codes are stable: programs may compare them, messages may change."""


class FemurError(Exception):
    """A problem that the user can fix; the command line prints its message without a traceback.

    Args:
        message: The file or setting, the problem, and the fix.
        code: One of :data:`CODES`, or of a :class:`~nnunet_femur.imaging.geometry.VolumeError` one of the findings'.

    Example:
        >>> try:
        ...     raise InputError("femurs: not found. Check the path.", code="not-found")
        ... except FemurError as error:
        ...     print(error.code, "-", error)
        not-found - femurs: not found. Check the path.
    """

    code: str = "setup"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the code in a copy that comes from a worker process."""
        return _restored, (type(self), str(self), self.code)


def _restored(kind: type[FemurError], message: str, code: str) -> FemurError:
    return kind(message, code=code)


class InputError(FemurError):
    """A file, folder or argument given to the package cannot be used.

    Example:
        >>> import nnunet_femur as nf
        >>> try:
        ...     nf.score("nowhere.nrrd", "reference.nrrd")
        ... except nf.InputError as error:
        ...     error.code
        'not-found'
    """

    code = "input"


class SetupError(FemurError):
    """An environment variable, folder or installed tool that a command needs is missing or wrong.

    Example:
        >>> raise SetupError("nnUNet_raw is not set. Run: nnfemur env", code="environment")
        Traceback (most recent call last):
            ...
        nnunet_femur.errors.SetupError: nnUNet_raw is not set. Run: nnfemur env
    """


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
        """Print a FemurError as one message, other exceptions as before."""
        if isinstance(error, FemurError):
            sys.stderr.write(f"error: {error}\n")
        else:
            others(kind, error, where)

    print_message.prints_femur_errors = True  # type: ignore[attr-defined]
    sys.excepthook = print_message
