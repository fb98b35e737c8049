"""journalctl as a child: what it writes, and what happens when it ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ami.node.reporter.journal import MOST_LINE_BYTES, Journal, JournalError
from tests.ami.shipping import WAIT_S, Cloud, Running

pytestmark = pytest.mark.usefixtures("short_pauses")


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
