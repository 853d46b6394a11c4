"""A process without network, a home folder to check, and a replacement of TotalSegmentator in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnunet_femur.baselines import worker
from nnunet_femur.baselines import worker_process as process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nnunet_femur.baselines import Settings
    from nnunet_femur.baselines.settings import Job

_BLOCK = """
import pathlib, socket

def _refusing(connect):
    def refuse(self, address):
        # Processes of one program talk through sockets too.
        if self.family == getattr(socket, "AF_UNIX", None):
            return connect(self, address)
        with pathlib.Path({log!r}).open("a") as log:
            log.write(repr(address) + "\\n")
        raise OSError("this test has no network")

    return refuse

def _no_names(*arguments, **_):
    with pathlib.Path({log!r}).open("a") as log:
        log.write(repr(arguments[:2]) + "\\n")
    raise socket.gaierror("this test has no network")

pathlib.Path({loaded!r}).touch()
socket.socket.connect, socket.socket.connect_ex = map(_refusing, (socket.socket.connect, socket.socket.connect_ex))
socket.getaddrinfo = _no_names
"""


@dataclass(frozen=True)
class Cell:
    """Runs `nnfemur` with a home of its own and without network.

    Attributes:
        folder: Where home, log and results are.
        weights: TotalSegmentator's weights folder.
    """

    folder: Path
    weights: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def connections(self) -> list[str]:
        """Addresses that these processes tried to reach."""
        log = self.folder / "connections.txt"
        return log.read_text().splitlines() if log.is_file() else []

    def variables(self) -> dict[str, str]:
        """The environment in which processes find this home and the weights, and no network."""
        block = self.folder / "block"
        block.mkdir(exist_ok=True)
        self.home.mkdir(exist_ok=True)
        names = {"log": str(self.folder / "connections.txt"), "loaded": str(self.folder / "blocked")}
        (block / "sitecustomize.py").write_text(_BLOCK.format(**names))
        return {
            **os.environ,
            "HOME": str(self.home),
            "TOTALSEG_WEIGHTS_PATH": str(self.weights),
            "PYTHONPATH": str(block),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a verb; the variables come on top of the test's own."""
        return subprocess.run(
            [sys.executable, "-m", "nnunet_femur", *arguments],
            env=self.variables() | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def cell(dummy_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Cell:
    return Cell(tmp_path_factory.mktemp("cell"), dummy_weights)


@pytest.fixture
def base(dummy_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnU-Net's folders, and a replacement of TotalSegmentator that calls everything dense the left femur."""
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(dummy_weights))
    for name in ("nnUNet_raw", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(worker, "segment", lambda ct, **_: (ct.hu > 500).astype(np.uint8))

    def in_this_process(jobs: list[Job], settings: Settings, *_: object) -> Iterator[dict[str, Any]]:
        for job in jobs:
            yield {"begins": job.case}
            yield worker._run(job, asdict(settings)).as_dict()

    monkeypatch.setattr(process, "_worker", in_this_process)
    return tmp_path
