"""Prometheus is told of all machines by the one that lists them, whichever that is at present."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from ami.node import paths, targets
from ami.node.document import Scraping
from tests.ami.node_fakes import HOME, account, disk, document, launch

LISTED = [{"targets": ["10.4.0.5:9100"], "labels": {"role": "node", "region": HOME}}]


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with account():
        yield


def scraping() -> Scraping:
    told = document("geo-ii", "monitoring").scraping
    assert told is not None
    return told


def start(role: str, stack: str = "geo-ii") -> str:
    instance = launch(HOME, **{"isochrone:stack": stack, "isochrone:role": role})
    found = boto3.client("ec2", HOME).describe_instances(InstanceIds=[instance])
    return str(found["Reservations"][0]["Instances"][0]["PrivateIpAddress"])


def answering(answers: dict[str, bytes]) -> tuple[Callable[[str], bytes], list[str]]:
    asked: list[str] = []

    def ask(url: str) -> bytes:
        asked.append(url)
        host = urlsplit(url).hostname or ""
        if host not in answers:
            raise ConnectionRefusedError("refused")
        return answers[host]

    return ask, asked


def test_the_machines_are_those_that_the_steward_lists(tmp_path: Path) -> None:
    steward = start("core")
    start("node")
    start("core", "geo-i")
    ask, asked = answering({steward: json.dumps(LISTED).encode()})
    where, _ = disk(tmp_path)
    assert targets.refresh(scraping(), where, ask)
    assert json.loads(where.at(paths.TARGETS).read_text()) == LISTED
    assert asked == [f"http://{steward}:9100/targets"]


def test_when_one_steward_is_away_the_other_is_asked(tmp_path: Path) -> None:
    stewards = [start("core"), start("core")]
    where, _ = disk(tmp_path)
    for present in stewards:
        where.at(paths.TARGETS).unlink(missing_ok=True)
        ask, _ = answering({present: json.dumps(LISTED).encode()})
        assert targets.refresh(scraping(), where, ask)
        assert json.loads(where.at(paths.TARGETS).read_text()) == LISTED


@pytest.mark.parametrize("answer", [b"<html>", b'{"targets": []}', b'[{"labels": {}}]'])
def test_nonsense_leaves_what_was_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    steward = start("core")
    where, _ = disk(tmp_path)
    targets.refresh(scraping(), where, answering({steward: json.dumps(LISTED).encode()})[0])
    assert not targets.refresh(scraping(), where, answering({steward: answer})[0])
    assert json.loads(where.at(paths.TARGETS).read_text()) == LISTED
    assert f"http://{steward}:9100/targets" in caplog.text


def test_when_nobody_lists_them_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not targets.refresh(scraping(), disk(tmp_path)[0], answering({})[0])
    assert "no machine lists the others yet" in caplog.text
