"""Other programs end with this one."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from nnunet_femur import processes
from nnunet_femur.processes import running

if TYPE_CHECKING:
    import pytest


def test_output_and_status_are_told() -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); raise SystemExit(3)"
    with running([sys.executable, "-c", code], os.environ) as process:
        lines = list(process.stdout or ())
    assert lines == ["out\n", "err\n"]
    assert process.returncode == 3


def test_one_that_does_not_want_to_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE_S", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    )
    start = time.monotonic()
    with suppress(KeyboardInterrupt), running([sys.executable, "-c", stubborn], os.environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        raise KeyboardInterrupt
    assert process.returncode != 0
    assert time.monotonic() - start < 30
