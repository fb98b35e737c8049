"""The authorities of AWS's SQL servers: only AWS can deliver them, so they come when a machine needs them."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable
from typing import Final

from ami.errors import AmiError
from ami.node.paths import SQL_AUTHORITIES
from ami.node.system import Disk, File

URL: Final = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
"""Source: the Amazon RDS user guide, "Using SSL/TLS to encrypt a connection to a DB instance"."""

TIMEOUT_S: Final = 20
MOST_BYTES: Final = 4 << 20


class SqlAuthoritiesError(AmiError):
    """The authorities are not on the machine and could not be fetched."""


def fetch() -> str:
    """The bundle, from AWS over TLS with the system's own authorities.

    Raises:
        OSError: when it cannot be fetched.
    """
    with urllib.request.urlopen(URL, timeout=TIMEOUT_S) as answer:
        return str(answer.read(MOST_BYTES).decode("ascii"))


def ensure(disk: Disk, fetch: Callable[[], str] = fetch) -> None:
    """Fetch the bundle unless it is there.

    Raises:
        SqlAuthoritiesError: when it cannot be had, or is none: without it AWS's SQL servers are not trusted.
    """
    path = disk.at(SQL_AUTHORITIES)
    if path.exists():
        return
    try:
        text = fetch()
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        raise SqlAuthoritiesError(
            f"the authorities of AWS's SQL servers are not on this machine and cannot be fetched from {URL}:"
            f" {error}; without them no SQL server is trusted: give the machine a way there"
        ) from error
    disk.write(File(SQL_AUTHORITIES, text))
