"""The baseline as it is on AWS: one machine in Ireland with everything on it."""

from __future__ import annotations

from infra.flows import Place
from tests.infra.cloud.every_machine import EveryMachine
from tests.infra.cloud.every_network import EveryNetwork
from tests.infra.cloud.every_store import EveryStore
from tests.infra.cloud.every_watch import EveryWatch, pool, records
from tests.infra.cloud.refusals.dns import dotted
from tests.infra.cloud.view import View

STACK = "baseline"


class TestNetwork(EveryNetwork):
    pass


class TestMachine(EveryMachine):
    pass


class TestStore(EveryStore):
    pass


class TestWatch(EveryWatch):
    pass


class TestThesis:
    def test_one_machine_runs_everything(self, view: View) -> None:
        (group,) = view.groups("eu-west-1", "node")
        assert (group["MinSize"], group["MaxSize"]) == (1, 1)
        (document,) = view.told(Place("node", "eu-west-1"))
        assert {"api", "nginx", "redis", "mariadb", "ledger", "resolver", "feed"} <= set(document["services"])
        assert document["api-processes"] == 16

    def test_data_outlives_the_machine(self, view: View) -> None:
        (group,) = view.groups("eu-west-1", "node")
        (disk,) = [m["Ebs"] for m in view.template("eu-west-1", group)["BlockDeviceMappings"]]
        assert not disk["DeleteOnTermination"]

    def test_there_is_one_address(self, view: View) -> None:
        (record,) = records(view, view.site.play_name)
        assert dotted(record["AliasTarget"]["DNSName"]) == "eu-west-1.play.market.example."
        assert len(pool(view, "eu-west-1")) == 1
