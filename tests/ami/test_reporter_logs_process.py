"""The reporter as a process that ships logs: it is found out who the machine is, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from moto.server import ThreadedMotoServer

from ami.node import paths
from ami.node.imds import ENDPOINT_VARIABLE
from ami.node.reporter.log_shipper import CURSOR_FILE
from tests.ami.journals import RealJournal
from tests.ami.node_fakes import bare_document
from tests.image.metadata import Metadata, serve
from tests.service.conftest import end, free_port, until

ROOTFS = Path(__file__).parents[2] / "ami" / "rootfs"
# Two reporters load AWS's library, each on a machine that may do much else.
pytestmark = pytest.mark.timeout(240)

REGION = "eu-west-1"
MACHINE = "i-0123456789abcdef0"
GROUP = "/isochrone/geo-ii/core"


@dataclass
class World:
    """What is around a reporter: AWS, the metadata service, a journal and a document."""

    client: Any
    journal: RealJournal
    directory: Path
    environment: dict[str, str]
    running: ExitStack

    def start(self) -> subprocess.Popen[str]:
        """A reporter, which is ended with the test."""
        argv = ["--document", str(self.directory / "document.json"), "--secrets", str(self.directory)]
        argv += ["--address", "127.0.0.1", "--state", str(self.directory)]
        process = subprocess.Popen(
            [sys.executable, "-m", "ami.node.reporter", *argv, "--journal", str(self.journal.directory)],
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        self.running.enter_context(process)
        self.running.callback(end, process)
        return process

    def stored(self) -> list[str]:
        found = self.client.get_log_events(logGroupName=GROUP, logStreamName=MACHINE, startFromHead=True)
        return [event["message"].rpartition(" ")[2] for event in found["events"]]

    def shipped(self, before: str = "") -> str:
        """Wait until a cursor is kept, which is one other than before; it is kept after all of its batch."""
        kept = self.directory / CURSOR_FILE
        until(lambda: kept.exists() and kept.read_text() != before, "a cursor", timeout_s=90)
        return kept.read_text()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    aws = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    aws.start()
    metadata = serve(Metadata(MACHINE, REGION, "127.0.0.1", None), "127.0.0.1", 0)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    host, port = aws.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "logs",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_log_group(logGroupName=GROUP)
    journal = RealJournal(tmp_path / "journal")
    (tmp_path / "document.json").write_text(json.dumps(bare_document(free_port())))
    environment = {
        **os.environ,
        **keys,
        "AWS_ENDPOINT_URL": endpoint,
        ENDPOINT_VARIABLE: f"http://127.0.0.1:{metadata.server_address[1]}",
    }
    with ExitStack() as running:
        yield World(client, journal, tmp_path, environment, running)
    journal.close()
    client.delete_log_group(logGroupName=GROUP)
    client.close()
    metadata.shutdown()
    metadata.server_close()
    aws.stop()


def child(process: subprocess.Popen[str]) -> psutil.Process:
    """The journalctl of a reporter."""
    found: list[psutil.Process] = []

    def started() -> bool:
        found[:] = [each for each in psutil.Process(process.pid).children() if each.name() == "journalctl"]
        return bool(found)

    until(started, "journalctl")
    return found[0]


def test_sigterm_ends_it_at_once_with_its_child_and_the_next_one_goes_on(world: World) -> None:
    world.journal.write("1")
    first = world.start()
    place = world.shipped()
    assert world.stored() == ["1"]
    follows = child(first)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    assert psutil.wait_procs([follows], 5)[1] == []
    assert first.stderr is not None
    said = first.stderr.read()
    assert "journal" not in said
    assert "Traceback" not in said
    world.journal.write("2")
    world.start()
    world.shipped(place)
    assert world.stored() == ["1", "2"]


def test_a_reporter_that_is_killed_leaves_no_child(world: World) -> None:
    process = world.start()
    follows = child(process)
    process.kill()
    process.wait(10)
    assert psutil.wait_procs([follows], 10)[1] == []


def settings(path: str) -> dict[str, str]:
    text = (ROOTFS / path).read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_the_unit_has_a_place_to_keep_the_cursor() -> None:
    unit = settings("etc/systemd/system/isochrone-reporter.service")
    assert Path("/var/lib") / unit["StateDirectory"] == paths.REPORTER_STATE
    assert unit["ProtectSystem"] == "strict"
    # Without an account of its own it is root, who may read the journal.
    assert "User" not in unit


def test_the_journal_outlives_a_reboot_and_does_not_fill_the_disk() -> None:
    journald = settings("etc/systemd/journald.conf.d/isochrone.conf")
    assert journald["Storage"] == "persistent"
    assert journald["SystemMaxUse"] == "512M"
    # CloudWatch takes nothing that is older.
    assert journald["MaxRetentionSec"] == "14day"
