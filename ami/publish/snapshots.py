"""The snapshots of a region: begins one, writes its blocks, seals it, waits for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, Literal, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from ami.publish.blocks import BLOCK, Contents
from ami.publish.errors import PublishError, SnapshotMismatchError
from ami.publish.refusals import AWS_ERRORS, code_of, refused

KEPT_MIN: Final = 24 * 60
"""Minutes after the last block after which AWS gives up a snapshot that was not completed (at most 4,320)."""

GO_ON: Final = f"run the same command again within {KEPT_MIN // 60} hours to go on"

ANEW: Final = "Run the same command again to start anew"

ATTEMPTS: Final = 8
"""How often a request is tried: with botocore's growing pauses that is about half a minute."""

State = Literal["pending", "completed", "error", "absent"]


@dataclass(frozen=True)
class Patience:
    """How long AWS may take.

    A snapshot that was just begun may be unknown to the part of EBS that takes its blocks; to wait and repeat
    for 2 minutes is EBS's own advice (github.com/awslabs/coldsnap, pull request 56).

    Args:
        begun_s: seconds between two tries to write to a snapshot that EBS does not know yet.
        poll_s: seconds between two looks at a snapshot that has to be completed.
        polls: how often it is looked at.
    """

    begun_s: tuple[float, ...] = (1, 2, 4, 8, 15, 30, 30, 30)
    poll_s: float = 5
    polls: int = 360


class Snapshots:
    """The snapshots of a region; may be used from several threads.

    Args:
        region: the region.
        parallel: how many requests are made at a time.
        stop: once set, no request is repeated.
        patience: how long AWS may take.

    Raises:
        PublishError: here and from every method, when AWS refuses or cannot be reached.
    """

    def __init__(self, region: str, *, parallel: int, stop: Event, patience: Patience) -> None:
        self.region = region
        self._stop = stop
        self._patience = patience
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=parallel,
            connect_timeout=10,
            read_timeout=60,
        )
        try:
            self._ebs: Any = boto3.client("ebs", region_name=region, config=config)
            self._ec2: Any = boto3.client("ec2", region_name=region, config=config)
        except AWS_ERRORS as error:
            raise refused(f"AWS in {region} cannot be asked", error) from error

    def begin(self, token: str, size_gib: int, description: str, tags: Mapping[str, str]) -> str:
        """Begins an encrypted snapshot, or finds the one that was begun with the same token.

        Args:
            token: by which AWS knows that a request is a repetition.
            size_gib: the size of its volume in GiB.
            description: what it is.
            tags: its tags.
        """
        try:
            begun = self._ebs.start_snapshot(
                VolumeSize=size_gib,
                Description=description,
                ClientToken=token,
                Encrypted=True,
                Timeout=KEPT_MIN,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        except AWS_ERRORS as error:
            raise refused(f"no snapshot could be begun in {self.region}", error) from error
        return str(begun["SnapshotId"])

    def put(self, snapshot: str, index: int, block: bytes, digest: bytes) -> None:
        """Writes a block; EBS compares it with its digest."""
        try:
            self._patiently(
                lambda: self._ebs.put_snapshot_block(
                    SnapshotId=snapshot,
                    BlockIndex=index,
                    BlockData=block,
                    DataLength=BLOCK,
                    Checksum=_told(digest),
                    ChecksumAlgorithm="SHA256",
                )
            )
        except AWS_ERRORS as error:
            told = refused(f"block {index} could not be sent to {snapshot}", error)
            raise PublishError(f"{told}. What AWS has is kept: {GO_ON}") from error

    def seal(self, snapshot: str, found: Contents) -> None:
        """Says that all blocks are there; EBS compares their number and digests with what it has.

        Raises:
            SnapshotMismatchError: when they are not the same.
        """
        try:
            self._patiently(
                lambda: self._ebs.complete_snapshot(
                    SnapshotId=snapshot,
                    ChangedBlocksCount=len(found.digests),
                    Checksum=_told(found.aggregate),
                    ChecksumAlgorithm="SHA256",
                    ChecksumAggregationMethod="LINEAR",
                )
            )
        except ClientError as error:
            told = refused(f"{snapshot} could not be completed", error)
            if code_of(error) == "ValidationException":
                raise SnapshotMismatchError(f"{told}. {ANEW}") from error
            raise told from error
        except AWS_ERRORS as error:
            told = refused(f"{snapshot} could not be completed", error)
            raise PublishError(f"{told}. What AWS has is kept: {GO_ON}") from error

    def state(self, snapshot: str) -> State:
        """The state of a snapshot: absent also where it is another account's."""
        try:
            (described,) = self._ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        except ClientError as error:
            if code_of(error) == "InvalidSnapshot.NotFound":
                return "absent"
            raise refused(f"{snapshot} could not be looked up", error) from error
        except AWS_ERRORS as error:
            raise refused(f"{snapshot} could not be looked up", error) from error
        return cast("State", described["State"])

    def wait(self, snapshot: str) -> None:
        """Waits until a sealed snapshot is completed."""
        try:
            self._ec2.get_waiter("snapshot_completed").wait(
                SnapshotIds=[snapshot],
                WaiterConfig={"Delay": self._patience.poll_s, "MaxAttempts": self._patience.polls},
            )
        except WaiterError as error:
            described: Any = next(iter(error.last_response.get("Snapshots", ())), {})
            if described.get("State") == "error":
                why = described.get("StateMessage") or "it does not say why"
                raise PublishError(f"AWS could not complete {snapshot}: {why}. {ANEW}") from error
            if described.get("State") == "pending":
                minutes = self._patience.poll_s * self._patience.polls / 60
                raise PublishError(
                    f"{snapshot} is not completed after {minutes:.0f} minutes; run the same command again to"
                    " wait longer"
                ) from error
            raise refused(f"{snapshot} could not be waited for", error) from error
        except AWS_ERRORS as error:
            raise refused(f"{snapshot} could not be waited for", error) from error

    def _patiently(self, ask: Callable[[], object]) -> None:
        for pause_s in self._patience.begun_s:
            try:
                ask()
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException" or self._stop.wait(pause_s):
                    raise
            else:
                return
        ask()


def _told(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
