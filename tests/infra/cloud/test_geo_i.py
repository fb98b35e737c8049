"""Geo-I as it is on AWS: a node in each of eight regions, data in Ireland."""

from __future__ import annotations

from infra.flows import Place
from infra.regions import REGIONS
from tests.infra.cloud.every_machine import EveryMachine
from tests.infra.cloud.every_network import EveryNetwork
from tests.infra.cloud.every_store import EveryStore
from tests.infra.cloud.every_watch import EveryWatch
from tests.infra.cloud.view import View

STACK = "geo-i"


class TestNetwork(EveryNetwork):
    pass


class TestMachine(EveryMachine):
    pass


class TestStore(EveryStore):
    pass


class TestWatch(EveryWatch):
    pass


class TestThesis:
    def test_eight_nodes_share_one_redis_and_one_sql_server_in_ireland(self, view: View) -> None:
        (redis,) = view.instances("redis")
        server = view.server("eu-west-1")
        for region in REGIONS:
            (document,) = view.told(Place("node", region))
            assert document["redis"]["runs"] is None
            assert document["redis"]["read"]["host"] == redis["PrivateIpAddress"]
            assert document["sql"]["read"]["host"] == server["Endpoint"]["Address"]

    def test_a_region_is_joined_with_home_only(self, view: View) -> None:
        (home,) = view.vpcs("eu-west-1")
        assert len(view.networks.peerings) == 7
        assert all(home["VpcId"] in peering.vpcs for peering in view.networks.peerings.values())
