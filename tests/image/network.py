"""The network that the tests of the image run in: a namespace of their own, without a way out."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from typing import Final

from tests.image.metadata import ADDRESS

_CLONE_NEWNET: Final = 0x40000000
_libc: Final = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """Move this thread, and what it starts from now on, to a new namespace.

    Test processes that run side by side each have their own: the same ports and addresses lead to their own
    machines.
    """
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def prepare() -> str | None:
    """Bring the namespace's loopback up, with the metadata service's address on it; why not, when it cannot.

    The guest's packets leave from this namespace, so that what listens here at 169.254.169.254 is what it
    finds there. The address is never put on a machine's own network.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        return "run these tests by `make test-image`, which gives them a network of their own"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    add_address(ADDRESS)
    return None


def add_address(address: str) -> None:
    """Give this namespace an address that a guest finds by routing, as it finds a machine of its stack."""
    subprocess.run(["ip", "addr", "replace", f"{address}/32", "dev", "lo"], check=True, timeout=10)
