"""A machine takes one address of its own pool, whoever else boots at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend

from ami.node import address
from ami.node.address import AddressError
from ami.node.document import AddressPool, Document
from tests.ami.node_fakes import HOME, account, document, launch, put_pool


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with account():
        yield


def node() -> tuple[Document, AddressPool]:
    told = document("geo-i", "node")
    assert told.address_pool is not None
    return told, told.address_pool


def take(pool: AddressPool, instance: str, patience_s: float = 5.0) -> str:
    return address.take(pool, HOME, instance, patience_s=patience_s, sleep=lambda _: None)


def holders(pool: AddressPool) -> dict[str, str | None]:
    found = boto3.client("ec2", HOME).describe_addresses(
        Filters=[{"Name": f"tag:{pool.tag}", "Values": [pool.value]}]
    )
    return {a["PublicIp"]: a.get("InstanceId") or None for a in found["Addresses"]}


def test_machines_take_different_addresses_of_their_pool() -> None:
    told, pool = node()
    put_pool(told, 3)
    machines = [launch() for _ in range(3)]
    taken = {take(pool, machine): machine for machine in machines}
    assert taken == holders(pool)


def test_a_machine_keeps_its_address_when_it_boots_again() -> None:
    told, pool = node()
    put_pool(told, 3)
    machine = launch()
    first = take(pool, machine)
    assert {take(pool, machine) for _ in range(5)} == {first}
    assert list(holders(pool).values()).count(machine) == 1


def test_a_machine_that_comes_second_tries_another(monkeypatch: pytest.MonkeyPatch) -> None:
    told, pool = node()
    put_pool(told, 2)
    rival, machine = launch(), launch()
    real = ElasticAddressBackend.associate_address
    lost: list[str] = []

    def associate(self: Any, **named: Any) -> Any:
        if not lost:
            lost.append(named["allocation_id"])
            rivals = self.get_instance(rival)
            real(self, instance=rivals, allocation_id=named["allocation_id"])
        return real(self, **named)

    monkeypatch.setattr(ElasticAddressBackend, "associate_address", associate)
    taken = take(pool, machine)
    assert len(lost) == 1
    assert holders(pool)[taken] == machine
    assert set(holders(pool).values()) == {rival, machine}


def test_a_machine_takes_the_lowest_numbered_address_that_is_free() -> None:
    told, pool = node()
    made = put_pool(told, 5, 10, 2, 0, 11)
    found = boto3.client("ec2", HOME).describe_addresses()["Addresses"]
    by_id = {address["AllocationId"]: address["PublicIp"] for address in found}
    wanted = [by_id[made[at]] for at in (2, 1, 0, 3, 4)]
    assert [take(pool, launch()) for _ in range(5)] == wanted


def test_a_machine_that_comes_second_is_given_the_next_address_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, pool = node()
    put_pool(told, 4, 0, 1, 2, 3)
    here = launch()
    rivals = [launch() for _ in range(2)]
    real = address._pool

    def stale(*asked: Any) -> Any:
        """What the pool was before the rivals came."""
        found = real(*asked)
        while rivals:
            monkeypatch.setattr(address, "_pool", real)
            take(pool, rivals.pop())
        return found

    monkeypatch.setattr(address, "_pool", stale)
    taken = address.take(pool, HOME, here, patience_s=0, sleep=lambda _: pytest.fail("it waited"))
    assert holders(pool)[taken] == here
    assert list(holders(pool).values()).count(None) == 1


def test_what_aws_refuses_for_another_reason_is_not_tried_with_every_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, pool = node()
    put_pool(told, 3)
    asked: list[str] = []

    def refuse(_: Any, **named: Any) -> Any:
        asked.append(named["allocation_id"])
        raise EC2ClientError("UnauthorizedOperation", "You are not authorized")

    monkeypatch.setattr(ElasticAddressBackend, "associate_address", refuse)
    with pytest.raises(AddressError, match="UnauthorizedOperation"):
        take(pool, launch(), patience_s=0)
    assert len(asked) == 1


def test_no_address_is_taken_from_another_machine_or_pool() -> None:
    told, pool = node()
    put_pool(told, 1)
    first = launch()
    take(pool, first)
    with pytest.raises(AddressError, match=r"no address of the pool .*: none of its 1 is free"):
        take(pool, launch(), patience_s=0)
    assert list(holders(pool).values()) == [first]


def test_an_empty_pool_is_named() -> None:
    _, pool = node()
    with pytest.raises(AddressError, match=f"no address of the pool {pool.value} in {HOME}: none of its 0"):
        take(pool, launch(), patience_s=0)
