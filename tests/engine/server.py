"""A moto server on loopback, on a port of its own, that takes CBOR where the provider speaks it.

moto reads the environment when it is imported, which is with this module.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final
from urllib.request import Request, urlopen

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.engine.rpc_cbor import front

_WRITE_BUFFER_BYTES: Final = 64 * 1024


class _Handler(MotoRequestHandler):
    """Sends an answer's head and body at once.

    The provider's SDK closes what it has sent as soon as it has the head, and where Go has not yet looked
    for the end of that, the connection breaks under the body. A request that made something is then sent
    again, and "already exists" is the answer. It takes a server as near as this one to meet it.
    """

    wbufsize = _WRITE_BUFFER_BYTES


@contextmanager
def serving() -> Iterator[str]:
    """The address of the server, which is empty."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(
        "127.0.0.1",
        0,
        front(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=_Handler,
    )
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.port}"
    try:
        _reset(endpoint)
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _reset(endpoint: str) -> None:
    """Empties the server, whose data are those of the process."""
    request = Request(f"{endpoint}/moto-api/reset", method="POST")  # noqa: S310
    urlopen(request, timeout=30).close()  # noqa: S310
