"""Logs while CloudWatch is away, refuses or has no place for them: nothing is lost, and it is said once."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from botocore.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from ami.node.reporter import log_shipper, log_stream
from tests.ami.journals import RealJournal
from tests.ami.shipping import AWAY, DENIED, GROUP, WAIT_S, Cloud, Running, refusal

pytestmark = pytest.mark.usefixtures("short_pauses")


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
