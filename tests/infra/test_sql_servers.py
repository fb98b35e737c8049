"""One master at home, replicas that follow it or one another, each encrypted in its region, none open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.architecture import Volume
from infra.flows import network_regions
from infra.hardware import THESIS_SQL_CLASSES
from infra.replicas import Limits
from infra.sql_servers import SqlServers, SqlServersArgs
from infra.stackfile import parse
from tests.infra.components import ReadyNetwork, site
from tests.infra.recorded import Registered, registered
from tests.infra.stack_files import changed, config_of, text_of

INSTANCE = "aws:rds/instance:Instance"


def servers(stack: str = "geo-ii", limits: Limits | None = None, **changes: Any) -> dict[str, Registered]:
    """What is registered, by type and logical name."""
    where = site(stack, **changes)
    if limits:
        where = site(stack, sql=replace(where.architecture.sql, limits=limits), **changes)

    def program() -> None:
        networks = {region: ReadyNetwork(region, "sql") for region in network_regions(where.architecture)}
        SqlServers("sql", SqlServersArgs(where, networks, "the-password"))

    return {f"{r.type} {r.name}": r for r in registered(program)}


def server(region: str, **more: Any) -> Registered:
    return servers(**more)[f"{INSTANCE} sql-{region}"]


def test_the_master_is_the_thesis_s_in_a_class_that_can_be_ordered() -> None:
    inputs = server("eu-west-1").inputs
    assert inputs["instanceClass"] == THESIS_SQL_CLASSES["db.r3.2xlarge"]
    assert (inputs["allocatedStorage"], inputs["iops"], inputs["storageType"]) == (100, 1000, "io1")
    assert (inputs["engine"], inputs["engineVersion"]) == ("mariadb", "10.11")
    assert inputs["backupRetentionPeriod"] == 7


def test_replicas_follow_the_master_and_are_encrypted_with_their_region_s_key() -> None:
    found = servers()
    replicas = [r for key, r in found.items() if key.startswith(INSTANCE) and "replicateSourceDb" in r.inputs]
    assert {r.inputs["region"] for r in replicas} == {
        "us-east-1",
        "us-west-2",
        "ap-southeast-1",
        "ap-northeast-1",
        "sa-east-1",
    }
    for replica in replicas:
        assert "sql-eu-west-1" in replica.depends_on or "eu-west-1" in str(
            replica.inputs["replicateSourceDb"]
        )
        assert replica.inputs["region"] in replica.inputs["kmsKeyId"]
        assert "backupRetentionPeriod" not in replica.inputs
        assert not {"username", "password", "dbName", "engine"} & set(replica.inputs)


def test_a_larger_disk_is_one_of_every_server() -> None:
    """RDS raises the size of none but the server that it is told of, and a replica that is full stops."""
    sql = site("geo-ii").architecture.sql
    larger = replace(sql, volume=Volume(200, iops=1000))
    sizes = [
        r.inputs["allocatedStorage"] for key, r in servers(sql=larger).items() if key.startswith(INSTANCE)
    ]
    assert sizes == [200] * 6


def test_a_server_may_take_hours() -> None:
    """AWS: a replica in another region can; the provider's own limits are 50 and 80 minutes."""
    for key, found in servers().items():
        if key.startswith(INSTANCE):
            assert found.timeouts == {"create": "4h", "update": "4h"}


@pytest.mark.parametrize(("version", "raised"), [("10.11", True), ("10.11.6", False)])
def test_rds_raises_the_patch_level_where_none_is_named(version: str, raised: bool) -> None:
    sql = replace(site("geo-ii").architecture.sql, engine_version=version)
    for key, found in servers(sql=sql).items():
        if key.startswith(INSTANCE):
            assert found.inputs["autoMinorVersionUpgrade"] is raised


def test_another_series_has_another_group_that_is_there_before_the_first_goes() -> None:
    groups = {}
    for version in ("10.11", "10.11.6", "11.4"):
        found = servers("geo-i", sql=replace(site("geo-i").architecture.sql, engine_version=version))
        groups[version] = found["aws:rds/parameterGroup:ParameterGroup sql-eu-west-1"]
        server = found[f"{INSTANCE} sql-eu-west-1"].inputs
        assert server["parameterGroupName"] == groups[version].inputs["name"]
        assert server["allowMajorVersionUpgrade"] is True
        assert groups[version].deletes_first is False
    names = {version: group.inputs["name"] for version, group in groups.items()}
    assert names == {
        "10.11": "isochrone-geo-i-sql-mariadb10-11",
        "10.11.6": "isochrone-geo-i-sql-mariadb10-11",
        "11.4": "isochrone-geo-i-sql-mariadb11-4",
    }


def test_a_replica_that_others_follow_keeps_backups() -> None:
    found = servers(limits=Limits(replicas_per_source=5, chain_length=3, region_crossings=2))
    sydney, singapore = found[f"{INSTANCE} sql-ap-southeast-2"], found[f"{INSTANCE} sql-ap-southeast-1"]
    assert "ap-southeast-1" in sydney.inputs["replicateSourceDb"]
    assert singapore.inputs["backupRetentionPeriod"] == 7


def test_none_is_reachable_from_outside_its_network_and_all_are_encrypted() -> None:
    for key, found in servers().items():
        if key.startswith(INSTANCE):
            region = found.inputs["region"]
            assert found.inputs["publiclyAccessible"] is False
            assert found.inputs["storageEncrypted"] is True
            assert found.inputs["vpcSecurityGroupIds"] == [f"{region}-sql"]


@pytest.mark.parametrize("protect", [True, False])
def test_protection_keeps_servers_and_a_last_snapshot_of_the_master(protect: bool) -> None:
    found = servers(protect=protect)
    for key, each in found.items():
        if key.startswith(INSTANCE):
            assert each.protect is protect
            assert each.inputs["deletionProtection"] is protect
    master = found[f"{INSTANCE} sql-eu-west-1"].inputs
    assert master["skipFinalSnapshot"] is not protect
    assert master.get("finalSnapshotIdentifier") == ("isochrone-geo-ii-sql-final" if protect else None)


@pytest.mark.parametrize(("flush", "value"), [("everysec", "2"), ("commit", "1"), (None, "1")])
def test_the_log_is_flushed_at_each_commit_unless_the_file_says_otherwise(
    flush: str | None, value: str
) -> None:
    text = text_of(changed(config_of("geo-i"), {"sql.log-flush": flush} if flush else {}))
    if flush is None:
        config = config_of("geo-i")
        del config["isochrone:sql"]["log-flush"]
        text = text_of(config)
    group = servers("geo-i", sql=parse("geo-i", text).sql)[
        "aws:rds/parameterGroup:ParameterGroup sql-eu-west-1"
    ]
    settings = {each["name"]: each["value"] for each in group.inputs["parameters"]}
    assert settings["innodb_flush_log_at_trx_commit"] == value


def test_the_settings_are_the_thesis_s_and_only_tls_is_spoken() -> None:
    group = servers()["aws:rds/parameterGroup:ParameterGroup sql-eu-west-1"].inputs
    assert group["family"] == "mariadb10.11"
    settings = {each["name"]: each["value"] for each in group["parameters"]}
    assert settings["max_connections"] == "500"
    assert settings["innodb_flush_log_at_trx_commit"] == "2"
    assert settings["require_secure_transport"] == "1"


@pytest.mark.parametrize(("stack", "count"), [("geo-i", 1), ("geo-ii", 6)])
def test_each_region_with_a_server_has_a_key_that_rotates(stack: str, count: int) -> None:
    keys = [r for key, r in servers(stack).items() if key.startswith("aws:kms/key:Key")]
    assert len(keys) == count
    assert all(key.inputs["enableKeyRotation"] for key in keys)
