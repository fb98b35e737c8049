"""The programs that a lab's roles start."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Final

from lab.errors import MachineError

PACKAGES: Final[Mapping[str, str]] = {
    "redis-server": "redis-server",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "nginx": "nginx-light",
    "openssl": "openssl",
}
"""The Debian package that each program is in."""

SEARCH_PATH: Final = os.pathsep.join(
    ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
)
"""Where programs are looked for, beside the caller's own path, which may lack the directories of root's."""


def find(name: str) -> str | None:
    """The path of a program, or None when it is not installed."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), SEARCH_PATH)))


def program(name: str) -> str:
    """The path of a program.

    Raises:
        MachineError: when it is not installed; the message says which package it is in.
    """
    path = find(name)
    if path is None:
        raise MachineError(f"the program {name} is missing; install it with apt-get install {PACKAGES[name]}")
    return path


def check(packages: Mapping[str, str] = PACKAGES) -> None:
    """Returns when all the programs are there.

    Raises:
        MachineError: when some are not; the message has the one command that installs them.
    """
    missing = sorted({package for name, package in packages.items() if find(name) is None})
    if missing:
        raise MachineError(f"programs are missing; install them with apt-get install {' '.join(missing)}")
