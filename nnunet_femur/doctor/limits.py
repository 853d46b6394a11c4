"""What a container or a scheduler leaves of a machine, from the files of Linux control groups."""

from __future__ import annotations

import math

_UNLIMITED = 1 << 60
"""Version 1 of control groups writes a number like this where there is no limit."""


def cpus_of_quota(version_2: str | None, quota_us: str | None, period_us: str | None) -> int | None:
    """The number of CPUs that a control group may use, rounded up; None without a limit.

    Args:
        version_2: Content of ``cpu.max``: quota and period, or "max" and period.
        quota_us: Content of version 1's ``cpu.cfs_quota_us``; -1 without a limit.
        period_us: Content of version 1's ``cpu.cfs_period_us``.
    """
    if version_2 is not None:
        quota_us, _, period_us = version_2.strip().partition(" ")
    try:
        quota, period = int(quota_us or ""), int(period_us or "")
    except ValueError:
        return None
    return max(1, math.ceil(quota / period)) if quota > 0 and period > 0 else None


def bytes_of_limit(version_2: str | None, version_1: str | None) -> int | None:
    """The memory that a control group may use in bytes; None without a limit.

    Args:
        version_2: Content of ``memory.max``: a number or "max".
        version_1: Content of ``memory.limit_in_bytes``.
    """
    for text in (version_2, version_1):
        if text is not None and text.strip().isdecimal() and int(text) < _UNLIMITED:
            return int(text)
    return None
