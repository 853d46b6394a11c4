"""Expect an error by its code, and by the files and values that it names, not by its prose."""

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
