"""Geo-II as it is on AWS: nodes with Redis replicas in eight regions, SQL replicas in five."""

from __future__ import annotations

from infra.addresses import REDIS_HOST
from infra.flows import Place
from infra.regions import REGIONS
from tests.infra.cloud.every_machine import EveryMachine
from tests.infra.cloud.every_network import EveryNetwork
from tests.infra.cloud.every_store import EveryStore
from tests.infra.cloud.every_watch import EveryWatch, records
from tests.infra.cloud.view import View

STACK = "geo-ii"


class TestNetwork(EveryNetwork):
    pass


class TestMachine(EveryMachine):
    pass


class TestStore(EveryStore):
    pass


class TestWatch(EveryWatch):
    pass


class TestThesis:
    def test_eight_regions_have_a_latency_route(self, view: View) -> None:
        found = records(view, view.site.play_name)
        assert {record["Region"] for record in found} == set(REGIONS)

    def test_five_replicas_copy_from_ireland(self, view: View) -> None:
        master = view.server("eu-west-1")
        replicas = {arn.split(":")[3] for arn in master["ReadReplicaDBInstanceIdentifiers"]}
        assert replicas == {"us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "sa-east-1"}

    def test_nodes_read_from_the_servers_of_the_thesis(self, view: View) -> None:
        read = {
            region: document["sql"]["read"]["host"].split(".")[2]
            for region in REGIONS
            for document in view.told(Place("node", region))
        }
        assert read == {
            **{region: region for region in REGIONS},
            "ap-southeast-2": "ap-southeast-1",
            "us-west-1": "us-west-2",
        }

    def test_nodes_read_live_state_from_their_own_redis_and_write_to_the_master(self, view: View) -> None:
        master = str(view.site.addresses["eu-west-1"].host(0, REDIS_HOST))
        for region in REGIONS:
            (document,) = view.told(Place("node", region))
            assert document["redis"]["runs"] == "replica"
            assert document["redis"]["read"]["host"] == "127.0.0.1"
            assert document["redis"]["master"]["host"] == master

    def test_no_two_nodes_of_different_regions_that_do_not_read_from_each_other_are_joined(
        self, view: View
    ) -> None:
        home = {frozenset(("eu-west-1", region)) for region in REGIONS if region != "eu-west-1"}
        reading = {frozenset(("us-west-1", "us-west-2")), frozenset(("ap-southeast-1", "ap-southeast-2"))}
        of = {vpc["VpcId"]: region for region in REGIONS for vpc in view.vpcs(region)}
        found = {frozenset(of[vpc] for vpc in peering.vpcs) for peering in view.networks.peerings.values()}
        assert found == home | reading
