"""Publishes a disk as an encrypted snapshot, and goes on where another run left off."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import msgspec

from ami.publish.blocks import BLOCK, SECTOR, Contents, contents, read_block
from ami.publish.disk import opened
from ami.publish.errors import PublishError, PublishInterruptedError, SnapshotMismatchError
from ami.publish.parallel import each
from ami.publish.progress import Progress, Silent
from ami.publish.snapshots import GO_ON, Patience, Snapshots
from ami.publish.state import Upload, load, new_upload, ranges, save, state_file_of

PARALLEL: Final = 16
"""Blocks that are sent at a time: 8 MiB of memory, and far below EBS's 1,000 requests a second."""

SAVED_EVERY: Final = 32
"""Blocks (16 MiB) after which the state is written; a run that is killed sends so much again."""


_LOST: Final[Mapping[str, str]] = {
    "error": "could not be completed by AWS",
    "absent": "is not there: it was deleted, is another account's, or was not completed in time",
}
"""Why a snapshot that was begun is of no use, by its state."""


@dataclass(frozen=True)
class Published:
    """A snapshot that images can be registered from.

    Args:
        snapshot: its id.
        region: where it is.
        size_gib: the size of its volume in GiB.
        blocks: how many blocks of 512 KiB it has; all others are empty.
        sent: how many of them this run sent.
        fingerprint: of the disk's contents.
    """

    snapshot: str
    region: str
    size_gib: int
    blocks: int
    sent: int
    fingerprint: str


def publish(
    disk: Path,
    region: str,
    *,
    state_file: Path | None = None,
    parallel: int = PARALLEL,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Published:
    """Publishes a disk: what AWS has already is not sent again.

    Args:
        disk: the raw disk image.
        region: where the snapshot is to be.
        state_file: where the state of the publication is kept; beside the disk unless told.
        parallel: how many blocks are sent at a time.
        progress: is told what is done.
        patience: how long AWS may take.

    Raises:
        PublishInterruptedError: when it was interrupted.
        PublishError: when the disk cannot be published.
    """
    state_file = state_file or state_file_of(disk, region)
    progress = progress or Silent()
    begun: Upload | None = None
    try:
        with opened(disk) as (fd, size):
            begun = load(state_file)
            found = contents(fd, size, lambda read: progress.reading(read, size))
            if not found.digests:
                raise PublishError(f"{disk} has nothing but zeros on it; `make image` builds a disk")
            if size % SECTOR:
                progress.note(f"{disk.name} is no whole number of sectors: zeros are added at its end")
            stop = Event()
            snapshots = Snapshots(region, parallel=parallel, stop=stop, patience=patience or Patience())
            upload = _going_on(begun, found, snapshots, progress) or new_upload(region, found.fingerprint)
            run = _Run(disk, fd, found, snapshots, upload, state_file, progress)
            return run.through(parallel, stop)
    except OSError as error:
        raise PublishError(f"{disk} cannot be read: {error.strerror}") from error
    except KeyboardInterrupt:
        raise PublishInterruptedError(
            f"interrupted; what AWS has is kept: {GO_ON}" if state_file.exists() else "interrupted"
        ) from None


def _going_on(
    begun: Upload | None, found: Contents, snapshots: Snapshots, progress: Progress
) -> Upload | None:
    """The publication that an earlier run began, as AWS has it; None when it is of no use."""
    if begun is None:
        return None
    left = f"{begun.snapshot} is left as it is; " if begun.snapshot else ""
    if begun.region != snapshots.region:
        why = f"the earlier publication is in {begun.region}; {left}"
    elif begun.fingerprint != found.fingerprint:
        why = f"the disk has changed since its publication began; {left}"
    elif begun.snapshot is None:
        return begun
    else:
        state = snapshots.state(begun.snapshot)
        if state == "completed":
            progress.note(f"{begun.snapshot} has this disk already")
            return msgspec.structs.replace(begun, done=ranges(found.digests), sealed=True)
        if state == "pending":
            have = len(begun.blocks & found.digests.keys())
            progress.note(f"going on with {begun.snapshot}: it has {have} of {len(found.digests)} blocks")
            return begun
        why = f"{begun.snapshot} {_LOST.get(state, f'is in the state {state}')}; "
    progress.note(f"{why}starting anew")
    return None


class _Run:
    """One run of a publication; keeps its state in the file."""

    def __init__(
        self,
        disk: Path,
        fd: int,
        found: Contents,
        snapshots: Snapshots,
        upload: Upload,
        state_file: Path,
        progress: Progress,
    ) -> None:
        self._disk, self._fd, self._found = disk, fd, found
        self._snapshots, self._progress = snapshots, progress
        self._upload, self._state_file = upload, state_file
        self._done = set(upload.blocks & found.digests.keys())

    def through(self, parallel: int, stop: Event) -> Published:
        """Takes every step that is left."""
        snapshot = self._begun()
        missing = [index for index in self._found.digests if index not in self._done]
        if not self._upload.sealed:
            self._send(snapshot, missing, parallel, stop)
            self._seal(snapshot)
        self._progress.waiting(snapshot)
        self._snapshots.wait(snapshot)
        return Published(
            snapshot,
            self._snapshots.region,
            self._found.size_gib,
            len(self._found.digests),
            len(missing),
            self._found.fingerprint,
        )

    def _begun(self) -> str:
        # Before AWS is asked: should its answer be lost, the same token finds the same snapshot.
        self._save()
        snapshot = self._upload.snapshot or self._snapshots.begin(
            self._upload.token,
            self._found.size_gib,
            f"Isochrone's disk {self._disk.name}"[:255],
            {
                "Name": "isochrone-image",
                "isochrone:managed-by": "isochrone image publish",
                "isochrone:fingerprint": self._found.fingerprint,
            },
        )
        self._upload = msgspec.structs.replace(self._upload, snapshot=snapshot)
        self._save()
        return snapshot

    def _send(self, snapshot: str, missing: list[int], parallel: int, stop: Event) -> None:
        def send(index: int) -> None:
            block, digest = read_block(self._fd, index), self._found.digests[index]
            if hashlib.sha256(block).digest() != digest:
                raise PublishError(f"{self._disk} has changed while it was sent: publish it when it is done")
            self._snapshots.put(snapshot, index, block, digest)

        def sent(index: int) -> None:
            self._done.add(index)
            if len(self._done) % SAVED_EVERY == 0:
                self._save()
            self._tell()

        self._tell()
        try:
            each(missing, send, parallel=parallel, on_done=sent, stop=stop)
        finally:
            self._save()

    def _seal(self, snapshot: str) -> None:
        try:
            self._snapshots.seal(snapshot, self._found)
        except SnapshotMismatchError:
            self._state_file.unlink(missing_ok=True)
            raise
        self._upload = msgspec.structs.replace(self._upload, sealed=True)
        self._save()

    def _tell(self) -> None:
        self._progress.sending(len(self._done) * BLOCK, self._found.sent_bytes)

    def _save(self) -> None:
        self._upload = msgspec.structs.replace(self._upload, done=ranges(self._done))
        save(self._state_file, self._upload)
