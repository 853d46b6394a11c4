"""Download models with TotalSegmentator's own downloader, after a check that its server can be reached."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
import urllib.request
from http.client import HTTPException
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from nnunet_femur.errors import SetupError
from nnunet_femur.weights.install import is_installed, put_in_place, staging
from nnunet_femur.weights.models import crop_entry, femur_entry, weights_folder

if TYPE_CHECKING:
    from pathlib import Path


_SERVER = "https://github.com"
"""Server of TotalSegmentator's releases."""

_SECONDS_TO_CONNECT = 4.0

_DOWNLOADER = "import sys, totalsegmentator.libs as libs; libs.download_pretrained_weights(int(sys.argv[1]))"


def download(*, fast: bool = False) -> list[Path]:
    """Download the model that segments the femur and the model for the crop, unless they are installed.

    TotalSegmentator's downloader runs in a separate process, draws its progress bar on standard error, and works in a
    folder beside the models. An interrupted download leaves nothing that looks like a model, and the downloader cannot
    delete other models.

    Args:
        fast: The 3 mm model instead of the 1.5 mm model.

    Returns:
        The dataset folders in the weights folder.

    Raises:
        SetupError: The server cannot be reached or the download failed (code "offline"), or the weights folder cannot
            be written ("cannot-write").

    Example:
        >>> [folder.name[:10] for folder in download()]
        ['Dataset294', 'Dataset298']
    """
    wanted = (femur_entry(fast=fast), crop_entry())
    missing = [entry for entry in wanted if not is_installed(entry)]
    if missing:
        _require_internet()
    for entry in missing:
        with staging() as staged:
            environment = os.environ | {"TOTALSEG_WEIGHTS_PATH": str(staged)}
            command = [sys.executable, "-c", _DOWNLOADER, str(entry.task_id)]
            ended = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
            if ended.returncode != 0:
                msg = (
                    f"{entry.dataset}: the download failed; the reason is above. Run the same command again, or copy "
                    f"the archive to this machine and run: nnfemur weights download --from-zip {entry.dataset}.zip"
                )
                raise SetupError(msg, code="offline")
            put_in_place(staged, entry)
    return [weights_folder() / entry.dataset for entry in wanted]


def _require_internet() -> None:
    """Check within seconds that the server can be reached; the downloader and look-ups of names have no time limit.

    Raises:
        SetupError: The server cannot be reached.
    """
    problem = problem_reaching(_SERVER, within_s=_SECONDS_TO_CONNECT)
    if problem:
        names = " and ".join(f"{entry.dataset}.zip" for entry in (femur_entry(), crop_entry()))
        msg = (
            f"{problem}. Download {names} from TotalSegmentator's releases on another machine, then run: nnfemur "
            "weights download --from-zip FILE.zip"
        )
        raise SetupError(msg, code="offline")


def problem_reaching(address: str, *, within_s: float = 3.0) -> str:
    """Return the reason why a server cannot be reached, directly or through the proxy that is set; empty if it can.

    Any answer counts: an error that the server sends, and a certificate that Python does not trust, since the client
    that downloads may trust it.

    Args:
        address: Address of the server, with http or https.
        within_s: Time limit of the answer, in seconds.
    """
    outcome: SimpleQueue[str] = SimpleQueue()
    # In a thread, since the look-up of a name has no time limit.
    threading.Thread(target=lambda: outcome.put(_problem(address, within_s)), daemon=True).start()
    try:
        problem = outcome.get(timeout=within_s)
    except Empty:
        problem = f"no answer within {within_s:g} seconds"
    return f"{_way(address)} cannot be reached: {problem}" if problem else ""


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
    """Return the name of a server, and of the proxy if one is set."""
    server = urlsplit(address)
    proxy = None if urllib.request.proxy_bypass(server.netloc) else urllib.request.getproxies().get(server.scheme)
    return f"{server.netloc} through the proxy {urlsplit(proxy).netloc or proxy}" if proxy else server.netloc
