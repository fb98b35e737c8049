"""The HTTP server on the private side: `/metrics`, and `/targets` where the machine lists the others."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from ami.errors import AmiError
from ami.node.reporter.errors import ReporterError

_log = logging.getLogger(__name__)

MOST_REQUESTS: Final = 16
"""At a time; more are closed unanswered."""

REQUEST_S: Final = 5.0
"""How long a client may take to ask, and to read a part of the answer."""

_METADATA: Final = ("169.254.169.254", 80)
"""Where the route to leads over the interface that the machine was started with; nothing is sent."""


@dataclass(frozen=True)
class Page:
    """What is answered at a path."""

    content_type: str
    body: Callable[[], bytes]


def private_address() -> str:
    """The machine's own private address.

    Raises:
        ReporterError: when it has none yet.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_METADATA)
            return checked_address(probe.getsockname()[0])
    except OSError as error:
        raise ReporterError(
            f"this machine has no address yet: {error.strerror}; is the network up?"
        ) from error


def checked_address(address: str) -> str:
    """An address on which the figures may be answered: one of this machine that the world cannot reach.

    Raises:
        ReporterError: when it is none.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ReporterError(f"{address!r} is no address; give the machine's private one") from None
    if parsed.is_unspecified or parsed.is_multicast or not parsed.is_private:
        raise ReporterError(
            f"figures are not answered at {address}, which the world may reach;"
            " give the machine's private address"
        )
    return address


class Server(ThreadingHTTPServer):
    """Answers pages; its threads end with the process.

    Args:
        address: the private address to listen at, and nothing else.
        port: the port there; 0 for any.
        pages: by their paths.

    Raises:
        ReporterError: when the address is not private, or nothing can listen there.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = MOST_REQUESTS

    def __init__(self, address: str, port: int, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        if ":" in address:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((checked_address(address), port), _Handler)
        except OSError as error:
            raise ReporterError(
                f"cannot answer at {address}:{port}: {error.strerror}; is there another reporter?"
            ) from error

    def start(self) -> None:
        """Answer from now on, in a thread that ends with the process."""
        threading.Thread(target=self.serve_forever, name="server", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """See `socketserver`: a request above the limit is closed."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See `socketserver`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """See `socketserver`: a client that goes away is nothing to log."""
        _log.debug("a request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "isochrone-reporter"
    sys_version = ""
    timeout = REQUEST_S

    def do_GET(self) -> None:
        """Answer a page."""
        page = self.server.pages.get(urlsplit(self.path).path)
        if page is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there is /metrics\n")
            return
        try:
            body = page.body()
        except AmiError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode())
        except Exception:
            _log.exception("cannot answer %s", self.path)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"see the log of the reporter\n")
        else:
            self._answer(HTTPStatus.OK, page.content_type, body)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Requests are not logged."""
