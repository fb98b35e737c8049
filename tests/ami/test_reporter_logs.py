"""The machine's journal on CloudWatch Logs: what is sent, and where it goes on after a restart."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from ami.node.reporter import log_shipper
from ami.node.reporter.log_events import Event
from ami.node.reporter.log_shipper import CURSOR_FILE
from ami.node.reporter.log_stream import LogStream
from tests.ami.journals import RealJournal
from tests.ami.shipping import GROUP, MACHINE, WAIT_S, Cloud, Running

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_the_journal_goes_into_a_stream_of_the_machines_id(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    journal.write("the API listens")
    journal.write("of no interest", priority=7)
    journal.write(b"bytes: \xff", priority=3)
    journal.write("Started market-api@0.service", unit="init.scope", identifier="systemd", pid=1, priority=5)
    with Running(cloud, journal.directory, tmp_path) as running:
        cloud.until_taken(3)
        journal.write("a user came")
        cloud.until_taken(4)
    assert cloud.taken == [
        "market-api@0[12] INFO the API listens",
        "market-api@0[12] ERR bytes: \\xff",
        "systemd[1] NOTICE Started market-api@0.service",
        "market-api@0[12] INFO a user came",
    ]
    streams = cloud.client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == [MACHINE]
    figures = running.figures()
    assert figures.pop(log_shipper.SHIPPED_AT.name) == pytest.approx(time.time(), abs=WAIT_S)
    # The first call finds no stream: that is no failure.
    assert set(figures.values()) == {0}


def test_long_lines_are_whole(cloud: Cloud, journal: RealJournal, tmp_path: Path) -> None:
    journal.write("x" * 48_000)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(1)
    assert cloud.stored() == ["x" * 48_000]


def test_after_a_restart_it_goes_on_where_it_stopped(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    expected: list[str] = []
    for start in range(4):
        for each in range(5):
            expected.append(f"{start}-{each}")
            journal.write(expected[-1])
        with Running(cloud, journal.directory, tmp_path):
            cloud.until_taken(len(expected))
            expected.append(f"{start}-live")
            journal.write(expected[-1])
            cloud.until_taken(len(expected))
    assert cloud.stored() == expected


def test_after_a_reboot_the_last_words_of_the_boot_before_are_shipped_first(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    journal.write("first boot", boot="1" * 32)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(1)
    journal.write("its last words", boot="1" * 32)
    journal.write("second boot", boot="2" * 32)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(3)
    journal.write("third boot", boot="3" * 32)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(4)
    assert cloud.stored() == ["first boot", "its last words", "second boot", "third boot"]


def test_a_machine_without_a_place_kept_ships_every_boot(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    for boot in "123":
        journal.write(boot, boot=boot * 32)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(3)
    assert cloud.stored() == ["1", "2", "3"]


def test_more_than_one_call_may_have_is_sent_in_several(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    expected = [f"{number:05d}" for number in range(12_000)]
    for text in expected:
        journal.write(text)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(len(expected))
    assert [text.rpartition(" ")[2] for text in cloud.taken] == expected


@pytest.mark.parametrize("kept", ["", "--help", "s=1;i=2", "\x00\xff"])
def test_a_file_that_has_no_cursor_is_as_none(
    kept: str, cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    (tmp_path / CURSOR_FILE).write_text(kept)
    journal.write("1")
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(1)
        journal.write("2")
        cloud.until_taken(2)
    assert cloud.stored() == ["1", "2"]


def test_a_cursor_whose_entry_is_gone_leads_to_what_followed_it(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    journal.write("1")
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(1)
    other = RealJournal(tmp_path / "another")
    try:
        other.write("2")
        other.write("3")
        with Running(cloud, other.directory, tmp_path):
            cloud.until_taken(1)
            other.write("4")
            cloud.until_taken(2)
    finally:
        other.close()
    assert cloud.taken[-1].endswith("INFO 4")


def test_a_place_that_cannot_be_kept_is_said_and_stops_nothing(
    cloud: Cloud, journal: RealJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Running(cloud, journal.directory, tmp_path / "missing"):
        for number in range(3):
            journal.write(str(number))
            cloud.until_taken(number + 1)
    assert cloud.stored() == ["0", "1", "2"]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "the place in the journal cannot be kept: No such file or directory"
    ]


def test_a_stream_that_is_there_is_used(cloud: Cloud) -> None:
    stream = LogStream(GROUP, lambda: MACHINE, lambda: cloud)
    stream._name, stream._client = MACHINE, cloud
    cloud.client.create_log_stream(logGroupName=GROUP, logStreamName=MACHINE)
    stream._make()
    assert stream.put([Event(int(time.time() * 1000), "x")]) == 0
