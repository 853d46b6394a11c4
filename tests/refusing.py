"""Expect errors by their codes, and messages by the files and values that they name, not by their prose."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.errors import FemurError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def refused(code: str, *named: object) -> Iterator[pytest.ExceptionInfo[FemurError]]:
    """Expect a FemurError with this code, whose message contains these files, cases, options or values.

    Example:
        >>> with refused("not-found", "source"):
        ...     raise FemurError("source: not found. Check the path.", code="not-found")
    """
    with pytest.raises(FemurError) as caught:
        yield caught
    assert caught.value.code == code, f"{caught.value.code}: {caught.value}"
    for each in named:
        assert str(each) in str(caught.value)


def names(text: str, *named: object) -> bool:
    """Compare a message by the files, cases, options and values that it must contain, not by its prose.

    Example:
        >>> names("Fold 2 lacks 1 of 3 predictions: L7.", "1 of 3", "L7")
        True
    """
    return all(str(each) in text for each in named)
