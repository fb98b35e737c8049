"""EBS's direct APIs on moto, as strict as AWS about what they are told, and failing when a test says so."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

# Before moto: it has moto check images, keys and instance types.
import tests.infra.cloud.account  # noqa: F401  # isort: skip

import boto3
import pytest
from moto import mock_aws
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse

BLOCK = 512 * 1024
HOME = "eu-west-1"


@dataclass
class Ebs:
    """What EBS was told, and how it fails.

    Args:
        puts: the index of every block that arrived, in order.
        tried: the operation and block of every request, also of those that failed.
        fails: called with each; what it returns is AWS's answer.
        answers_lost: how many answers to a snapshot's beginning never arrive.
        ends_as: the state of a snapshot that was completed.
    """

    puts: list[int] = field(default_factory=list)
    tried: list[tuple[str, int]] = field(default_factory=list)
    fails: Callable[[str, int], JsonRESTError | None] = lambda *_: None
    answers_lost: int = 0
    ends_as: str = "completed"
    begun: dict[str, tuple[dict[str, Any], ActionResult]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, operation: str, index: int = -1) -> None:
        """Notes a request; raises what the test wants AWS to answer."""
        with self._lock:
            self.tried.append((operation, index))
        if failure := self.fails(operation, index):
            raise failure

    def described(self, snapshot: str, region: str = HOME) -> dict[str, Any]:
        (found,) = boto3.client("ec2", region).describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        return dict(found)

    def snapshots(self, region: str = HOME) -> list[str]:
        """Every snapshot of the account that was begun by the direct APIs."""
        return [result.result["SnapshotId"] for _, result in self.begun.values()]  # type: ignore[index]

    def disk(self, snapshot: str, size: int, region: str = HOME) -> bytes:
        """The first bytes of a snapshot's volume, read back through the direct APIs."""
        client = boto3.client("ebs", region)
        found = bytearray(-(-size // BLOCK) * BLOCK)
        for block in client.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]:
            index = block["BlockIndex"]
            read = client.get_snapshot_block(
                SnapshotId=snapshot, BlockIndex=index, BlockToken=block["BlockToken"]
            )
            found[index * BLOCK : (index + 1) * BLOCK] = read["BlockData"].read()
        assert not any(found[size:]), "what is behind the disk's end is not empty"
        return bytes(found[:size])


@contextmanager
def strict_ebs(monkeypatch: pytest.MonkeyPatch, account: Any = None) -> Iterator[Ebs]:
    """EBS in an account on moto: a new one, unless an account is open already."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    # The pauses between botocore's own tries.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    # A thousand images of others, made anew in every region of every account.
    monkeypatch.setattr("moto.ec2.models.amis.AmiBackend._load_amis", lambda _: None)
    ebs = Ebs()
    monkeypatch.setattr(EBSResponse, "start_snapshot", _start(ebs))
    monkeypatch.setattr(EBSResponse, "put_snapshot_block", _put(ebs))
    monkeypatch.setattr(EBSResponse, "complete_snapshot", _complete(ebs))
    if account:
        yield ebs
    else:
        with mock_aws():
            yield ebs


def refusal(code: str, message: str, status: int = 400) -> JsonRESTError:
    """An answer of AWS that is an error."""
    answer = JsonRESTError(code, message)
    answer.code = status
    return answer


def _start(ebs: Ebs) -> Callable[[EBSResponse], ActionResult]:
    real = EBSResponse.start_snapshot

    def start_snapshot(self: EBSResponse) -> ActionResult:
        ebs.ask("StartSnapshot")
        token = self._get_param("ClientToken")
        names = ("VolumeSize", "Description", "Encrypted", "Timeout", "Tags")
        asked = {name: self._get_param(name) for name in names}
        if token not in ebs.begun:
            result = real(self)
            made = self.ebs_backend.ec2_backend.snapshots[result.result["SnapshotId"]]  # type: ignore[index]
            made.status, made.encrypted = "pending", asked["Encrypted"]
            ebs.begun[token] = (asked, result)
        elif ebs.begun[token][0] != asked:
            raise refusal("ConflictException", "another request had this token")
        if ebs.answers_lost:
            ebs.answers_lost -= 1
            raise refusal("ValidationException", "the answer is lost")
        return ebs.begun[token][1]

    return start_snapshot


def _put(ebs: Ebs) -> Callable[[EBSResponse], ActionResult]:
    real = EBSResponse.put_snapshot_block

    def put_snapshot_block(self: EBSResponse) -> ActionResult:
        index, data = int(self._get_param("BlockIndex")), self._get_param("BlockData")
        ebs.ask("PutSnapshotBlock", index)
        _pending(self)
        if len(data) != BLOCK or int(self._get_param("DataLength")) != BLOCK:
            raise refusal("ValidationException", "INVALID_DATA_LENGTH")
        if self._get_param("Checksum") != _checksum(data):
            raise refusal("ValidationException", "INVALID_CHECKSUM")
        ebs.puts.append(index)
        return real(self)

    return put_snapshot_block


def _complete(ebs: Ebs) -> Callable[[EBSResponse], ActionResult]:
    real = EBSResponse.complete_snapshot

    def complete_snapshot(self: EBSResponse) -> ActionResult:
        ebs.ask("CompleteSnapshot")
        blocks = self.ebs_backend.snapshots[_pending(self)].blocks
        digests = [hashlib.sha256(blocks[index].block_data).digest() for index in sorted(blocks)]
        told = [self._get_param(n) for n in ("Checksum", "ChecksumAlgorithm", "ChecksumAggregationMethod")]
        if int(self._get_param("ChangedBlocksCount")) != len(blocks):
            raise refusal("ValidationException", "the number of blocks is another")
        if told != [_checksum(b"".join(digests)), "SHA256", "LINEAR"]:
            raise refusal("ValidationException", "the checksum is another")
        self.ebs_backend.ec2_backend.snapshots[_pending(self)].status = ebs.ends_as
        return real(self)

    return complete_snapshot


def _pending(response: EBSResponse) -> str:
    snapshot = str(response._get_param("SnapshotId"))
    found = response.ebs_backend.ec2_backend.snapshots.get(snapshot)
    if found is None:
        raise refusal("ResourceNotFoundException", "The snapshot does not exist")
    if found.status != "pending":
        raise refusal("ValidationException", "the snapshot is not pending")
    return snapshot


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def block_of(index: int) -> bytes:
    """A block that is like no other."""
    return hashlib.sha256(str(index).encode()).digest() * (BLOCK // 32)


def write_disk(path: Path, blocks: range | list[int], size: int) -> Path:
    """A sparse disk with a block at each of some indices, cut off at its size."""
    with path.open("wb") as file:
        for index in blocks:
            file.seek(index * BLOCK)
            file.write(block_of(index))
        file.truncate(size)
    return path
