"""A machine leaves DNS before it sends its users away, and is gone only when they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ami.node import aws, paths
from ami.node.drain import AFTERWARDS, LEAVE_DNS_S, STOP_S, Drain
from ami.node.group import GroupError
from ami.node.system import Done
from infra.flows import Role
from infra.machine_group import DRAIN_S
from tests.ami.node_fakes import HOME, INSTANCE, Programs, account, disk, document

WRITERS = [
    "systemctl stop market-feed.service market-resolver.service",
    "systemctl stop market-ledger.service",
]


class Going:
    """A machine that is to go: its programs and its waits in the order in which they were asked for."""

    def __init__(self, root: Path, stack: str, role: Role) -> None:
        self.document = document(stack, role)
        self.disk = disk(root)[0]
        self.run = Programs()
        self.drain = Drain(self.document, INSTANCE, self.disk, self.run, self.sleep)

    def sleep(self, seconds: float) -> None:
        seen = "503" if self.disk.at(paths.DRAINING).exists() else "200"
        self.run.calls.append(f"wait {seconds:g} s answering {seen}")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The group's API, which moto does not have for this."""
    with account():
        client = boto3.client("autoscaling", HOME)
        monkeypatch.setattr(aws, "client", lambda *_: client)
        with Stubber(client) as stubber:
            yield stubber


def completed(group: str) -> dict[str, Any]:
    return {
        "LifecycleHookName": "drain",
        "AutoScalingGroupName": group,
        "LifecycleActionResult": "CONTINUE",
        "InstanceId": INSTANCE,
    }


def test_a_node_leaves_dns_then_sends_its_users_away_then_tells_its_group(
    tmp_path: Path, hook: Stubber
) -> None:
    going = Going(tmp_path, "geo-i", "node")
    hook.add_response("complete_lifecycle_action", {}, completed("isochrone-geo-i-node-eu-west-1"))
    going.drain.leave("its group ends it")
    assert going.run.calls == [
        f"wait {LEAVE_DNS_S:g} s answering 503",
        "systemctl stop market-api@*.service",
    ]
    hook.assert_no_pending_responses()


def test_a_core_finishes_what_it_has_begun_the_journal_last(tmp_path: Path, hook: Stubber) -> None:
    going = Going(tmp_path, "geo-i", "core")
    hook.add_response("complete_lifecycle_action", {}, completed("isochrone-geo-i-core-eu-west-1"))
    going.drain.leave("its group ends it")
    assert going.run.calls == WRITERS


def test_the_baselines_node_drains_its_journal_last(tmp_path: Path, hook: Stubber) -> None:
    going = Going(tmp_path, "baseline", "node")
    hook.add_response("complete_lifecycle_action", {}, completed("isochrone-baseline-node-eu-west-1"))
    going.drain.leave("its group ends it")
    assert going.run.calls[1:] == ["systemctl stop market-api@*.service", *WRITERS]


def test_a_process_that_does_not_end_holds_up_nobody(tmp_path: Path, hook: Stubber) -> None:
    going = Going(tmp_path, "geo-i", "node")
    going.run.answers = {"systemctl stop": Done(124, "has not ended after 60 s")}
    hook.add_response("complete_lifecycle_action", {}, completed("isochrone-geo-i-node-eu-west-1"))
    going.drain.leave("its group ends it")
    hook.assert_no_pending_responses()


def test_draining_fits_into_the_time_that_the_group_gives() -> None:
    assert LEAVE_DNS_S + (1 + len(AFTERWARDS)) * STOP_S < DRAIN_S


def test_a_group_that_refuses_is_named(tmp_path: Path, hook: Stubber) -> None:
    going = Going(tmp_path, "geo-i", "core")
    hook.add_client_error("complete_lifecycle_action", "ValidationError", "No active Lifecycle Action found")
    with pytest.raises(GroupError, match=r"could not be told that .* has drained: .*No active Lifecycle"):
        going.drain.leave("its group ends it")


def test_a_machine_that_starts_comes_back_to_dns(tmp_path: Path) -> None:
    going = Going(tmp_path, "geo-i", "node")
    going.drain.begin()
    assert going.disk.at(paths.DRAINING).exists()
    going.drain.cancel()
    going.drain.cancel()
    assert not going.disk.at(paths.DRAINING).exists()
