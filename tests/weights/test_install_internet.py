"""Servers that can and cannot be reached."""

from __future__ import annotations

import http.server
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.weights.install import problem_reaching
from tests.refusing import names

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Refuses all requests."""

    def do_HEAD(self) -> None:
        self.send_error(404)

    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_an_error_is_an_answer(server: str) -> None:
    assert problem_reaching(f"http://{server}") == ""


def test_a_server_without_tls_can_be_reached(server: str) -> None:
    assert problem_reaching(f"https://{server}") == ""


def test_a_closed_port_is_named() -> None:
    problem = problem_reaching("http://127.0.0.1:9")
    assert problem.startswith("127.0.0.1:9 ")
    assert "Connection refused" in problem


def test_silence_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        problem = problem_reaching(f"http://{server}", within_s=0.3)
    # The time limit of the connection or of the thread, whichever ends first.
    assert problem.startswith(f"{server} ")


def test_a_proxy_that_refuses_is_named(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://{server}")
    problem = problem_reaching("https://example.org")
    assert names(problem, "example.org", server, 403)


def test_an_invalid_address() -> None:
    assert names(problem_reaching("example.org"), "example.org", "url")
