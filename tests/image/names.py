"""A name server that knows the names of AWS's SQL servers, all of which are where the test is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dnslib import QTYPE, RCODE, RR, A
from dnslib.server import BaseResolver, DNSServer

from tests.image.guest import GATEWAY

FILE: Final = "/run/systemd/resolved.conf.d/test.conf"
SETTINGS: Final = f"[Resolve]\nDNS={GATEWAY}\nDomains=~.\n"
"""By which a guest asks this server, and no other."""


class _Names(BaseResolver):  # type: ignore[misc]
    def resolve(self, request: Any, handler: Any) -> Any:
        reply = request.reply()
        if str(request.q.qname).rstrip(".").endswith(".rds.amazonaws.com"):
            if request.q.qtype == QTYPE.A:
                reply.add_answer(RR(request.q.qname, QTYPE.A, ttl=5, rdata=A(GATEWAY)))
        else:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


@contextmanager
def serving() -> Iterator[None]:
    """Answer at 127.0.0.1, which is the guest's gateway, until the end."""
    server = DNSServer(_Names(), address="127.0.0.1", port=53)
    server.start_thread()
    try:
        yield
    finally:
        server.server.shutdown()
        server.server.server_close()
