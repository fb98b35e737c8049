"""A process whose clock is not the machine's."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from lab import clocks


def clock_of(clock: Path) -> float:
    """The time that a process is told, less the machine's."""
    said = subprocess.run(
        [*clocks.prefix(clock), "date", "+%s.%N"], capture_output=True, text=True, check=True
    ).stdout
    return float(said) - time.time()


def test_a_clock_is_right_until_it_is_set(tmp_path: Path) -> None:
    assert clock_of(tmp_path / "clock") == pytest.approx(0, abs=60)


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_is_so_far_off(tmp_path: Path, ahead_s: float) -> None:
    clocks.set_clock(tmp_path / "clock", ahead_s)
    assert clock_of(tmp_path / "clock") == pytest.approx(ahead_s, abs=60)


def test_redis_runs_on_such_a_clock(tmp_path: Path) -> None:
    done = subprocess.run(
        [*clocks.prefix(tmp_path / "clock"), "redis-server", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Redis server")
