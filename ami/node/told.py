"""What the boot was told, for the machine's companions."""

from __future__ import annotations

from ami.node.document import Document, DocumentError, decode
from ami.node.paths import DOCUMENT


def told() -> Document:
    """The document that the boot has kept.

    Raises:
        DocumentError: when the machine has not booted.
    """
    try:
        return decode(DOCUMENT.read_bytes())
    except OSError as error:
        raise DocumentError(
            f"{DOCUMENT}: {error.strerror}; the boot writes it: see `journalctl -u isochrone-boot`"
        ) from error
