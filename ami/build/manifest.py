"""What is in the image: its packages, and a hash of every file. Two builds of one commit have the same."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ami.build.packages import Package


def manifest(root: Path, packages: Iterable[Package]) -> str:
    """The text: the packages, then a line for each path, in the order of their names.

    A line has the path's rights, owner, group and size, then the hash of a file or the target of a link.
    """
    lines = [*(f"package {package}" for package in sorted(packages)), *_files(root)]
    return "\n".join(lines) + "\n"


def _files(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*"), key=lambda path: path.as_posix()):
        info = path.lstat()
        if stat.S_ISREG(info.st_mode):
            with path.open("rb") as stream:
                what = hashlib.file_digest(stream, "sha256").hexdigest()
        elif stat.S_ISLNK(info.st_mode):
            what = f"-> {path.readlink()}"
        else:
            what = "-"
        size = info.st_size if stat.S_ISREG(info.st_mode) else 0
        rights = f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid}"
        yield f"file /{path.relative_to(root)} {rights} {size} {what}"
