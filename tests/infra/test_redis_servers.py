"""The Redis machines: the master at its fixed address, standbys in other zones, data that outlives them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.boot import DATA_DEVICE
from infra.redis_servers import RedisServers, RedisServersArgs
from tests.infra.components import ReadyNetwork, site
from tests.infra.recorded import Registered, of_type, registered


def declared(stack: str = "geo-ii", standbys: int = 0, **changes: Any) -> list[Registered]:
    where = site(stack, **changes)
    where = replace(where, architecture=replace(where.architecture, zones=3))
    told = [f'{{"index":{index}}}' for index in range(1 + standbys)]
    return registered(
        lambda: RedisServers(
            "redis",
            RedisServersArgs(where, ReadyNetwork("eu-west-1", "redis"), "ami-1", "profile-1", told),
        )
    )


def test_the_master_is_where_every_node_looks_for_it() -> None:
    (machine,) = of_type(declared(), "Instance").values()
    assert machine.inputs["privateIp"] == "10.4.128.10"
    assert machine.inputs["subnetId"] == "eu-west-1-isolated-0"
    assert machine.inputs["instanceType"] == "m2.xlarge"
    assert machine.inputs["vpcSecurityGroupIds"] == ["eu-west-1-redis"]


def test_standbys_are_in_zones_of_their_own_and_told_their_own_document() -> None:
    machines = of_type(declared(standbys=2), "Instance").values()
    assert sorted(m.inputs["subnetId"] for m in machines) == [f"eu-west-1-isolated-{i}" for i in range(3)]
    assert sorted(m.inputs["userData"] for m in machines) == [f'{{"index":{i}}}' for i in range(3)]


@pytest.mark.parametrize("protect", [True, False])
def test_data_is_on_an_encrypted_volume_of_its_own_that_protection_keeps(protect: bool) -> None:
    found = declared(protect=protect)
    (volume,) = of_type(found, "Volume").values()
    assert volume.protect is protect
    assert volume.inputs["encrypted"] is True
    # Whose change the provider sends to AWS as a modification of nothing, which AWS refuses.
    assert "finalSnapshot" not in volume.inputs
    assert (volume.inputs["size"], volume.inputs["iops"], volume.inputs["type"]) == (140, 4000, "io1")
    (attachment,) = of_type(found, "VolumeAttachment").values()
    assert attachment.inputs["deviceName"] == DATA_DEVICE
    assert attachment.inputs["stopInstanceBeforeDetaching"] is True


def test_a_new_image_does_not_replace_the_master() -> None:
    (machine,) = of_type(declared(), "Instance").values()
    assert machine.ignores == ["ami"]
