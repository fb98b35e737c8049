"""Files and directories of a lab, with the owner and the rights that their readers need."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from lab.errors import MachineError

_SOCKET_PATH_BYTES: Final = 107
"""The longest path of a unix socket (unix(7): sun_path has 108 bytes with its final zero)."""


def make_directory(path: Path, *, user: str | None = None, mode: int = 0o755) -> Path:
    """Makes a directory, and its parents, that belongs to `user`; one that is there is taken over."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if user is not None:
        _give(path, user)
    return path


def write(path: Path, text: str) -> Path:
    """Writes a file that every process of the lab may read."""
    return _write(path, text, 0o644, None)


def write_secret(path: Path, text: str, *, user: str | None = None) -> Path:
    """Writes a file that only `user` (root without one) may read; it is never readable by others."""
    return _write(path, text, 0o600, user)


def check_open(directory: Path) -> None:
    """Returns when every user of this machine can reach what lies below `directory`, or will once it is made.

    Raises:
        MachineError: when Redis and MariaDB, which run under users of their own, could not.
    """
    for path in (directory, *directory.parents):
        if path.is_dir() and not path.stat().st_mode & stat.S_IXOTH:
            raise MachineError(
                f"{path} is closed to other users, and Redis and MariaDB run as such: "
                f"choose another state directory, or open it with `chmod o+x {path}`"
            )


def socket_path(path: Path) -> Path:
    """The path itself, when a unix socket can have it.

    Raises:
        MachineError: when it is too long.
    """
    length = len(os.fsencode(path))
    if length > _SOCKET_PATH_BYTES:
        raise MachineError(
            f"{path} is {length} bytes long and a unix socket's path at most {_SOCKET_PATH_BYTES}: "
            "choose a shorter state directory or lab name"
        )
    return path


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or a note that there are none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def _write(path: Path, text: str, mode: int, user: str | None) -> Path:
    """Writes under another name first, so that a reader finds the whole file or the one before."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    written = Path(name)
    written.chmod(mode)
    if user is not None:
        _give(written, user)
    return written.replace(path)


def _give(path: Path, user: str) -> None:
    try:
        shutil.chown(path, user, user)
    except LookupError:
        raise MachineError(
            f"this machine has no user {user}: install the Debian package that makes it "
            "(redis-server, mariadb-server or nginx)"
        ) from None
