"""What a stack tells its machines is what the image reads, and every mistake in it is told at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ami.node.document import KNOWN_SERVICES, DocumentError, decode
from infra.flows import Role, places
from infra.stackfile import load
from tests.ami.node_fakes import HOME, ROOT, STACKS, document, text


def every_machine() -> list[tuple[str, Role, str]]:
    return [
        (stack, place.role, place.region)
        for stack in STACKS
        for place in places(load(stack, Path(ROOT)))
        if place.role != "sql"
    ]


@pytest.mark.parametrize(("stack", "role", "region"), every_machine())
def test_every_machine_of_every_stack_understands_what_it_is_told(
    stack: str, role: Role, region: str
) -> None:
    told = text(stack, role, region)
    assert json.loads(msgspec.json.encode(decode(told))) == json.loads(told)


def test_every_mistake_is_told_at_once() -> None:
    told: dict[str, Any] = json.loads(text("geo-ii", "node"))
    told["role"] = "sql"
    told["redis"]["master"]["port"] = "6379"
    del told["names"]["play"], told["stack"]
    told["group"] = "nodes"
    with pytest.raises(DocumentError) as refused:
        decode(json.dumps(told))
    for key in ("role: ", "redis.master.port: ", "names.play: is missing", "stack: is missing", "group: "):
        assert key in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"redis": None}, "redis: is null though api needs it"),
        ({"sql": None}, "sql: is null though api needs it"),
        ({"api_processes": 0}, "api-processes: is 0"),
    ],
)
def test_a_service_without_what_it_needs_is_a_mistake(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        document("geo-i", "node", **changes)


def test_a_machine_that_runs_redis_is_told_as_what() -> None:
    told = json.loads(text("geo-ii", "node"))
    told["redis"]["runs"] = None
    with pytest.raises(DocumentError, match=r"redis\.runs: is null"):
        decode(json.dumps(told))


def test_a_machine_that_runs_sql_is_told_when_to_flush_its_log() -> None:
    told = json.loads(text("baseline", "node"))
    told["sql"]["log-flush"] = None
    with pytest.raises(DocumentError, match=r"sql\.log-flush: is null"):
        decode(json.dumps(told))


def test_another_schema_is_not_guessed_at() -> None:
    with pytest.raises(DocumentError, match="schema 2 and this image reads 1: use the image of the stack"):
        document("geo-i", "node", schema=2)


@pytest.mark.parametrize("told", ["", "#!/bin/sh", "[]", "null", b"\xff\xfe"])
def test_other_user_data_is_refused(told: str | bytes) -> None:
    with pytest.raises(DocumentError, match="start the machine from its stack"):
        decode(told)


def test_a_service_that_the_image_does_not_have_is_no_mistake() -> None:
    read = document("geo-i", "monitoring")
    assert read.unknown_services == ("grafana",)
    assert not set(read.unknown_services) & KNOWN_SERVICES


def test_a_document_of_before_there_was_a_hook_of_the_launch_is_read() -> None:
    told = json.loads(text("geo-ii", "node"))
    assert told["group"].pop("launch-hook") == "launch"
    read = decode(json.dumps(told)).group
    assert read is not None
    assert (read.drain_hook, read.launch_hook) == ("drain", None)


def test_a_key_that_came_later_is_left_out() -> None:
    assert document("geo-i", "node", HOME, later="x") == document("geo-i", "node", HOME)
