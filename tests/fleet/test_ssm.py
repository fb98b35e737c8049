"""Scripts through Systems Manager: on moto, and what only a real one would say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from fleet import ssm
from fleet.errors import FleetError
from fleet.machines import Machine
from fleet.ssm import Answer, Sent, Ssm
from tests.fleet.conftest import HOME, Cloud, stack

HERE, THERE = (
    Machine(HOME, "load", "i-0123456789abcdef0"),
    Machine("us-east-1", "load", "i-0123456789abcdef1"),
)


@dataclass
class Scripted:
    """A transport whose answers are given, one for each look; the last one stays."""

    answers: dict[str, list[Answer]]
    cancelled: list[str] = field(default_factory=list)
    refuses: str = ""

    def send(self, machine: Machine, script: str, bound_s: float, comment: str) -> Sent:
        if machine.instance_id == self.refuses:
            raise FleetError("no such machine")
        return Sent(machine, machine.instance_id, bound_s)

    def answer(self, sent: Sent) -> Answer:
        answers = self.answers[sent.command_id]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def cancel(self, sent: Sent) -> None:
        self.cancelled.append(sent.command_id)
        raise FleetError("it has ended")


RUNNING, DONE = Answer("running"), Answer("done", "42")


def test_a_script_is_sent_to_the_machine_in_its_region_with_its_bound(cloud: Cloud) -> None:
    site = stack()
    cloud.start(site, "load", HOME)
    (machine,) = cloud.machines(site)
    (answer,) = ssm.run(Ssm(cloud.client), [machine], "echo hello", 90.7, "a test" * 50)
    assert answer.state == "done"
    (command,) = cloud.client("ssm", HOME).list_commands()["Commands"]
    assert command["InstanceIds"] == [machine.instance_id]
    assert command["DocumentName"] == "AWS-RunShellScript"
    assert command["Parameters"] == {"commands": ["echo hello"], "executionTimeout": ["90"]}
    assert len(command["Comment"]) == 100


@pytest.fixture
def stubbed() -> Iterator[tuple[Ssm, Stubber]]:
    client = boto3.client("ssm", HOME, aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        yield Ssm(lambda *_: client), stubber


SENT = Sent(HERE, "00000000-0000-0000-0000-000000000001", 60)


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ({"Status": "Pending"}, Answer("running")),
        ({"Status": "Delayed"}, Answer("running")),
        ({"Status": "InProgress", "StandardOutputContent": "so far"}, Answer("running", "so far")),
        ({"Status": "Success", "StandardOutputContent": "all"}, Answer("done", "all")),
        ({"Status": "Failed", "StandardErrorContent": "no room"}, Answer("failed", "", "no room")),
        (
            {"Status": "TimedOut", "StatusDetails": "DeliveryTimedOut"},
            Answer("failed", "", "DeliveryTimedOut"),
        ),
        ({"Status": "Cancelled", "StatusDetails": "Cancelled"}, Answer("failed", "", "Cancelled")),
    ],
)
def test_a_status_says_how_far_a_script_is(
    stubbed: tuple[Ssm, Stubber], answered: dict[str, Any], expected: Answer
) -> None:
    transport, stubber = stubbed
    stubber.add_response("get_command_invocation", answered)
    assert transport.answer(SENT) == expected


def test_a_command_that_is_not_known_yet_is_under_way(stubbed: tuple[Ssm, Stubber]) -> None:
    transport, stubber = stubbed
    stubber.add_client_error("get_command_invocation", "InvocationDoesNotExist")
    assert transport.answer(SENT).state == "running"


def test_a_machine_without_an_agent_is_named(stubbed: tuple[Ssm, Stubber]) -> None:
    transport, stubber = stubbed
    stubber.add_client_error("send_command", "InvalidInstanceId")
    with pytest.raises(FleetError, match=r"i-0123456789abcdef0 \(load in eu-west-1\) cannot be .* no agent"):
        transport.send(HERE, "true", 60, "a test")


def test_all_answers_are_waited_for_and_come_in_the_order_of_the_machines() -> None:
    transport = Scripted(
        {HERE.instance_id: [RUNNING, RUNNING, Answer("done", "here")], THERE.instance_id: [DONE]}
    )
    looks: list[None] = []
    sent = ssm.send(transport, [(HERE, "x", 1), (THERE, "x", 1)], "a test")
    answers = ssm.wait(sent, transport, lambda _: None, lambda: looks.append(None))
    assert [answer.output for answer in answers] == ["here", "42"]
    assert len(looks) == 3


def test_one_that_fails_has_the_others_cancelled_and_is_told() -> None:
    failed = Answer("failed", "", "a trace\nof what happened\n")
    transport = Scripted({HERE.instance_id: [RUNNING], THERE.instance_id: [RUNNING, failed]})
    with pytest.raises(
        FleetError, match=r"i-0123456789abcdef1 \(load in us-east-1\) failed: of what happened"
    ):
        ssm.run(transport, [HERE, THERE], "x", 1, "a test", lambda _: None)
    assert HERE.instance_id in transport.cancelled


def test_one_that_cannot_be_sent_has_those_before_it_cancelled() -> None:
    transport = Scripted({HERE.instance_id: [RUNNING]}, refuses=THERE.instance_id)
    with pytest.raises(FleetError, match="no such machine"):
        ssm.run(transport, [HERE, THERE], "x", 1, "a test", lambda _: None)
    assert transport.cancelled == [HERE.instance_id]


def test_an_interruption_has_all_cancelled() -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    transport = Scripted({HERE.instance_id: [RUNNING], THERE.instance_id: [DONE]})
    with pytest.raises(KeyboardInterrupt):
        ssm.run(transport, [HERE, THERE], "x", 1, "a test", interrupt)
    assert transport.cancelled == [HERE.instance_id]


def test_one_that_does_not_end_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr("fleet.ssm.time.monotonic", lambda: next(now))
    transport = Scripted({HERE.instance_id: [RUNNING]})
    with pytest.raises(FleetError, match="did not end in time"):
        ssm.run(transport, [HERE], "x", 60, "a test", lambda _: None)
    assert transport.cancelled == [HERE.instance_id]
