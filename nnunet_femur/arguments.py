"""Arguments of the public functions: one value or several, allowed values, and the name that was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from nnunet_femur.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


def several(given: Any) -> tuple[Any, ...]:
    """Return an argument that takes one value or several as a tuple.

    A text is one value: as a sequence it would be taken for its letters.

    Args:
        given: One text or number, an iterable of them, or None for no value.

    Example:
        >>> several("femur"), several(["femur", "hip"]), several(0), several(None)
        (('femur',), ('femur', 'hip'), (0,), ())
    """
    if given is None:
        return ()
    if isinstance(given, str | int):
        return (given,)
    return tuple(given)


def require_one_of(option: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is not one of the choices.

    Args:
        option: Name of the argument in the message.
        value: The value that was given.
        choices: The allowed values.

    Raises:
        InputError: The value is not allowed (code "invalid-option").

    Example:
        >>> require_one_of("preset", "smal", ("default", "small"))
        Traceback (most recent call last):
        ...
        nnunet_femur.errors.InputError: preset must be one of default, small, got 'smal'.
    """
    allowed = tuple(choices)
    if value not in allowed:
        msg = f"{option} must be one of {', '.join(allowed)}, got {value!r}."
        raise InputError(msg, code="invalid-option")


def require_type(option: str, given: object, allowed: type, expected: str) -> None:
    """Refuse an argument of another type.

    Args:
        option: Name of the argument in the message.
        given: The argument.
        allowed: Its type.
        expected: Description of the allowed values, for the message.

    Raises:
        InputError: It is not of this type (code "invalid-option").

    Example:
        >>> require_type("folders", ["out"], dict, "a mapping from names to folders")
        Traceback (most recent call last):
        ...
        nnunet_femur.errors.InputError: folders must be a mapping from names to folders, got list.
    """
    if not isinstance(given, allowed):
        name = "None" if given is None else type(given).__name__
        msg = f"{option} must be {expected}, got {name}."
        raise InputError(msg, code="invalid-option")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name that is nearest to an unknown one, or with all; empty if none is known.

    Args:
        word: The unknown name.
        known: The known names.

    Example:
        >>> suggestion("epoks", ["epochs", "iterations"]), suggestion("x", ["b", "a"])
        (" Did you mean 'epochs'?", ' Known: a, b.')
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(names)}." if names else ""
