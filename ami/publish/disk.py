"""The disk that is published: opened for one publication at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ami.publish.errors import PublishError


@contextmanager
def opened(disk: Path) -> Iterator[tuple[int, int]]:
    """A disk's file descriptor, with the disk's size in bytes; no other publication has it meanwhile.

    Raises:
        PublishError: when it is no disk or is being published.
    """
    try:
        fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PublishError(f"there is no disk {disk}; `make image` builds it") from error
    except OSError as error:
        raise PublishError(f"{disk} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise PublishError(f"{disk} is not a file; name the raw disk image that `make image` builds")
        if not status.st_size:
            raise PublishError(f"{disk} is empty; `make image` builds a disk")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublishError(f"{disk} is being published by another run; wait until it ends") from error
        yield fd, status.st_size
    finally:
        os.close(fd)
