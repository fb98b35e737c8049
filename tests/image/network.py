"""The network that the tests of the image run in: a namespace of their own, without a way out."""

from __future__ import annotations

import socket
import subprocess

from tests.image.metadata import ADDRESS


def prepare() -> str | None:
    """Bring the namespace's loopback up, with the metadata service's address on it; why not, when it cannot.

    The guest's packets leave from this namespace, so that what listens here at 169.254.169.254 is what it
    finds there. The address is never put on a machine's own network.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        return "run these tests by `make test-image`, which gives them a network of their own"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    subprocess.run(["ip", "addr", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True, timeout=10)
    return None
