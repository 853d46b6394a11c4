"""Local server of a review page, which saves marks as they are given.

It listens on this machine only. Its addresses contain a random token, and requests from pages of other hosts are
refused, so that no web page in the same browser can read the images or change marks.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from nnunet_femur.errors import FemurError, InputError, SetupError
from nnunet_femur.prediction.review_record import MARKS, RECORD_FILE, Mark, read_marks, write_marks
from nnunet_femur.reviewing.review_page import PAGE_FILE

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
"""Address that the server listens on: this machine."""

_PLACE = '<meta name="review-server" content="">'
_LARGEST_REQUEST_BYTES = 20_000


class ReviewServer:
    """Server of one written review; usable as a context manager, which serves in a thread.

    Args:
        folder: The folder of the masks, with ``review.html`` and ``review.json``.
        port: Port to listen on; 0 for any free one.

    Raises:
        InputError: The folder contains no page (code "not-found").
        SetupError: The port is taken (code "setup").

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> try:
        ...     ReviewServer(Path(tempfile.mkdtemp()))
        ... except InputError as error:
        ...     error.code
        'not-found'
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        if not (folder / PAGE_FILE).is_file():
            msg = f"{folder / PAGE_FILE}: not found. Write it first: nnfemur review {folder}"
            raise InputError(msg, code="not-found")
        self.folder, self.token = folder, secrets.token_urlsafe(16)
        self._shown = _shown_masks((folder / PAGE_FILE).read_text(encoding="utf-8"))
        self._saving = threading.Lock()
        try:
            self._server = _Server((HOST, port), self)
        except (OSError, OverflowError) as error:
            msg = f"port {port}: cannot be opened ({error}). Choose another --port, or 0 for any free one."
            raise SetupError(msg, code="setup") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="review", daemon=True)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self._server.server_address[1]}/{self.token}/"

    def serve(self) -> None:
        """Serve until the process is interrupted."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def __enter__(self) -> Self:
        """Serve in a thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def page(self) -> bytes:
        """Return the page, which sends its marks to this server and shows those that are saved."""
        text = (self.folder / PAGE_FILE).read_text(encoding="utf-8")
        # The page may have been written again.
        self._shown = _shown_masks(text)
        return text.replace(_PLACE, f'<meta name="review-server" content="/{self.token}">', 1).encode()

    def marks(self) -> dict[str, Mark]:
        """Return the saved marks by case."""
        return read_marks(self.folder / RECORD_FILE)

    def mark(self, case: str, mark: str, note: str, mask_sha256: str) -> None:
        """Save the mark of a mask.

        Args:
            case: The case.
            mark: "accept", "correct", "reject", or empty to remove the mark.
            note: Text of the reviewer.
            mask_sha256: Checksum of the mask that the mark is about: the one that the page shows, or that of the saved
                mark, of which only the note changes.

        Raises:
            InputError: The page has no such case, shows another mask, or the mark is unknown (code "invalid-option").
        """
        shown = self._shown.get(case)
        if shown is None or mark not in ("", *MARKS):
            msg = f"case must be one of the page and mark one of {', '.join(MARKS)}, got {case!r} and {mark!r}."
            raise InputError(msg, code="invalid-option")
        with self._saving:
            marks = self.marks()
            saved = marks.get(case)
            if mask_sha256 == shown.mask_sha256:
                new = replace(shown, mark=mark, note=note)
            elif saved is not None and (saved.mark, saved.mask_sha256) == (mark, mask_sha256):
                new = replace(saved, note=note)
            else:
                msg = f"the page shows an earlier mask of {case}. Reload the page, and mark it again."
                raise InputError(msg, code="invalid-option")
            write_marks(self.folder, (marks | {case: new}).values())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Windows would let two servers listen on one port.
    allow_reuse_address = False

    def __init__(self, address: tuple[str, int], review: ReviewServer) -> None:
        self.review = review
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    # A client that sends nothing must not keep a thread.
    timeout = 60

    def do_GET(self) -> None:
        """Answer with the page or the saved marks."""
        review = self.server.review
        if not self._is_own():
            return
        if self.path == f"/{review.token}/":
            self._answer(HTTPStatus.OK, review.page(), "text/html; charset=utf-8")
        elif self.path == f"/{review.token}/{RECORD_FILE}":
            self._answer(HTTPStatus.OK, (review.folder / RECORD_FILE).read_bytes(), "application/json")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"Not found.")

    def do_POST(self) -> None:
        """Save a mark."""
        review = self.server.review
        if not self._is_own():
            return
        length = self.headers.get("Content-Length", "")
        is_json = self.headers.get_content_type() == "application/json"
        if self.path != f"/{review.token}/mark" or not is_json or not length.isdigit():
            self._answer(HTTPStatus.NOT_FOUND, b"Not found.")
            return
        if int(length) > _LARGEST_REQUEST_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"The request is too long.")
            return
        try:
            content = json.loads(self.rfile.read(int(length)))
            review.mark(*(_text(content[name]) for name in ("case", "mark", "note", "mask_sha256")))
        except (ValueError, KeyError, TypeError, InputError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error).encode())
        except (FemurError, OSError) as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, str(error).encode())
        else:
            self._answer(HTTPStatus.NO_CONTENT, b"")

    def _is_own(self) -> bool:
        """Refuse requests to another host name, as after DNS rebinding, or from pages of another origin."""
        own = f"{HOST}:{self.server.server_address[1]}"
        if self.headers.get("Host") == own and self.headers.get("Origin", f"http://{own}") == f"http://{own}":
            return True
        self._answer(HTTPStatus.FORBIDDEN, b"Open the address that nnfemur review printed.")
        return False

    def _answer(self, status: HTTPStatus, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Print nothing: names of cases must not fill the terminal."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("case, mark, note and mask_sha256 must be texts.")  # noqa: EM101
    return value


def _shown_masks(page: str) -> dict[str, Mark]:
    """Return the entry of each case in a page, with the checksum of the mask that it shows."""
    start = '<script type="application/json" id="cases">'
    content = json.loads(page[page.index(start) + len(start) :].partition("</script>")[0])
    return {
        each["case"]: Mark(each["case"], each["mask"], each["shown_sha256"], each["ct"]) for each in content["entries"]
    }
