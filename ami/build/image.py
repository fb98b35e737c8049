"""Builds the image from the packages to the disk."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.build import packages as debian
from ami.build.disk import Disk
from ami.build.manifest import manifest
from ami.build.shell import Clock, run
from ami.build.tree import Tree
from ami.build.wheels import make_wheels
from ami.node.session_agent import KEY

REPOSITORY: Final = Path(__file__).parent.parent.parent
SIZE_MIB: Final = 3072
"""Of the disk: what the image needs, and room for a kernel's upgrade before the volume is grown into."""


@dataclass(frozen=True)
class Image:
    """Where a build puts what it makes: `disk.raw`, `manifest.txt`, `build.json`, `build.log`, and caches."""

    directory: Path

    @property
    def disk(self) -> Path:
        """The disk itself."""
        return self.directory / "disk.raw"

    @property
    def manifest(self) -> Path:
        """What is in it."""
        return self.directory / "manifest.txt"

    def notes(self) -> tuple[str, ...]:
        """What whoever builds it should know of the tree that was built."""
        if (self.directory / "root" / KEY.relative_to("/")).exists():
            return ()
        return (
            f"note: there is no ami/rootfs{KEY}: machines of this image cannot verify AWS's agent, so that"
            " Session Manager does not reach them (docs/image.md)",
        )

    def record(self) -> None:
        """Resolve `packages.txt` anew and record the newest versions.

        Raises:
            BuildError: when apt cannot.
        """
        apt = debian.Apt(self.directory / "apt")
        apt.prepare(debian.machine_sources())
        found = apt.resolve(debian.read_roots(debian.ROOTS.read_text(encoding="utf-8")))
        debian.LOCK.write_text(debian.write_lock(found), encoding="utf-8")

    def build(self) -> Clock:
        """Build the image, and return how long each step took.

        Raises:
            BuildError: when it cannot be built, or has something that it must not have.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / "build.log"
        log.unlink(missing_ok=True)
        for old in (self.disk, self.manifest):
            old.unlink(missing_ok=True)
        clock = Clock()
        epoch = int(run(["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY))
        packages = debian.read_lock(debian.LOCK.read_text(encoding="utf-8"))
        sources = debian.machine_sources()
        pool = self.directory / "repository"
        wheels = self.directory / "wheels"
        tree = Tree(self.directory / "root", log, epoch)
        with clock.step("packages"):
            apt = debian.Apt(self.directory / "apt")
            apt.prepare(sources)
            debian.make_repository(apt, packages, pool)
        with clock.step("wheels"):
            make_wheels(REPOSITORY, _uv(), Path(sys.executable), wheels, log, epoch)
        with clock.step("debootstrap"):
            tree.bootstrap(pool)
        tree.overlay(sources)
        tree.provision(pool, wheels, packages, clock.steps)
        with clock.step("validate"):
            tree.settle()
            tree.validate()
        with clock.step("manifest"):
            self.manifest.write_text(manifest(tree.root, packages), encoding="utf-8")
        with clock.step("disk"):
            Disk(self.disk, SIZE_MIB, epoch).write(tree.root, log)
        (self.directory / "build.json").write_text(
            json.dumps({"epoch": epoch, "seconds": clock.steps, "used-mib": round(tree.used_mib())}, indent=2)
            + "\n"
        )
        return clock


def _uv() -> str:
    return shutil.which("uv") or str(REPOSITORY / ".tools" / "bin" / "uv")
