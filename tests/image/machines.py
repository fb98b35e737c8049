"""Machines that boot: a guest that is told who it is, with a way in at every port that a role may serve."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.node.probes import serves
from tests.image import cloud, user
from tests.image.guest import Guest, running

METRICS_PORT: Final = 19100
REDIS_PORT: Final = 16379
PROMETHEUS_PORT: Final = 19090
HTTP_PORT: Final = 18080
FORWARDS: Final = {
    user.HTTPS_PORT: 443,
    HTTP_PORT: 80,
    METRICS_PORT: 9100,
    REDIS_PORT: 6379,
    PROMETHEUS_PORT: 9090,
}
COMPANIONS: Final = {"isochrone-health", "isochrone-drain", "isochrone-reporter"}
"""What every machine runs once it has booted."""

STANDING_BACK: Final = 5
"""Of most machines: the baseline's node, which has the most tests, is to be done when the others are."""

SERVICES: Final = "'nginx.*' 'redis-*' 'mariadb.*' 'prometheus*' 'grafana*' 'market-*' 'isochrone-*'"


@dataclass(frozen=True)
class Host:
    """What guests are run on: the image, how, and a directory for each."""

    disk: Path
    accelerator: str
    directory: Path

    @contextmanager
    def booted(
        self,
        machine: cloud.Machine,
        files: Mapping[str, str] | None = None,
        *,
        memory_mib: int = 2048,
        niceness: int = STANDING_BACK,
    ) -> Iterator[Guest]:
        """A guest that is the machine, switched on, with `files` in it."""
        directory = self.directory / f"{machine.settings.stack}-{machine.settings.role}"
        directory.mkdir()
        guest = Guest(
            directory,
            self.disk,
            FORWARDS,
            files={cloud.SDK_FILE: cloud.SDK_SETTINGS, **(files or {})},
            memory_mib=memory_mib,
            accelerator=self.accelerator,
            niceness=niceness,
        )
        with cloud.told(machine.metadata), running(guest):
            yield guest


def services(guest: Guest) -> set[str]:
    """The services of any role that run, without their ends, and without those that have only a beginning."""
    states = "--state=active,activating,reloading"
    listed = guest.run(f"systemctl list-units --type=service {states} --plain --no-legend {SERVICES}")
    once = {"isochrone-boot", "isochrone-growroot", "isochrone-agent"}
    return {line.split()[0].removesuffix(".service") for line in listed.splitlines()} - once


def says(guest: Guest, text: str) -> None:
    """Wait until the machine's console has a text."""
    guest.until(
        f"its console says {text!r}", lambda: True if text in " ".join(guest.console.split()) else None
    )


def healthy(guest: Guest, aws: cloud.Cloud) -> None:
    """Wait until the machine has told its group that it can serve, and nothing else."""
    guest.until("it reports healthy", lambda: aws.group.health() or None)
    assert aws.group.health() == ["Healthy"]


def in_service(guest: Guest, machine: cloud.Machine) -> None:
    """Wait until a node answers its health check from outside."""
    name = machine.settings.names.regional
    guest.until("it serves", lambda: serves(name, user.HTTPS_PORT) is None or None)


def can_serve(guest: Guest) -> None:
    """Wait until a machine without a group says so in its log."""
    guest.until(
        "it says that it can serve",
        lambda: guest.run("journalctl -u isochrone-health -g 'can serve' -o cat") or None,
    )


def page(path: str, port: int = METRICS_PORT) -> str:
    """What the machine answers on its private side."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return str(answer.read().decode())


@dataclass(frozen=True)
class Logged:
    """An event of a machine's log stream; `at_ms` is Unix time (ms)."""

    at_ms: int
    text: str


def logged(aws: cloud.Cloud, machine: cloud.Machine) -> list[Logged]:
    """What is on CloudWatch Logs of a machine: in its role's group, in the stream of its id."""
    client = aws.client("logs", machine.settings.region)
    group = f"/isochrone/{machine.settings.stack}/{machine.settings.role}"
    try:
        found = client.get_log_events(
            logGroupName=group, logStreamName=machine.instance_id, startFromHead=True
        )
    except client.exceptions.ResourceNotFoundException:
        return []
    return [Logged(event["timestamp"], event["message"]) for event in found["events"]]


def all_is_logged(guest: Guest, events: list[Logged]) -> None:
    """Compare with the machine's own journal: CloudWatch has its beginning, and nothing twice."""
    entries = "journalctl --quiet --merge --priority=info --output=json --output-fields=PRIORITY"
    listed = guest.run(f"{entries} | grep -o '__REALTIME_TIMESTAMP[^,]*'")
    written = [int(re.sub(r"\D", "", at_us)) // 1000 for at_us in listed.splitlines()]
    assert len(written) >= len(events)
    assert sorted(written[: len(events)]) == [event.at_ms for event in events]


def figure(guest: Guest, name: str) -> float:
    """The value of a metric that has no labels, as soon as the machine tells it."""

    def told() -> float | None:
        lines = [line for line in page("/metrics").splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else None

    return guest.until(f"the machine tells {name}", told)
