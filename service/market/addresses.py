"""Whom a connection comes from, as far as this process can know."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

HEADER: Final = "X-Real-IP"
"""Set by nginx to the client's address, whatever the client sent; nobody else reaches the unix socket."""

IPV6_PREFIX: Final = 64
"""What one subscriber of IPv6 is given at least (RFC 6177): it is counted as one address."""


def client_address(transport: asyncio.BaseTransport | None, told: Sequence[str]) -> str | None:
    """The client's address, an IPv6 one as its network; None when nobody says it.

    Args:
        transport: its connection.
        told: the values of the request's headers named `HEADER`, which are believed on a unix socket only:
            there it is nginx that speaks.
    """
    if transport is None:
        return None
    if not is_proxied(transport):
        peer = transport.get_extra_info("peername")
        return normalized(str(peer[0])) if peer else None
    return normalized(told[-1]) if told else None


def is_proxied(transport: asyncio.BaseTransport | None) -> bool:
    """Whether it is nginx that speaks, which alone reaches the unix socket."""
    if transport is None:
        return False
    connected = transport.get_extra_info("socket")
    return connected is None or connected.family == socket.AF_UNIX


def normalized(text: str) -> str | None:
    """An address as it is counted; None when it is none."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX), strict=False))
    return str(address)
