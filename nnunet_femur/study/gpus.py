"""Which device networks run on, and which of several GPUs a job gets."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VISIBLE = "CUDA_VISIBLE_DEVICES"


def find_device(wanted: str) -> tuple[str, int]:
    """The device of this machine, and how many of its kind there are.

    Args:
        wanted: "auto", "cpu", "cuda" or "mps".
    """
    if wanted == "cpu" or (wanted == "auto" and shutil.which("nvidia-smi") is None and sys.platform != "darwin"):
        return "cpu", 0
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        wanted = "cuda" if count else "mps" if torch.backends.mps.is_available() else "cpu"
    return wanted, {"cuda": max(count, 1), "mps": 1, "cpu": 0}[wanted]


@contextmanager
def one_gpu(count: int, folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Hold one of a machine's GPUs and give the variable that shows it, and no other, to a command.

    All studies of a machine share the locks, so that two of them do not meet on one GPU. Waits while none is free.

    Args:
        count: GPUs of the machine; with 0, as on a cluster that deals them out itself, nothing is held.
        folder: Where the locks lie; by default the folder for temporary files.
    """
    from filelock import FileLock, Timeout

    if count == 0:
        yield {}
        return
    names = os.environ.get(VISIBLE, ",".join(map(str, range(count)))).split(",")
    while True:
        for name in names:
            lock = FileLock((folder or Path(tempfile.gettempdir())) / f"nnfemur-gpu-{name}.lock", mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            with lock:
                yield {VISIBLE: name}
            return
        time.sleep(1)
