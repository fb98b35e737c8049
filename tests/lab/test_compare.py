"""A whole comparison, small: the command, its result, its exit status, and what it leaves behind."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import result as results
from infra.regions import REGIONS
from lab import namespaces
from lab.waiting import until

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from isochrone import main; main()")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the servers' own users can reach; pytest's are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="isochrone-compare-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def name() -> str:
    return f"t{secrets.token_hex(3)}"


def command(place: Path, name: str, *arguments: str) -> list[str]:
    return [
        *COMMAND,
        *(
            "compare",
            *arguments,
            "--name",
            name,
            "--state-dir",
            str(place / "state"),
            "--out",
            str(place / "out"),
        ),
    ]


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=170)


@pytest.mark.timeout(180)
def test_all_three_architectures_are_run_measured_and_proven(place: Path, name: str) -> None:
    done = run(command(place, name, "--users", "48", "--ramp", "2", "--duration", "12", "--json"))
    assert done.returncode == 0, done.stderr
    found = results.decode(done.stdout.encode())
    assert found == results.decode((place / "out/result.json").read_bytes())
    assert list(found.architectures) == ["baseline", "geo-i", "geo-ii"]
    for measured in found.architectures.values():
        assert (measured.users.connected, measured.users.failed, measured.users.lost) == (48, 0, 0)
        assert measured.errors == {}
        assert measured.ledger.balanced
        assert measured.ledger.acknowledged == measured.ledger.rows > 0
        assert measured.broadcasts.received > 0
        assert (measured.broadcasts.missed, measured.broadcasts.duplicate) == (0, 0)
        assert set(measured.latency_ms["handshake"].by_region) == set(REGIONS)
        assert measured.meters.slm.avg is not None
        assert measured.meters.crum.avg is not None
        assert measured.roles["node"].network_out_mib_min > 0
    sydney = {
        architecture: {
            quantity: latency.by_region["ap-southeast-2"].p50 or 0.0
            for quantity, latency in measured.latency_ms.items()
        }
        for architecture, measured in found.architectures.items()
    }
    assert sydney["baseline"]["handshake"] > 3 * 309 > 10 * sydney["geo-i"]["handshake"]
    assert sydney["geo-i"]["read"] > 309 > 5 * sydney["geo-ii"]["read"]
    assert all(quantities["prediction"] > 309 for quantities in sydney.values())
    assert all(quantities["broadcast"] > 154 for quantities in sydney.values())
    report = (place / "out/report.html").read_text()
    assert all(architecture in report for architecture in found.architectures)
    assert namespaces.existing(f"{name}.") == []


@pytest.mark.timeout(120)
def test_the_blocking_control_suffers_and_its_money_still_adds_up(place: Path, name: str) -> None:
    arguments = (
        "geo-i",
        "--users",
        "160",
        "--ramp",
        "2",
        "--duration",
        "16",
        "--data-path",
        "blocking",
        "--json",
    )
    done = run(command(place, name, *arguments))
    measured = results.decode(done.stdout.encode()).architectures["geo-i"]
    assert measured.data_path == "blocking"
    assert measured.ledger.balanced
    assert measured.ledger.acknowledged > 0
    assert (measured.latency_ms["prediction"].by_region["ap-southeast-2"].p50 or 0.0) > 2 * 309.6


@contextmanager
def under_load(place: Path, name: str, architecture: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A comparison that has come as far as its load, and would go on for a minute."""
    argv = command(place, name, architecture, "--users", "16", "--ramp", "1", "--duration", "60", *more)
    with subprocess.Popen(argv, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as process:
        users = f"{name}.users-sa-east-1"

        def has_load() -> bool | None:
            assert process.poll() is None, process.stderr and process.stderr.read()
            return any(b"bench.worker" in cmdline(pid) for pid in namespaces.processes([users])) or None

        until("the load", has_load, timeout_s=60)
        yield process


@pytest.mark.timeout(120)
def test_a_comparison_that_is_killed_is_cleaned_up_by_lab_down(place: Path, name: str) -> None:
    with under_load(place, name, "geo-ii") as process:
        process.kill()
    down = run([*COMMAND, "lab", "down", "--name", name, "--state-dir", str(place / "state")])
    assert down.returncode == 0, down.stderr
    assert namespaces.existing(f"{name}.") == []
    assert not (place / "state" / name).exists()


@pytest.mark.timeout(120)
def test_a_terminated_comparison_leaves_nothing_behind(place: Path, name: str, few: Path) -> None:
    with under_load(place, name, "baseline", "--stacks", str(few)) as process:
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.communicate()[1]
    assert process.returncode == 130
    assert namespaces.existing(f"{name}.") == []


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("geo-iii",), "there are stacks baseline, geo-i, geo-ii"),
        (("--matrix", "1999"), "choose one of 2017, 2024"),
        (("--users", "0"), "users"),
        (("--data-path", "psychic"), "data-path"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_to_do(
    place: Path, name: str, arguments: tuple[str, ...], said: str
) -> None:
    done = run(command(place, name, *arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
