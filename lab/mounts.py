"""Small disks: memory that is mounted below a lab's state directory and fills up as a disk does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from lab.errors import WorldError

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_TIMEOUT_S: Final = 30.0


def mount_small(path: Path, size_mib: int, *, user: str, mode: int = 0o750) -> Path:
    """Mounts a file system of that size on a directory that is there, for `user`.

    Raises:
        WorldError: when it cannot be mounted.
    """
    options = f"size={size_mib}m,mode={mode:o}"
    _run(["mount", "-t", "tmpfs", "-o", options, "isochrone", str(path)], f"cannot mount {path}")
    shutil.chown(path, user, user)
    return path


def below(directory: Path) -> list[Path]:
    """What is mounted below a directory, the innermost first."""
    points = []
    for line in _MOUNTINFO.read_text(encoding="utf-8").splitlines():
        # proc(5): the fifth field, with white space as octal escapes.
        path = Path(line.split(" ")[4].encode("latin-1", "replace").decode("unicode_escape"))
        if path.is_relative_to(directory):
            points.append(path)
    return sorted(points, key=lambda path: len(path.parts), reverse=True)


def unmount_below(directory: Path) -> None:
    """Unmounts all that is mounted below a directory.

    Raises:
        WorldError: when something of it cannot be unmounted.
    """
    for path in below(directory):
        _run(["umount", str(path)], f"cannot unmount {path}")


def _run(command: list[str], failure: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, start_new_session=True
    )
    if done.returncode != 0:
        raise WorldError(f"{failure}: {done.stderr.strip()}")
