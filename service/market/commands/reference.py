"""The protocol, printed."""

from __future__ import annotations

import sys

from market import reference as protocol_reference


def reference() -> None:
    """Print the reference of the protocol as Markdown: messages, numbers, routes."""
    sys.stdout.write(protocol_reference.text())
