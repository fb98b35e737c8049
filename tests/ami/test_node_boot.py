"""A machine boots into its role, again and again; with anything wrong it starts nothing and says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from ami.errors import AmiError
from ami.node import address, paths, sql_accounts
from ami.node.boot import Boot
from ami.node.certificates import parse, self_signed
from ami.node.document import decode
from ami.node.imds import Imds
from ami.node.sql_authorities import SqlAuthoritiesError, ensure
from ami.node.system import Done
from infra.flows import Role
from tests.ami.node_fakes import (
    HOME,
    Metadata,
    Programs,
    account,
    disk,
    facts,
    launch,
    metadata,
    put_pool,
    put_secrets,
    text,
)

AUTHORITIES = self_signed(("rds.example",)).chain


class Started:
    """A machine that AWS has just started, in an account of moto's with its stack's secrets and addresses."""

    def __init__(self, root: Path, endpoint: str, service: Metadata, told: str) -> None:
        self.service = service
        self.disk, self.given = disk(root)
        self.run = Programs()
        self.fetched = 0
        self.imds = Imds(endpoint, patience_s=0)
        self.agent = Boot(self.imds, self.disk, self.run, sleep=lambda _: None, fetch=self.fetch)
        service.values["meta-data/instance-id"] = launch()
        self.document = decode(told)
        put_secrets(self.document)
        if self.document.address_pool:
            put_pool(self.document, 1)

    def fetch(self) -> str:
        self.fetched += 1
        return AUTHORITIES

    def tell(self, told: str) -> None:
        self.service.values["user-data"] = told

    def read(self, path: Path) -> str:
        return self.disk.at(path).read_text()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sql_accounts, "make", lambda *_: None)
    with account():

        def starting(stack: str, role: Role) -> Started:
            told = text(stack, role)
            service.values.update(facts(told))
            return Started(tmp_path, endpoint, service, told)

        with metadata({}) as (endpoint, service):
            yield starting


@pytest.mark.parametrize(
    ("stack", "role"),
    [("baseline", "node"), ("geo-i", "node"), ("geo-ii", "node"), ("geo-ii", "core"), ("geo-ii", "redis"),
     ("geo-ii", "monitoring")],
)  # fmt: skip
def test_a_machine_of_every_role_boots(start: Any, stack: str, role: Role) -> None:
    machine = start(stack, role)
    plan = machine.agent.boot()
    assert machine.run.started() == list(plan.units)
    assert machine.run.calls[-1].startswith("systemctl start --no-block ")
    for file in plan.files:
        assert machine.read(file.path) == file.text
        assert machine.given[file.path] == (file.owner, file.group)
    for directory in plan.directories:
        assert machine.disk.at(directory.path).is_dir()
    assert json.loads(machine.read(paths.DOCUMENT)) == json.loads(text(stack, role))


def test_a_node_has_an_address_of_its_pool_before_anything_is_started(start: Any) -> None:
    machine = start("geo-i", "node")
    machine.agent.boot()
    (held,) = (
        a
        for a in boto3.client("ec2", HOME).describe_addresses()["Addresses"]
        if a.get("InstanceId") == machine.imds.instance_id()
    )
    assert {tag["Value"] for tag in held["Tags"]} == {"isochrone-geo-i-node-eu-west-1"}


def test_without_a_certificate_a_node_begins_with_its_own_for_its_names(start: Any) -> None:
    machine = start("geo-i", "node")
    machine.agent.boot()
    assert parse(machine.read(paths.CERTIFICATE)).names == (
        "play.market.example",
        "eu-west-1.play.market.example",
    )


def test_a_database_is_made_once(start: Any) -> None:
    machine = start("baseline", "node")
    machine.agent.boot()
    machine.disk.at(paths.MARIADB_DATA / "mysql").mkdir()
    machine.agent.boot()
    assert sum(call.startswith("mariadb-install-db") for call in machine.run.calls) == 1


def test_a_reboot_asks_for_everything_anew(start: Any) -> None:
    machine = start("geo-ii", "redis")
    machine.agent.boot()
    machine.service.values["meta-data/instance-id"] = "i-another"
    machine.service.values["meta-data/local-ipv4"] = "10.4.0.78"
    machine.agent.boot()
    assert "replica-announce-ip 10.4.0.78" in machine.read(paths.REDIS)


def test_a_machine_that_booted_again_is_back_in_dns(start: Any) -> None:
    machine = start("geo-i", "node")
    machine.disk.at(paths.RUNTIME).mkdir(parents=True)
    machine.disk.at(paths.DRAINING).touch()
    machine.agent.boot()
    assert not machine.disk.at(paths.DRAINING).exists()


def no_secret(machine: Started) -> None:
    boto3.client("secretsmanager", HOME).delete_secret(
        SecretId=machine.document.secrets.read["token-key"], ForceDeleteWithoutRecovery=True
    )


def bad_secret(machine: Started) -> None:
    client = boto3.client("secretsmanager", HOME)
    client.put_secret_value(
        SecretId=machine.document.secrets.read["redis-password"], SecretString="two words"
    )


def bad_certificate(machine: Started) -> None:
    client = boto3.client("secretsmanager", HOME)
    client.put_secret_value(SecretId=machine.document.secrets.read["tls-certificate"], SecretString="none")


def no_address(machine: Started) -> None:
    for found in boto3.client("ec2", HOME).describe_addresses()["Addresses"]:
        boto3.client("ec2", HOME).release_address(AllocationId=found["AllocationId"])


def no_user_data(machine: Started) -> None:
    del machine.service.values["user-data"]


def no_role(machine: Started) -> None:
    told = json.loads(text("geo-ii", "node"))
    del told["role"]
    machine.tell(json.dumps(told))


def another_region(machine: Started) -> None:
    machine.service.values["meta-data/placement/region"] = "us-east-1"


def no_memory_for_secrets(machine: Started) -> None:
    machine.run.answers = {"findmnt": Done(0, "ext4")}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_user_data, "has no user data"),
        (no_role, "role: is missing"),
        (another_region, "is for eu-west-1 and the machine is in us-east-1"),
        (no_secret, "isochrone/geo-ii/token-key: ResourceNotFoundException"),
        (bad_secret, "password has a character"),
        (bad_certificate, "has 0 keys and 0 certificates"),
        (no_memory_for_secrets, "is not in memory"),
        (no_address, "no address of the pool"),
    ],
)
def test_with_anything_wrong_nothing_is_started(
    start: Any, monkeypatch: pytest.MonkeyPatch, spoil: Any, message: str
) -> None:
    machine = start("geo-ii", "node")
    spoil(machine)
    real = address.take
    monkeypatch.setattr(address, "take", lambda *a, **k: real(*a, **{**k, "patience_s": 0}))
    with pytest.raises(AmiError, match=message):
        machine.agent.boot()
    assert machine.run.started() == []


def test_the_authorities_of_sql_are_fetched_once_and_only_where_they_are_needed(start: Any) -> None:
    machine = start("geo-ii", "core")
    machine.agent.boot()
    machine.agent.boot()
    assert machine.fetched == 1
    assert machine.read(paths.SQL_AUTHORITIES) == AUTHORITIES


def no_way(machine: Started) -> None:
    def fetch() -> str:
        raise OSError("no way there")

    machine.agent = replace(machine.agent, fetch=fetch)


def test_without_the_authorities_a_core_stays_out(start: Any) -> None:
    machine = start("geo-ii", "core")
    no_way(machine)
    with pytest.raises(SqlAuthoritiesError):
        machine.agent.boot()
    assert machine.run.started() == []


def test_without_the_authorities_a_node_serves_and_says_that_it_reads_no_history(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    machine = start("geo-i", "node")
    no_way(machine)
    machine.agent.boot()
    assert "nginx.service" in machine.run.started()
    assert "history cannot be read: " in caplog.text


def test_the_baseline_fetches_none(start: Any) -> None:
    machine = start("baseline", "node")
    machine.agent.boot()
    assert machine.fetched == 0


@pytest.mark.parametrize("answer", [OSError("no way there"), "<html>"])
def test_without_the_authorities_sql_is_not_trusted(tmp_path: Path, answer: OSError | str) -> None:
    def fetch() -> str:
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(SqlAuthoritiesError, match="without them no SQL server is trusted"):
        ensure(disk(tmp_path)[0], fetch)
    assert not disk(tmp_path)[0].at(paths.SQL_AUTHORITIES).exists()
