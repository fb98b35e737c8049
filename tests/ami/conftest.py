"""What the tests of the shipped logs share: moto's server, and a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.ami.journals import RealJournal
from tests.ami.shipping import GROUP, Cloud


@pytest.fixture(scope="module")
def logs_server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def cloud(logs_server: str) -> Iterator[Cloud]:
    client = boto3.client(
        "logs",
        region_name="eu-west-1",
        endpoint_url=logs_server,
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


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.node.reporter.log_shipper.LONGEST_PAUSE_S", 0.2)
