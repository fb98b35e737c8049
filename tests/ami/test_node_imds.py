"""The metadata service is asked with a token, for as long as it takes and no longer, and nothing is kept."""

from __future__ import annotations

import socket

import pytest

from ami.node.imds import PAUSE_S, Imds, MetadataError
from ami.node.machine import MachineError, look, memory_mib
from tests.ami.node_fakes import HOME, INSTANCE, Clock, facts, metadata


def test_a_machine_learns_who_and_where_it_is() -> None:
    with metadata(facts("{}")) as (endpoint, asked):
        found = look(Imds(endpoint))
    assert (found.instance_id, found.region, found.address) == (INSTANCE, HOME, "10.4.0.77")
    assert found.cores >= 1
    assert found.memory_mib > 0
    assert asked.tokens == 1


def test_the_id_is_asked_for_each_time() -> None:
    with metadata(facts("{}")) as (endpoint, service):
        imds = Imds(endpoint)
        assert imds.instance_id() == INSTANCE
        service.values["meta-data/instance-id"] = "i-another"
        assert imds.instance_id() == "i-another"


def test_a_token_that_no_longer_holds_is_replaced() -> None:
    clock = Clock()
    with metadata(facts("{}")) as (endpoint, service):
        imds = Imds(endpoint, sleep=clock.sleep)
        imds.region()
        service.tokens = 7
        assert imds.region() == HOME
        assert service.tokens == 8


def test_a_service_that_is_not_there_yet_is_asked_again() -> None:
    clock = Clock()
    with metadata(facts("{}")) as (endpoint, service):
        service.refuse = 3
        assert Imds(endpoint, sleep=clock.sleep).region() == HOME
    assert clock.waits == [PAUSE_S] * 3


def test_a_service_that_stays_away_is_given_up() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(MetadataError, match="does not answer for meta-data/instance-id"):
            Imds(endpoint, patience_s=0).instance_id()


@pytest.mark.parametrize("told", [{}, {"user-data": " \n"}])
def test_a_machine_that_is_told_nothing_says_so(told: dict[str, str]) -> None:
    with metadata(told) as (endpoint, _), pytest.raises(MetadataError, match="has no user data"):
        Imds(endpoint).user_data()


@pytest.mark.parametrize(
    ("values", "leaving"),
    [
        ({}, None),
        ({"meta-data/autoscaling/target-lifecycle-state": "InService"}, None),
        ({"meta-data/autoscaling/target-lifecycle-state": "Terminated"}, "its group ends it"),
        ({"meta-data/spot/instance-action": "{}"}, "AWS takes the spot machine back"),
    ],
)
def test_a_machine_sees_that_it_is_to_go(values: dict[str, str], leaving: str | None) -> None:
    with metadata(values) as (endpoint, _):
        assert Imds(endpoint).leaving() == leaving


def test_a_stand_in_is_named_as_for_the_sdks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://198.18.0.1:80/")
    assert Imds().endpoint == "http://198.18.0.1:80/"


def test_memory_is_read_in_mebibytes() -> None:
    assert memory_mib("MemTotal:       15728640 kB\nMemFree: 1 kB\n") == 15_360
    with pytest.raises(MachineError):
        memory_mib("nothing")
