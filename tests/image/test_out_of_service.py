"""A machine that is told nothing, or lacks a secret, stays out of service; its console says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image import cloud, metadata
from tests.image.guest import ADDRESS, Guest, running

NOT_STARTED = ("nginx", "redis-server", "mariadb", "market-api@0", "market-ledger")


@pytest.fixture
def told() -> Iterator[metadata.Metadata]:
    """A machine without user data."""
    machine = metadata.Metadata("i-0123456789abcdef0", "eu-west-1", ADDRESS, None)
    server = metadata.serve(machine)
    yield machine
    server.shutdown()
    server.server_close()


def test_a_machine_without_a_role_and_then_without_its_secrets(
    told: metadata.Metadata, disk: Path, accel: str, tmp_path: Path, own_network: None
) -> None:
    with cloud.serving() as aws:
        files = {cloud.SDK_FILE: cloud.SDK_SETTINGS}
        guest = Guest(tmp_path, disk, {}, files=files, accelerator=accel)
        with running(guest):
            says(guest, "this machine stays out of service: this machine has no user data")
            assert started(guest) == []
            node = cloud.machine(aws, "baseline", "node", "eu-west-1")
            for name in node.settings.secrets.read.values():
                if name.endswith("token-key"):
                    aws.client("secretsmanager", "eu-west-1").delete_secret(
                        SecretId=name, ForceDeleteWithoutRecovery=True
                    )
            told.answers.update(node.metadata.answers)
            says(guest, "secrets cannot be read in eu-west-1: isochrone/baseline/token-key")
            assert started(guest) == []


def says(guest: Guest, text: str) -> None:
    guest.until(
        f"its console says {text!r}", lambda: True if text in " ".join(guest.console.split()) else None
    )


def started(guest: Guest) -> list[str]:
    def active() -> str:
        return guest.run(f"systemctl is-active {' '.join(NOT_STARTED)} || true", timeout_s=20)

    states = guest.until("the probe answers", active)
    return [unit for unit, state in zip(NOT_STARTED, states.split(), strict=True) if state != "inactive"]
