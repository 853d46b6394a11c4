"""TotalSegmentator's downloader in a separate process, with and without internet."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.weights import crop_entry, femur_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

_SERVED = """
import contextlib, pathlib, requests

class Reply:
    def __init__(self, url):
        self.content = (pathlib.Path({folder!r}) / url.rpartition("/")[2]).read_bytes()
        self.headers = {{"content-length": str(len(self.content))}}
    def raise_for_status(self):
        pass
    def iter_content(self, chunk_size):
        yield from (self.content[i:i + chunk_size] for i in range(0, len(self.content), chunk_size))

requests.get = lambda url, stream: contextlib.nullcontext(Reply(url))
"""
"""Replaces the internet in the process of the downloader."""


@pytest.fixture
def proxy() -> Iterator[str]:
    """A proxy that accepts connections and closes them, so that the server seems to be reachable."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _download(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nnunet_femur", "weights", "download"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_offline_ends_with_one_message_before_the_downloader_starts(no_weights: Path) -> None:
    # Nothing answers at this address, which is reserved for documentation.
    ended = _download({"https_proxy": "http://192.0.2.1:3128", "no_proxy": "", "NO_PROXY": ""})
    assert ended.returncode == 1
    assert "--from-zip" in ended.stderr
    assert "192.0.2.1" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not no_weights.exists()


class TestOnline:
    @pytest.fixture
    def environment(self, dummy_weights: Path, proxy: str, tmp_path: Path) -> dict[str, str]:
        served = tmp_path / "served"
        served.mkdir()
        for entry in (femur_entry(), crop_entry()):
            with zipfile.ZipFile(served / f"{entry.dataset}.zip", "w") as file:
                for each in sorted((dummy_weights / entry.dataset).rglob("*")):
                    file.write(each, each.relative_to(dummy_weights))
        (tmp_path / "sitecustomize.py").write_text(_SERVED.format(folder=str(served)))
        return {"https_proxy": proxy, "no_proxy": "", "NO_PROXY": "", "PYTHONPATH": str(tmp_path)}

    def test_brings_the_models_and_draws_progress(self, environment: dict[str, str], no_weights: Path) -> None:
        ended = _download(environment)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines() == [
            str(no_weights / femur_entry().dataset),
            str(no_weights / crop_entry().dataset),
        ]
        assert "Downloading" in ended.stderr
        assert {path.name for path in no_weights.iterdir()} == {femur_entry().dataset, crop_entry().dataset}

    def test_a_broken_download_leaves_no_model(
        self, environment: dict[str, str], no_weights: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "served" / f"{femur_entry().dataset}.zip"
        path.write_bytes(path.read_bytes()[:5000])
        ended = _download(environment)
        assert ended.returncode == 1
        assert "error: " in ended.stderr.splitlines()[-1]
        assert femur_entry().dataset in ended.stderr.splitlines()[-1]
        assert list(no_weights.iterdir()) == []
