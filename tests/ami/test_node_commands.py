"""The commands of a machine: their errors on its console, and what each does until it is told to end."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ami.errors import AmiError
from ami.node import __main__ as entry
from ami.node import drain as draining
from ami.node import paths
from ami.node import told as telling
from ami.node.commands import boot, drain
from ami.node.document import DocumentError, decode
from ami.node.imds import MetadataError
from infra.flows import Role
from tests.ami.node_fakes import INSTANCE, Programs, disk, text


@pytest.fixture(autouse=True)
def no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def fail(error: AmiError) -> Any:
    def command(stop: Event) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [(DocumentError("role: is missing;\n a: b"), entry.WRONG), (AmiError("x"), entry.FAILED)],
)
def test_the_console_has_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: AmiError, status: int
) -> None:
    monkeypatch.setattr(boot, "main", fail(error))
    assert entry.main(["boot"]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"isochrone boot: this machine stays out of service: {' '.join(str(error).split())}"


@pytest.mark.parametrize("command", ["health", "drain", "certificate", "targets"])
def test_a_companion_of_a_machine_that_has_not_booted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.setattr(telling, "DOCUMENT", tmp_path / "none.json")
    assert entry.main([command]) == entry.WRONG
    assert "the boot writes it" in capsys.readouterr().err


class Told:
    """A companion's machine, which is its own metadata service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, stack: str, role: Role) -> None:
        self.disk, _ = disk(root)
        self.run = Programs()
        self.stop = Event()
        monkeypatch.setattr(drain, "told", lambda: decode(text(stack, role)))
        monkeypatch.setattr(drain, "Imds", lambda: self)
        monkeypatch.setattr(drain, "Disk", lambda: self.disk)
        monkeypatch.setattr(drain, "run", self.run)
        monkeypatch.setattr(drain, "POLL_S", 0)
        monkeypatch.setattr(draining, "LEAVE_DNS_S", 0)

    def instance_id(self) -> str:
        return INSTANCE


def test_a_machine_that_is_shut_down_leaves_dns_and_leaves_the_rest_to_systemd(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Told(monkeypatch, tmp_path, "geo-i", "node")
    machine.stop.set()
    drain.main(machine.stop)
    assert machine.disk.at(paths.DRAINING).exists()
    assert machine.run.calls == []


def test_a_machine_that_is_to_go_drains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Told(monkeypatch, tmp_path, "geo-i", "node")
    notices = iter([None, MetadataError("away"), "its group ends it"])

    def leaving() -> str | None:
        notice = next(notices)
        if isinstance(notice, MetadataError):
            raise notice
        return notice

    monkeypatch.setattr(machine, "leaving", leaving, raising=False)
    completed: list[str] = []
    monkeypatch.setattr(draining.Drain, "_complete", lambda self: completed.append(self.instance_id))
    drain.main(machine.stop)
    assert machine.run.calls == ["systemctl stop market-api@*.service"]
    assert completed == [INSTANCE]
