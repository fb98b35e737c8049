"""The processes of the role: which they are, and what each uses."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from ami.node.reporter.collectors import processes
from ami.node.reporter.collectors.processes import Processes
from ami.node.reporter.errors import MeasuringError
from ami.node.reporter.figures import Figure, Snapshot
from ami.node.reporter.role_processes import Identity, RoleProcess, identify, list_processes

PYTHON = "/opt/isochrone/venv/bin/python3"
API_SOCKET = "/run/market/api-3.sock"


@pytest.mark.parametrize(
    ("program", "argv", "identity"),
    [
        ("nginx", ["nginx: master process /usr/sbin/nginx -c x"], ("nginx", "nginx-master")),
        ("nginx", ["nginx: worker process"], ("nginx", "nginx-worker")),
        ("redis-server", ["/usr/bin/redis-server 127.0.0.1:6379"], ("redis", "redis")),
        ("redis-server", ["redis-server *:26379 [sentinel]"], ("sentinel", "sentinel")),
        ("redis-sentinel", ["/usr/bin/redis-sentinel *:26379 [sentinel]"], ("sentinel", "sentinel")),
        ("mariadbd", ["/usr/sbin/mariadbd", "--defaults-file=/x"], ("mariadb", "mariadb")),
        ("prometheus", ["/usr/bin/prometheus"], ("prometheus", "prometheus")),
        ("market", [PYTHON, "/opt/isochrone/venv/bin/market", "ledger", "-s", "x"], ("ledger", "ledger")),
        ("python3", [PYTHON, "-m", "market.cli", "ledger"], ("ledger", "ledger")),
        ("python3", [PYTHON, "-m", "ami.node.reporter"], ("reporter", "reporter")),
        ("python3", [PYTHON, "-m", "ami.node.reporter", "--document", "x"], ("reporter", "reporter")),
        ("python3", [PYTHON, "-m", "ami.node", "targets"], ("targets", "targets")),
        ("vi", ["vi", "ami.node", "health"], None),
        ("python3", [PYTHON, "-m", "market.cli", "tokens"], None),
        ("vi", ["vi", "market", "notes"], None),
        ("kworker/0:1", [], None),
    ],
)  # fmt: skip
def test_processes_are_known_by_how_they_were_started(
    program: str, argv: list[str], identity: tuple[str, str] | None
) -> None:
    assert identify(program, argv) == (identity and Identity(*identity))


@pytest.mark.parametrize(
    ("where", "process", "listens_at"),
    [(API_SOCKET, "api-3", API_SOCKET), ("127.0.0.1:8000", "api", None)],
)
def test_an_api_process_is_known_by_its_socket(where: str, process: str, listens_at: str | None) -> None:
    argv = [PYTHON, "/opt/isochrone/venv/bin/market", "api", "--settings", "x", "--listen", where]
    assert identify("market", argv) == Identity("api", process, listens_at)


@pytest.fixture
def child() -> Iterator[RoleProcess]:
    """A process that has opened 100 descriptors of the 500 that it may have."""
    program = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500));"
        "opened = [os.open('/dev/null', os.O_RDONLY) for _ in range(100)];"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield RoleProcess(process.pid, Identity("ledger", "ledger"))
        process.kill()


def measured(*running: RoleProcess) -> Snapshot:
    return Snapshot(0, tuple(Processes(lambda: running).collect()))


def test_memory_descriptors_and_processor_time(child: RoleProcess) -> None:
    now = measured(child)
    labels = ("ledger", "ledger", str(child.pid))
    assert now.series(processes.DESCRIPTORS.name)[labels] == psutil.Process(child.pid).num_fds() > 100
    assert now.series(processes.DESCRIPTOR_LIMIT.name)[labels] == 500
    assert now.series(processes.MEMORY.name)[labels] > 1 << 20
    assert now.series(processes.CPU_SECONDS.name)[labels] >= 0


def test_one_that_has_ended_is_left_out(child: RoleProcess) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = RoleProcess(os.getpid(), Identity("reporter", "reporter"))
    now = measured(RoleProcess(ended.pid, Identity("api", "api-0")), here)
    assert {labels[0] for labels in now.series(processes.MEMORY.name)} == {"reporter"}


def test_what_may_not_be_counted_is_absent_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(process: psutil.Process) -> int:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "num_fds", denied)
    here = RoleProcess(os.getpid(), Identity("reporter", "reporter"))
    figures: list[Figure] = []
    with pytest.raises(MeasuringError, match="descriptors of reporter: give the reporter CAP_"):
        figures.extend(Processes(lambda: [here]).collect())
    metrics = {figure.metric for figure in figures}
    assert processes.MEMORY in metrics
    assert processes.DESCRIPTORS not in metrics


def test_running_processes_are_found() -> None:
    program = [sys.executable, "-c", "input()", "-m", "ami.node", "drain"]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as process:
        assert RoleProcess(process.pid, Identity("drain", "drain")) in list(list_processes())
        process.kill()


def test_this_process_has_its_own_limit() -> None:
    here = RoleProcess(os.getpid(), Identity("reporter", "reporter"))
    limit = measured(here).series(processes.DESCRIPTOR_LIMIT.name)
    assert list(limit.values()) == [resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
