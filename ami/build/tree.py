"""The root tree of the image: debootstrap, the files of `ami/rootfs`, and the steps of `ami/provision`."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.build.packages import RELEASE, Package, Source, deb822
from ami.build.shell import run

PROVISION: Final = Path(__file__).parent.parent / "provision"
ROOTFS: Final = Path(__file__).parent.parent / "rootfs"
VALIDATE: Final = Path(__file__).parent.parent / "validate.sh"

_IN_CHROOT: Final = Path(__file__).with_name("in-chroot.sh")
_EXECUTABLE: Final = 0o111


@dataclass(frozen=True)
class Tree:
    """The root tree under construction.

    Args:
        root: the tree.
        log: where the programs' output goes.
        epoch: the time that no file is newer than (s since 1970).
    """

    root: Path
    log: Path
    epoch: int

    def bootstrap(self, repository: Path) -> None:
        """Make the tree anew with the packages that every Debian has."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        run(
            [
                *("debootstrap", "--variant=minbase", "--no-check-gpg", "--arch=amd64", "--merged-usr"),
                *(RELEASE, self.root, f"file://{repository}"),
            ],
            log=self.log,
            env=self._env,
        )

    def overlay(self, sources: Iterable[Source]) -> None:
        """Put the files of `ami/rootfs` in place, and say where updates come from.

        Git keeps no rights but the executable one: what may be executed is 0755, the rest 0644.
        """
        for source in sorted(ROOTFS.rglob("*")):
            target = self.root / source.relative_to(ROOTFS)
            if source.is_symlink():
                target.unlink(missing_ok=True)
                target.symlink_to(source.readlink())
            elif source.is_dir():
                target.mkdir(exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                target.chmod(0o755 if source.stat().st_mode & _EXECUTABLE else 0o644)
        listed = self.root / "etc/apt/sources.list.d"
        listed.mkdir(parents=True, exist_ok=True)
        (self.root / "etc/apt/sources.list").unlink(missing_ok=True)
        (listed / "debian.sources").write_text(deb822(sources))

    def provision(
        self, repository: Path, wheels: Path, packages: Iterable[Package], clock: dict[str, float]
    ) -> None:
        """Run the provisioning steps in order, each in the tree, with repository and wheels at hand."""
        words = " ".join(str(package) for package in packages)
        for step in sorted(PROVISION.glob("[0-9]*.sh")):
            began = time.monotonic()
            run(
                [
                    *("unshare", "--mount", "--pid", "--ipc", "--net", "--uts", "--fork", "--kill-child"),
                    *(_IN_CHROOT, self.root, repository, wheels, step),
                ],
                log=self.log,
                env={**self._env, "ISOCHRONE_PACKAGES": words},
            )
            clock[f"provision {step.stem}"] = time.monotonic() - began

    def settle(self) -> None:
        """Give every file that the build has touched the time of the commit."""
        for path in (self.root, *self.root.rglob("*")):
            info = path.lstat()
            if info.st_mtime > self.epoch:
                os.utime(path, (self.epoch, self.epoch), follow_symlinks=False)

    def validate(self) -> None:
        """Check the tree.

        Raises:
            BuildError: with everything that is left over or missing.
        """
        run([VALIDATE, self.root], log=self.log)

    def used_mib(self) -> float:
        """How much the files of the tree hold (MiB)."""
        infos = (path.lstat() for path in self.root.rglob("*"))
        return sum(info.st_size for info in infos if stat.S_ISREG(info.st_mode)) / (1 << 20)

    @property
    def _env(self) -> dict[str, str]:
        return {
            "SOURCE_DATE_EPOCH": str(self.epoch),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "DEBIAN_FRONTEND": "noninteractive",
            "DEBCONF_NONINTERACTIVE_SEEN": "true",
            "PYTHONHASHSEED": "0",
        }
