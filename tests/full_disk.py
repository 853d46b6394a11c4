"""Simulate a full disk."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_file_size_limit = pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to simulate a full disk")


@contextmanager
def full_disk(*, after_bytes: int) -> Iterator[None]:
    """Let writing fail after so many bytes of a file."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
