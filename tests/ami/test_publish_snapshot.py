"""A disk becomes a snapshot of the very same bits; another run goes on where one left off."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ami.strict_ebs import BLOCK, HOME, Ebs, block_of, refusal, strict_ebs, write_disk  # isort: skip

from moto.core.exceptions import JsonRESTError

from ami.publish.errors import PublishError, PublishInterruptedError
from ami.publish.progress import Silent
from ami.publish.publication import Published, publish
from ami.publish.snapshots import KEPT_MIN, Patience, Snapshots
from ami.publish.state import load, state_file_of

FILLED = [0, 1, 2, 9, 40, 41, 75]
SIZE = 80 * BLOCK
HASTE = Patience(begun_s=(0, 0, 0), poll_s=0, polls=2)


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.sent: list[tuple[int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def sending(self, done: int, total: int) -> None:
        self.sent.append((done // BLOCK, total // BLOCK))


@pytest.fixture
def ebs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ebs]:
    with strict_ebs(monkeypatch) as ebs:
        yield ebs


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return write_disk(tmp_path / "disk.raw", FILLED, SIZE)


@pytest.fixture
def told() -> Told:
    return Told()


def again(disk: Path, told: Told | None = None, **more: Any) -> Published:
    return publish(disk, more.pop("region", HOME), progress=told, patience=HASTE, **more)


def failing(
    operation: str, code: str, *, at: Callable[[int], bool] = lambda _: True, times: int = 10**9
) -> Callable[[str, int], JsonRESTError | None]:
    """Has AWS answer some requests with an error, the first few times."""
    left = [times]

    def fails(asked: str, index: int) -> JsonRESTError | None:
        if asked != operation or not at(index) or not left[0]:
            return None
        left[0] -= 1
        return refusal(code, f"{operation} went wrong", 500 if code == "InternalServerException" else 400)

    return fails


def test_the_snapshot_has_the_very_same_bits(ebs: Ebs, disk: Path) -> None:
    published = again(disk)
    assert ebs.disk(published.snapshot, SIZE) == disk.read_bytes()
    assert ebs.described(published.snapshot)["State"] == "completed"


def test_only_blocks_that_are_not_empty_are_sent_each_once(ebs: Ebs, disk: Path) -> None:
    published = again(disk)
    assert sorted(ebs.puts) == FILLED
    assert (published.blocks, published.sent) == (len(FILLED), len(FILLED))


def test_the_snapshot_is_encrypted_and_says_what_it_is(ebs: Ebs, disk: Path) -> None:
    published = again(disk)
    described = ebs.described(published.snapshot)
    assert described["Encrypted"] is True
    assert described["Description"] == "Isochrone's disk disk.raw"
    assert described["VolumeSize"] == published.size_gib == 1
    assert {tag["Key"]: tag["Value"] for tag in described["Tags"]} == {
        "Name": "isochrone-image",
        "isochrone:managed-by": "isochrone image publish",
        "isochrone:fingerprint": published.fingerprint,
    }


def test_a_disk_larger_than_a_gib_gets_a_larger_volume(ebs: Ebs, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "disk.raw", [0, 2048], 1024**3 + BLOCK)
    assert ebs.described(again(disk).snapshot)["VolumeSize"] == 2


def test_a_disk_that_is_no_whole_number_of_sectors_is_filled_up(ebs: Ebs, tmp_path: Path, told: Told) -> None:
    disk = write_disk(tmp_path / "disk.raw", [0, 1], BLOCK + 700)
    assert ebs.disk(again(disk, told).snapshot, BLOCK + 700) == disk.read_bytes()
    assert told.notes == ["disk.raw is no whole number of sectors: zeros are added at its end"]


def test_progress_goes_from_nothing_to_all(ebs: Ebs, disk: Path, told: Told) -> None:
    again(disk, told)
    assert told.sent == [(n, len(FILLED)) for n in range(len(FILLED) + 1)]


def test_a_second_run_sends_nothing_and_has_the_same_snapshot(ebs: Ebs, disk: Path, told: Told) -> None:
    first = again(disk)
    tried = list(ebs.tried)
    second = again(disk, told)
    assert (second.snapshot, second.sent) == (first.snapshot, 0)
    assert ebs.tried == tried
    assert told.notes == [f"{first.snapshot} has this disk already"]


def test_after_a_failure_another_run_sends_only_what_is_missing(ebs: Ebs, disk: Path, told: Told) -> None:
    ebs.fails = failing("PutSnapshotBlock", "ValidationException", at=lambda index: index >= 40)
    with pytest.raises(
        PublishError, match=r"block 40 could not be sent .*What AWS has is kept: run the same"
    ):
        again(disk, parallel=1)
    assert ebs.puts == [0, 1, 2, 9]
    ebs.fails = lambda *_: None
    published = again(disk, told)
    assert sorted(ebs.puts) == FILLED
    assert (published.sent, len(ebs.snapshots())) == (3, 1)
    assert told.notes == [f"going on with {published.snapshot}: it has 4 of 7 blocks"]
    assert ebs.disk(published.snapshot, SIZE) == disk.read_bytes()


def test_an_interrupted_run_says_how_to_go_on_and_loses_nothing(ebs: Ebs, tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "disk.raw", range(40), 40 * BLOCK)
    interrupted, once = threading.Event(), threading.Lock()

    def interrupt(_number: int, _frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    def fails(operation: str, index: int) -> None:
        if operation == "PutSnapshotBlock" and index >= 5 and not interrupted.is_set():
            if once.acquire(blocking=False):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert interrupted.wait(10)

    ebs.fails = fails
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(PublishInterruptedError) as caught:
            again(disk, parallel=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert str(caught.value) == (
        "interrupted; what AWS has is kept: run the same command again within 24 hours to go on"
    )
    state = load(state_file_of(disk, HOME))
    assert state is not None
    assert 5 <= len(ebs.puts) < 40
    assert state.blocks == set(ebs.puts)
    published = again(disk)
    assert sorted(ebs.puts) == list(range(40))
    assert ebs.disk(published.snapshot, 40 * BLOCK) == disk.read_bytes()


def test_a_run_that_was_killed_sends_again_no_more_than_is_saved_at_a_time(
    ebs: Ebs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = write_disk(tmp_path / "disk.raw", range(40), 40 * BLOCK)
    file = state_file_of(disk, HOME)
    seen: dict[int, str] = {}

    def fails(operation: str, index: int) -> None:
        if operation == "PutSnapshotBlock":
            seen[index] = file.read_text(encoding="utf-8")

    ebs.fails = fails
    again(disk, parallel=1)
    file.write_text(seen[36], encoding="utf-8")
    state = load(file)
    assert state is not None
    assert state.blocks == set(range(32))
    assert state.snapshot in ebs.snapshots()


def test_a_beginning_whose_answer_was_lost_is_repeated_with_the_same_token(ebs: Ebs, disk: Path) -> None:
    ebs.answers_lost = 1
    with pytest.raises(PublishError, match=r"no snapshot could be begun in eu-west-1"):
        again(disk)
    again(disk)
    assert [operation for operation, _ in ebs.tried].count("StartSnapshot") == 2
    assert len(ebs.snapshots()) == 1


def test_blocks_are_kept_at_aws_as_long_as_the_advice_says(ebs: Ebs, disk: Path) -> None:
    again(disk)
    ((asked, _),) = ebs.begun.values()
    assert asked["Timeout"] == KEPT_MIN == 24 * 60


def test_a_changed_disk_starts_anew_and_says_so(ebs: Ebs, disk: Path, told: Told) -> None:
    first = again(disk)
    with disk.open("r+b") as file:
        file.write(block_of(99))
    second = again(disk, told)
    assert second.snapshot != first.snapshot
    assert second.sent == len(FILLED)
    assert ebs.disk(second.snapshot, SIZE) == disk.read_bytes()
    assert told.notes == [
        f"the disk has changed since its publication began; {first.snapshot} is left as it is; starting anew"
    ]


def test_a_disk_that_was_only_touched_is_the_same(ebs: Ebs, disk: Path) -> None:
    first = again(disk)
    os.utime(disk, (1, 1))
    assert again(disk).snapshot == first.snapshot


def test_each_region_has_its_own_publication(ebs: Ebs, disk: Path, told: Told) -> None:
    home, away = again(disk, told), again(disk, told, region="us-east-1")
    assert home.snapshot != away.snapshot
    assert ebs.disk(away.snapshot, SIZE, "us-east-1") == disk.read_bytes()
    assert again(disk).snapshot == home.snapshot
    assert not told.notes


def test_the_state_of_another_region_is_not_gone_on_with(ebs: Ebs, disk: Path, told: Told) -> None:
    file = disk.with_name("state")
    home = again(disk, state_file=file)
    away = again(disk, told, region="us-east-1", state_file=file)
    assert away.snapshot != home.snapshot
    assert told.notes == [
        f"the earlier publication is in eu-west-1; {home.snapshot} is left as it is; starting anew"
    ]


def test_a_snapshot_that_was_deleted_is_begun_anew(ebs: Ebs, disk: Path, told: Told) -> None:
    first = again(disk)
    Snapshots(HOME, parallel=1, stop=threading.Event(), patience=HASTE)._ec2.delete_snapshot(
        SnapshotId=first.snapshot
    )
    second = again(disk, told)
    assert (second.snapshot != first.snapshot, second.sent) == (True, len(FILLED))
    assert told.notes == [
        f"{first.snapshot} is not there: it was deleted, is another account's, or was not completed in time;"
        " starting anew"
    ]


def test_a_snapshot_that_aws_failed_to_complete_is_begun_anew(ebs: Ebs, disk: Path, told: Told) -> None:
    ebs.ends_as = "error"
    with pytest.raises(
        PublishError, match=r"AWS could not complete snap-\w+: .*Run the same command again to start anew"
    ):
        again(disk)
    ebs.ends_as = "completed"
    published = again(disk, told)
    assert published.sent == len(FILLED)
    assert told.notes[0].endswith("could not be completed by AWS; starting anew")


def test_waiting_ends_and_can_be_gone_on_with(ebs: Ebs, disk: Path) -> None:
    ebs.ends_as = "pending"
    with pytest.raises(PublishError, match=r"is not completed after .* run the same command again to wait"):
        again(disk)
    tried = list(ebs.tried)
    with pytest.raises(PublishError, match=r"is not completed"):
        again(disk)
    assert ebs.tried == tried, "a sealed snapshot is only waited for"


@pytest.mark.parametrize("code", ["RequestThrottledException", "InternalServerException"])
def test_what_aws_will_do_later_is_tried_again(ebs: Ebs, disk: Path, code: str) -> None:
    ebs.fails = failing("PutSnapshotBlock", code, at=lambda index: index == 9, times=2)
    assert ebs.disk(again(disk).snapshot, SIZE) == disk.read_bytes()
    assert ebs.tried.count(("PutSnapshotBlock", 9)) == 3


def test_a_snapshot_that_ebs_does_not_know_yet_is_given_time(ebs: Ebs, disk: Path) -> None:
    ebs.fails = failing("PutSnapshotBlock", "ResourceNotFoundException", times=3)
    assert ebs.disk(again(disk, parallel=1).snapshot, SIZE) == disk.read_bytes()


def test_a_snapshot_that_ebs_never_knows_ends_the_run(ebs: Ebs, disk: Path) -> None:
    ebs.fails = failing("PutSnapshotBlock", "ResourceNotFoundException")
    with pytest.raises(PublishError, match=r"ResourceNotFoundException"):
        again(disk, parallel=1)
    assert ebs.tried.count(("PutSnapshotBlock", 0)) == len(HASTE.begun_s) + 1


def test_ebs_is_given_the_two_minutes_that_it_asks_for() -> None:
    assert 110 <= sum(Patience().begun_s) <= 130


def test_a_snapshot_with_other_blocks_is_refused_and_begun_anew(ebs: Ebs, disk: Path) -> None:
    ebs.fails = failing("PutSnapshotBlock", "ValidationException", at=lambda index: index == 75)
    with pytest.raises(PublishError):
        again(disk, parallel=1)
    file = state_file_of(disk, HOME)
    file.write_text(
        file.read_text(encoding="utf-8").replace('"done": [', '"done": [[75, 75],'), encoding="utf-8"
    )
    ebs.fails = lambda *_: None
    with pytest.raises(
        PublishError, match=r"could not be completed: .*Run the same command again to start anew"
    ):
        again(disk)
    published = again(disk)
    assert published.sent == len(FILLED)
    assert ebs.disk(published.snapshot, SIZE) == disk.read_bytes()


def test_a_disk_that_changes_while_it_is_sent_is_refused(ebs: Ebs, disk: Path) -> None:
    def fails(operation: str, _index: int) -> None:
        if operation == "StartSnapshot":
            with disk.open("r+b") as file:
                file.seek(9 * BLOCK)
                file.write(block_of(99))

    ebs.fails = fails
    with pytest.raises(PublishError, match=r"disk\.raw has changed while it was sent"):
        again(disk)
    assert 9 not in ebs.puts


def test_each_block_under_way_has_a_connection_and_botocore_repeats_what_fails(ebs: Ebs, disk: Path) -> None:
    client = Snapshots(HOME, parallel=3, stop=threading.Event(), patience=HASTE)._ebs
    assert client.meta.config.max_pool_connections == 3
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 8}
