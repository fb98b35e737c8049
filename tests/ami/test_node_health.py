"""A machine is given up only when it could serve and no longer can, and while it is not going anyway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ami.node import aws as calls
from ami.node import paths, probes
from ami.node.group import GroupError, Status
from ami.node.health import FAILURES, Health, Member, keeps_data, member
from ami.node.system import Done
from infra.flows import Role
from tests.ami.node_fakes import HOME, Programs, account, disk, document, text


class Told:
    """What the group was told, or why it could not be; `waits` while the hook of a launch does."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self.waits = True
        self.broken = False

    def has_launched(self) -> None:
        self._reached()
        assert self.waits
        self.waits = False

    def report(self, status: Status) -> None:
        self._reached()
        assert not self.waits
        self.statuses.append(status)

    def _reached(self) -> None:
        if self.broken:
            raise GroupError("nodes could not be told")


class Patient:
    """A machine whose probe answers what a test says, and what it tells."""

    def __init__(self, root: Path) -> None:
        self.problem: str | None = None
        self.told = Told()
        self.disk = disk(root)[0]
        self.health = Health((lambda: self.problem,), self.told, self.disk)

    def look(self, problem: str | None, times: int = 1) -> list[Status]:
        self.problem = problem
        for _ in range(times):
            self.health.look()
        return self.told.statuses


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def test_a_machine_that_can_serve_says_so_once(patient: Patient) -> None:
    assert patient.look(None, 5) == ["Healthy"]


def test_a_machine_that_could_never_serve_is_not_replaced_by_another_like_it(patient: Patient) -> None:
    assert patient.look("no secret", 10 * FAILURES) == []


def test_the_group_waits_for_a_machine_until_it_can_serve_and_is_told_so_once(
    patient: Patient,
) -> None:
    patient.look("no secret", 3)
    assert patient.told.waits
    patient.look(None, 3)
    assert not patient.told.waits


def test_a_machine_that_no_longer_can_is_given_up_after_so_many_looks_in_a_row(patient: Patient) -> None:
    patient.look(None)
    patient.look("502", FAILURES - 1)
    patient.look(None)
    assert patient.look("502", FAILURES - 1) == ["Healthy"]
    assert patient.look("502") == ["Healthy", "Unhealthy"]
    assert patient.look("502", FAILURES) == ["Healthy", "Unhealthy"]


def test_a_machine_that_comes_back_before_it_is_replaced_says_so(patient: Patient) -> None:
    patient.look(None)
    patient.look("502", FAILURES)
    assert patient.look(None)[-1] == "Healthy"


def test_a_machine_that_drains_is_not_given_up(patient: Patient) -> None:
    patient.look(None)
    marker = patient.disk.at(paths.DRAINING)
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert patient.look("503 draining", 2 * FAILURES) == ["Healthy"]


def test_a_group_that_cannot_be_told_is_told_later(patient: Patient) -> None:
    patient.told.broken = True
    assert patient.look(None, 2) == []
    patient.told.broken = False
    assert patient.look(None) == ["Healthy"]
    patient.told.broken = True
    assert patient.look("502", FAILURES + 1) == ["Healthy"]
    patient.told.broken = False
    assert patient.look("502") == ["Healthy", "Unhealthy"]


@pytest.fixture
def aws() -> Iterator[Any]:
    with account():
        yield boto3.client("autoscaling", HOME)


def test_the_group_has_the_status_that_the_machine_says(aws: Any) -> None:
    told = document("geo-i", "node")
    assert told.group is not None
    aws.create_launch_configuration(
        LaunchConfigurationName="nodes", ImageId="ami-12c6146b", InstanceType="m3.xlarge"
    )
    aws.create_auto_scaling_group(
        AutoScalingGroupName=told.group.name,
        MinSize=2,
        MaxSize=2,
        LaunchConfigurationName="nodes",
        AvailabilityZones=[f"{HOME}a"],
    )

    def statuses() -> dict[str, str]:
        found = aws.describe_auto_scaling_instances()["AutoScalingInstances"]
        return {each["InstanceId"]: each["HealthStatus"] for each in found}

    sick, other = statuses()
    group = member(told, sick)
    assert group is not None
    group.report("Unhealthy")
    assert {k: v.title() for k, v in statuses().items()} == {sick: "Unhealthy", other: "Healthy"}


@pytest.fixture
def group(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Member:
    """The group of a machine, which calls `aws`."""
    monkeypatch.setattr(calls, "client", lambda *_: aws)
    found = member(document("geo-i", "node"), "i-1")
    assert found is not None
    return found


def test_a_group_that_refuses_is_named_with_what_it_was_not_told(aws: Any, group: Member) -> None:
    with Stubber(aws) as stubber:
        stubber.add_client_error("set_instance_health", "ResourceContentionFault", "You must retry.")
        with pytest.raises(
            GroupError,
            match=r"isochrone-geo-i-node-\S+ could not be told that this machine is Healthy: Resource",
        ):
            group.report("Healthy")


HOOK = {
    "LifecycleHookName": "launch",
    "AutoScalingGroupName": "isochrone-geo-i-node-eu-west-1",
    "LifecycleActionResult": "CONTINUE",
    "InstanceId": "i-1",
}


def test_a_machine_that_can_serve_completes_the_hook_of_its_launch(aws: Any, group: Member) -> None:
    with Stubber(aws) as stubber:
        stubber.add_response("complete_lifecycle_action", {}, HOOK)
        group.has_launched()
        stubber.assert_no_pending_responses()


def test_a_machine_for_which_nobody_waits_has_nothing_to_complete(aws: Any, group: Member) -> None:
    with Stubber(aws) as stubber:
        for message in ("No active Lifecycle Action found with instance ID i-1", "Name is too long"):
            stubber.add_client_error("complete_lifecycle_action", "ValidationError", message)
        group.has_launched()
        with pytest.raises(GroupError, match="be told that i-1 can serve: ValidationError: Name is too"):
            group.has_launched()


def test_a_machine_whose_document_names_no_hook_of_its_launch_completes_none(aws: Any) -> None:
    told = json.loads(text("geo-i", "node"))["group"]
    del told["launch-hook"]
    group = member(document("geo-i", "node", group=told), "i-1")
    assert group is not None
    with Stubber(aws) as stubber:
        group.has_launched()
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("command", ["health", "drain", "certificate"])
def test_what_says_little_to_aws_loads_its_library_when_it_does(command: str) -> None:
    look = f"import sys, ami.node.commands.{command}; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("stack", "role", "reports"),
    [
        ("geo-i", "node", True),
        ("geo-ii", "node", True),
        ("geo-ii", "core", True),
        ("baseline", "node", False),
        ("geo-ii", "redis", False),
    ],
)
def test_a_machine_that_keeps_the_data_is_not_replaced_on_its_own_word(
    aws: Any, stack: str, role: Role, reports: bool
) -> None:
    assert (member(document(stack, role), "i-1") is not None) is reports


def test_the_only_copy_of_the_data_is_on_the_baselines_node_and_the_redis_machine() -> None:
    keeping = [
        (stack, role)
        for stack, role in (("baseline", "node"), ("geo-ii", "node"), ("geo-ii", "redis"), ("geo-ii", "core"))
        if keeps_data(document(stack, role))  # type: ignore[arg-type]
    ]
    assert keeping == [("baseline", "node"), ("geo-ii", "redis")]


@pytest.mark.parametrize(
    ("stack", "role", "count"),
    [("geo-ii", "node", 1), ("geo-ii", "core", 3), ("geo-ii", "redis", 1), ("geo-ii", "monitoring", 1)],
)
def test_every_machine_has_something_that_has_to_be_right(
    stack: str, role: Role, count: int, tmp_path: Path
) -> None:
    assert len(list(probes.probes(document(stack, role), disk(tmp_path)[0], Programs()))) == count


def test_a_unit_that_does_not_run_is_named(tmp_path: Path) -> None:
    run = Programs({"systemctl is-active": Done(3, "failed")})
    probe, *_ = probes.probes(document("geo-ii", "core"), disk(tmp_path)[0], run)
    assert probe() == "market-ledger.service is failed"
    assert run.calls == ["systemctl is-active market-ledger.service"]


def test_a_redis_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("x")
    assert (probes.answers(1, password) or "").startswith("redis: ")
    assert (probes.answers(1, tmp_path / "none") or "").startswith("redis: ")


def test_a_node_that_does_not_listen_is_a_problem() -> None:
    assert "refused" in (probes.serves("eu-west-1.play.market.example", port=1) or "")


@pytest.mark.parametrize(("status", "problem"), [(200, None), (503, "prometheus: 503 not yet")])
def test_prometheus_is_right_once_it_says_that_it_is_ready(status: int, problem: str | None) -> None:
    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"not yet" if self.path == "/-/ready" else b"another page"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            assert probes.ready(server.server_port) == problem
        finally:
            server.shutdown()
            thread.join()
    assert "refused" in (probes.ready(1) or "")
