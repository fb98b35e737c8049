"""The machine's journal on CloudWatch Logs: a real journal, moto's server, and AWS away or refusing."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from ami.node.reporter import log_shipper, log_stream
from ami.node.reporter.journal import MOST_LINE_BYTES, Journal, JournalError
from ami.node.reporter.log_events import Event
from ami.node.reporter.log_shipper import CURSOR_FILE, KeptCursor, Shipper
from ami.node.reporter.log_stream import LogStream
from tests.ami.journals import RealJournal

GROUP = "/isochrone/geo-ii/node"
MACHINE = "i-0123456789abcdef0"
WAIT_S = 30.0

AWAY = EndpointConnectionError(endpoint_url="https://logs.eu-west-1.amazonaws.com/")


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PutLogEvents")


DENIED = refusal("AccessDeniedException", "is not authorized to perform: logs:PutLogEvents")


@dataclass
class Cloud:
    """CloudWatch Logs as a client of moto's server; with an error, as one that takes nothing."""

    client: Any
    error: Exception | None = None
    answer: Mapping[str, Any] | None = None
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    calls: int = 0
    happens: threading.Condition = field(default_factory=threading.Condition)

    def put_log_events(self, **arguments: Any) -> Mapping[str, Any]:
        with self.happens:
            self.calls += 1
            self.happens.notify_all()
            if self.error is not None:
                self.refused += 1
                raise self.error
        found: Mapping[str, Any] = self.client.put_log_events(**arguments)
        with self.happens:
            self.taken += [event["message"] for event in arguments["logEvents"]]
            self.happens.notify_all()
        return self.answer or found

    def create_log_stream(self, **arguments: Any) -> None:
        self.client.create_log_stream(**arguments)

    def becomes(self, error: Exception | None) -> None:
        with self.happens:
            self.error = error

    def until_taken(self, events: int) -> None:
        self._until(lambda: len(self.taken) >= events)

    def until_refused(self, calls: int) -> None:
        self._until(lambda: self.refused >= calls)

    def _until(self, condition: Any) -> None:
        with self.happens:
            assert self.happens.wait_for(condition, WAIT_S), (self.taken, self.refused)

    def stored(self, stream: str = MACHINE) -> list[str]:
        """What the stream has, without who wrote it."""
        found = self.client.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True)
        return [event["message"].partition(" INFO ")[2] or event["message"] for event in found["events"]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def cloud(server: str) -> Iterator[Cloud]:
    client = boto3.client(
        "logs",
        region_name="eu-west-1",
        endpoint_url=server,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_log_group(logGroupName=GROUP)
    yield Cloud(client)
    client.delete_log_group(logGroupName=GROUP)
    client.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RealJournal]:
    written = RealJournal(tmp_path / "journal")
    yield written
    written.close()


class Running:
    """A shipper at work in a thread."""

    def __init__(
        self,
        cloud: Cloud,
        directory: Path,
        state: Path,
        program: Sequence[str] = ("journalctl",),
        send_s: float = 0.05,
    ) -> None:
        self.stop = threading.Event()
        self.journal = Journal(directory, program)
        stream = LogStream(GROUP, lambda: MACHINE, lambda: cloud)
        self.shipper = Shipper(
            self.journal, KeptCursor(state), stream, self.stop, send_s=send_s, pause_s=0.05
        )
        self.thread = threading.Thread(target=self.shipper.run)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.shipper.end()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def figures(self) -> dict[str, float]:
        return {figure.metric.name: figure.value for figure in self.shipper.collect()}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.node.reporter.log_shipper.LONGEST_PAUSE_S", 0.2)


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


@pytest.mark.parametrize(
    "error", [AWAY, DENIED, ZeroDivisionError("a surprise")], ids=["away", "denied", "bug"]
)
def test_while_nothing_is_taken_nothing_is_lost_nor_read_and_it_is_said_once(
    error: Exception, cloud: Cloud, journal: RealJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal.write("before")
    with Running(cloud, journal.directory, tmp_path) as running:
        cloud.until_taken(1)
        cloud.becomes(error)
        journal.write("1")
        cloud.until_refused(1)
        for number in range(2, 2_000):
            journal.write(str(number))
        cloud.until_refused(5)
        # Only what waits is in memory, and no child that reads on.
        figures = running.figures()
        assert 0 < figures[log_shipper.WAITING.name] < 10
        assert figures[log_shipper.FAILURES.name] >= 4
        assert running.journal._child is not None
        assert running.journal._child.returncode is not None
        cloud.becomes(None)
        cloud.until_taken(2_000)
        journal.write("after")
        cloud.until_taken(2_001)
        assert running.figures()[log_shipper.WAITING.name] == 0
    assert [text.rpartition(" ")[2] for text in cloud.taken] == [
        "before",
        *map(str, range(1, 2_000)),
        "after",
    ]
    told = [record.message for record in caplog.records if record.name == log_shipper.__name__]
    assert len(told) == 2
    assert told[0].startswith("CloudWatch does not take the logs: ")
    assert told[1] == "logs are shipped again"


def test_a_restart_in_an_outage_loses_nothing(cloud: Cloud, journal: RealJournal, tmp_path: Path) -> None:
    journal.write("before")
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_taken(1)
        cloud.becomes(AWAY)
        journal.write("meanwhile")
        cloud.until_refused(2)
    with Running(cloud, journal.directory, tmp_path):
        cloud.until_refused(4)
        cloud.becomes(None)
        cloud.until_taken(2)
    assert cloud.stored() == ["before", "meanwhile"]


@pytest.mark.parametrize("code", sorted(log_stream.NEVER_TAKEN))
def test_a_call_that_never_will_be_taken_does_not_hold_up_the_next(
    code: str, cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    cloud.becomes(refusal(code))
    journal.write("1")
    journal.write("2")
    with Running(cloud, journal.directory, tmp_path) as running:
        cloud.until_refused(1)
        cloud.becomes(None)
        journal.write("3")
        cloud.until_taken(1)
        assert running.figures()[log_shipper.DROPPED.name] == 2
    assert cloud.stored() == ["3"]


def test_what_boto3_itself_refuses_is_never_taken() -> None:
    assert log_stream.never_taken(ParamValidationError(report="no"))
    assert not log_stream.never_taken(AWAY)
    assert not log_stream.never_taken(DENIED)


def test_events_that_are_too_old_or_too_new_do_not_hold_up_the_others(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    now_s = time.time()
    journal.write("too old", now_s - 15 * 86_400)
    journal.write("old", now_s - 13 * 86_400)
    journal.write("too new", now_s + 3 * 3_600)
    journal.write("new", now_s)
    with Running(cloud, journal.directory, tmp_path) as running:
        cloud.until_taken(2)
    assert cloud.stored() == ["old", "new"]
    assert running.figures()[log_shipper.DROPPED.name] == 2


def test_a_clock_that_was_set_back_is_no_reason_to_be_refused(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    now_s = time.time()
    for shift_s in (0, -90_000, -3_600, 10, -5):
        journal.write(f"{shift_s:+d}", now_s + shift_s)
    with Running(cloud, journal.directory, tmp_path) as running:
        cloud.until_taken(5)
    assert sorted(cloud.stored()) == ["+0", "+10", "-3600", "-5", "-90000"]
    assert running.figures()[log_shipper.FAILURES.name] == 0


def test_events_that_the_answer_refuses_are_counted_and_said_once(
    cloud: Cloud, journal: RealJournal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.answer = {"rejectedLogEventsInfo": {"expiredLogEventEndIndex": 1}}
    with Running(cloud, journal.directory, tmp_path) as running:
        for number in range(3):
            journal.write(str(number))
            cloud.until_taken(number + 1)
    assert cloud.calls >= 3
    assert running.figures()[log_shipper.DROPPED.name] == 3
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "CloudWatch refuses log events: some are too old or too new for it"
    ]


def test_its_own_complaints_are_shipped_and_bring_no_others(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    class IntoTheJournal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            journal.write(record.getMessage(), unit="isochrone-reporter.service")

    handler = IntoTheJournal()
    logger = logging.getLogger(log_shipper.__name__)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        cloud.becomes(refusal("InvalidParameterException"))
        journal.write("1")
        with Running(cloud, journal.directory, tmp_path) as running:
            # Its complaint is the second call, which is refused as well, and there is no third.
            cloud.until_refused(2)
            assert running.stop.wait(0.5) is False
            assert cloud.calls == 2
            cloud.becomes(AWAY)
            journal.write("2")
            cloud.until_refused(6)
            cloud.becomes(None)
            cloud.until_taken(3)
            assert running.stop.wait(0.5) is False
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    complaints = [text.partition(" INFO ")[2].partition(":")[0] for text in cloud.taken]
    assert complaints == ["2", "CloudWatch does not take the logs", "logs are shipped again"]


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


def test_a_log_group_that_comes_later_gets_everything(
    cloud: Cloud, journal: RealJournal, tmp_path: Path
) -> None:
    cloud.client.delete_log_group(logGroupName=GROUP)
    journal.write("1")
    with Running(cloud, journal.directory, tmp_path) as running:
        with cloud.happens:
            assert cloud.happens.wait_for(lambda: cloud.calls >= 3, WAIT_S)
        assert running.figures()[log_shipper.FAILURES.name] >= 1
        cloud.client.create_log_group(logGroupName=GROUP)
        cloud.until_taken(1)
    assert cloud.stored() == ["1"]


def test_a_stream_that_is_there_is_used(cloud: Cloud) -> None:
    stream = LogStream(GROUP, lambda: MACHINE, lambda: cloud)
    stream._name, stream._client = MACHINE, cloud
    cloud.client.create_log_stream(logGroupName=GROUP, logStreamName=MACHINE)
    stream._make()
    assert stream.put([Event(int(time.time() * 1000), "x")]) == 0


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_refused_events_are_never_more_than_were_sent(old: int, expired: int, new: int, sent: int) -> None:
    info = {
        "tooOldLogEventEndIndex": min(old, sent),
        "expiredLogEventEndIndex": min(expired, sent),
        "tooNewLogEventStartIndex": min(new, sent),
    }
    assert 0 <= log_stream.refused(info, sent) <= sent
    assert log_stream.refused({}, sent) == 0
    assert log_stream.refused({"tooNewLogEventStartIndex": sent - 1}, sent) == 1


def test_a_journalctl_that_ends_is_said_once_and_started_again(
    cloud: Cloud, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started = tmp_path / "started"
    code = f"import sys; open({str(started)!r}, 'a').write('x'); sys.exit('no journal files')"
    with Running(cloud, tmp_path, tmp_path, (sys.executable, "-c", code)) as running:
        deadline_s = time.monotonic() + WAIT_S
        while not started.exists() or len(started.read_text()) < 4:
            assert time.monotonic() < deadline_s
            running.stop.wait(0.02)
    assert [record.message for record in caplog.records] == [
        "the journal cannot be followed: journalctl has ended (1): no journal files"
    ]


ENDS = """
import json, re, sys, time
after = next((int(re.search(";i=([0-9]+)", word)[1]) for word in sys.argv if "cursor=" in word), 0)
for number in range(after + 1, after + 4):
    cursor = f"s={'0' * 32};i={number};b={'1' * 32};m=1;t=1;x=1"
    at = str(int(time.time() * 1e6))
    print(json.dumps({"__CURSOR": cursor, "__REALTIME_TIMESTAMP": at, "MESSAGE": str(number)}))
"""


def test_what_a_journalctl_has_written_before_it_ends_is_shipped(cloud: Cloud, tmp_path: Path) -> None:
    with Running(cloud, tmp_path, tmp_path, (sys.executable, "-c", ENDS), send_s=WAIT_S):
        cloud.until_taken(9)
    assert cloud.stored()[:9] == [str(number) for number in range(1, 10)]


def test_a_machine_without_journalctl_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(JournalError, match="cannot start /nowhere: No such file"),
        Journal(tmp_path, ("/nowhere",)).following(None),
    ):
        pass


def test_nothing_is_started_after_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.end()
    with pytest.raises(JournalError), journal.following(None):
        pass


def read_all(tmp_path: Path, code: str) -> tuple[list[bytes], int]:
    """All lines that a program writes, and how many it left out."""
    found: list[bytes] = []
    with Journal(tmp_path, (sys.executable, "-c", code)).following(None) as lines:
        try:
            while True:
                found += lines.read(WAIT_S)
        except JournalError as error:
            assert str(error) == "journalctl has ended (0): it does not say why"  # noqa: PT017
        return found, lines.too_long


def test_an_entry_that_is_too_long_is_left_out_and_no_other(tmp_path: Path) -> None:
    long = 3 * MOST_LINE_BYTES
    code = f"print('first'); print('x' * {long}); print('second'); print(); print('y' * 100_000); print('z')"
    found, too_long = read_all(tmp_path, code)
    assert found == [b"first", b"second", b"y" * 100_000, b"z"]
    assert too_long == 1


def test_a_line_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    code = "import sys, time; sys.stdout.write('half'); sys.stdout.flush(); time.sleep(600)"
    with Journal(tmp_path, (sys.executable, "-c", code)).following(None) as lines:
        assert lines.read(WAIT_S) == ()
        assert lines.read(0.01) == ()
