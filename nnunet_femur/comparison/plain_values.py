"""Values of records as text, for method cards and the supplement."""

from __future__ import annotations

from typing import Any


def plain(value: Any, *, words: str = ", ", numbers: str = ", ") -> str:
    """Return a value of a record as text.

    Args:
        value: The value, as JSON content.
        words: Text between the items of a list that contains a string.
        numbers: Text between the items of other lists.

    Example:
        >>> plain([True, None, 0.5]), plain([64, 64], numbers=" × "), plain(["axial", "sagittal"], words="/")
        ('yes, none, 0.5', '64 × 64', 'axial/sagittal')
    """
    if isinstance(value, list):
        between = words if any(isinstance(each, str) for each in value) else numbers
        return between.join(plain(each, words=words, numbers=numbers) for each in value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
