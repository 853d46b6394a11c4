"""Whether a server can be reached: known within seconds, before something begins that would wait for minutes."""

from __future__ import annotations

import ssl
import threading
import urllib.request
from http.client import HTTPException
from queue import Empty, SimpleQueue
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit


def problem_reaching(address: str, *, within_s: float = 3.0) -> str:
    """Why nothing answers at an address, directly or through the proxy that is set; empty if anything does.

    An error that the server sends is an answer, and so is a certificate that Python does not know: what asks next may
    know better.

    Args:
        address: Of a server, with http or https.
        within_s: Seconds after which there is no answer.
    """
    outcome: SimpleQueue[str] = SimpleQueue()
    # In a thread of its own: looking up a name has no time limit.
    threading.Thread(target=lambda: outcome.put(_problem(address, within_s)), daemon=True).start()
    try:
        problem = outcome.get(timeout=within_s)
    except Empty:
        problem = f"no answer within {within_s:g} seconds"
    return f"there is no way to {_way(address)} from here: {problem}" if problem else ""


def _problem(address: str, within_s: float) -> str:
    try:
        request = urllib.request.Request(address, method="HEAD")  # noqa: S310 - an address of ours or of the hub's
        # Not urlopen, which remembers the proxies of its first call.
        urllib.request.build_opener().open(request, timeout=within_s).close()
    except HTTPError:
        return ""
    except URLError as error:
        return "" if isinstance(error.reason, ssl.SSLError) else _text(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _text(error)
    return ""


def _text(error: BaseException | str) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _way(address: str) -> str:
    """The server's name, with that of the proxy before it."""
    server = urlsplit(address)
    proxy = None if urllib.request.proxy_bypass(server.netloc) else urllib.request.getproxies().get(server.scheme)
    return f"{server.netloc} through the proxy {urlsplit(proxy).netloc or proxy}" if proxy else server.netloc
