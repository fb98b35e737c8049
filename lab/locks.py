"""Who holds a lab: at most one running process, by a lock on its directory that ends with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.errors import LabInUseError
from lab.hosts import check_lab_name


def lock(directory: Path) -> int:
    """The descriptor that holds the lab of that directory, until it is closed.

    Raises:
        LabInUseError: when another process holds it.
        FileNotFoundError: when there is no such directory.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LabInUseError(
            f"another process holds the lab {directory.name}; end it, or choose another name for this one"
        ) from error
    return descriptor


def refuse_if_held(directory: Path) -> None:
    """Returns unless a running process holds the lab of that directory, which need not exist.

    Raises:
        LabInUseError: when one does.
    """
    with suppress(FileNotFoundError):
        os.close(lock(directory))


@contextmanager
def claimed(lab: str, root: Path) -> Iterator[None]:
    """Within it no other process makes or holds the lab of that name, as far as it has a directory.

    Raises:
        UnknownNameError: when the name cannot be a lab's.
        LabInUseError: when a running process holds it.
    """
    check_lab_name(lab)
    descriptor: int | None = None
    with suppress(FileNotFoundError):
        descriptor = lock(root.absolute() / lab)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
