"""What AWS refuses of alarms, records, keys and SQL by what is there or is not, and moto takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import dns, identity, sql, watching
from tests.infra.cloud.used_account import HOME, World


def test_an_alarm_that_acts_on_nothing_or_elsewhere(world: World) -> None:
    topic = world.home.client("sns").create_topic(Name="alarms")["TopicArn"]
    watching.action_to_nowhere(world.home, topic)
    policy = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:autoScalingGroupName/x:policyName/y"
    for place, target, message in (
        (world.away, topic, "an alarm in us-east-1 cannot act on"),
        (world.home, topic.replace("alarms", "alerts"), "no topic"),
        (world.home, policy, "no scaling policy"),
        (world.home, "alarms", "cannot act on alarms"),
    ):
        with pytest.raises(RefusedError, match=message):
            watching.action_to_nowhere(place, target)


def record(name: str, **other: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.1"}], **other}


def latency(region: str, identifier: str) -> dict[str, Any]:
    return record("play.market.example", Region=region, SetIdentifier=identifier)


def test_a_record_out_of_its_zone(world: World) -> None:
    with pytest.raises(RefusedError, match="is not in the zone"):
        dns.record_out_of_zone(world.home, world.zone, record("play.othermarket.example"))


def test_records_that_clash(world: World) -> None:
    world.account.client("route53").change_resource_record_sets(
        HostedZoneId=world.zone,
        ChangeBatch={
            "Changes": [
                {"Action": "CREATE", "ResourceRecordSet": latency("eu-west-1", "eu")},
                {"Action": "CREATE", "ResourceRecordSet": record("one.market.example")},
            ]
        },
    )
    dns.clashing_record(world.home, world.zone, latency("us-east-1", "us"))
    for bad, message in (
        (latency("eu-west-1", "other"), "has a record for eu-west-1 already"),
        (latency("us-east-1", "eu"), "has a record eu already"),
        (record("play.market.example"), "of policy Region already"),
        (record("one.market.example"), "of policy simple already"),
        ({**record("one.market.example"), "Type": "CNAME"}, "beside its CNAME"),
    ):
        with pytest.raises(RefusedError, match=message):
            dns.clashing_record(world.home, world.zone, bad)


def test_a_record_that_names_no_health_check(world: World) -> None:
    with pytest.raises(RefusedError, match="no health check nobody"):
        dns.unchecked_health(world.home, record("x.market.example", HealthCheckId="nobody"))


@pytest.mark.parametrize(("target", "message"), [("play", "alias of itself"), ("nowhere", "has no record")])
def test_an_alias_to_nothing(world: World, target: str, message: str) -> None:
    alias = {
        "Name": "play.market.example",
        "Type": "A",
        "AliasTarget": {"DNSName": f"{target}.market.example", "HostedZoneId": world.zone},
    }
    with pytest.raises(RefusedError, match=message):
        dns.alias_to_nothing(world.home, world.zone, alias)


def test_a_key_of_another_region(world: World) -> None:
    key = world.away.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(RefusedError, match="of another region"):
        identity.key_in_region(world.home, key)
    with pytest.raises(RefusedError, match="does not match"):
        identity.alias_of_nothing(world.home, "alias/aws/sql", key)


def test_a_key_that_is_disabled(world: World) -> None:
    kms = world.home.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    with pytest.raises(RefusedError, match="is not enabled"):
        identity.key_in_region(world.home, key)


def test_a_secret_replicated_into_its_own_region(world: World) -> None:
    with pytest.raises(RefusedError, match="cannot have the replicas"):
        identity.replicated_twice(world.home, [HOME])


def test_too_much_policy_in_a_role(world: World) -> None:
    iam = world.account.client("iam")
    trust = '{"Version": "2012-10-17", "Statement": []}'
    iam.create_role(RoleName="wide", AssumeRolePolicyDocument=trust)
    with pytest.raises(RefusedError, match="more than 10240"):
        identity.too_much_in_line(world.home, "wide", "x" * 10_241)


def test_subnets_of_one_zone_or_two_networks(world: World) -> None:
    sql.too_few_zones(world.home, world.subnets)
    with pytest.raises(RefusedError, match="two zones"):
        sql.too_few_zones(world.home, world.subnets[:1])
    with pytest.raises(RefusedError, match="different networks"):
        sql.too_few_zones(world.home, [*world.subnets, world.other_subnet])


def server(world: World, name: str, **other: Any) -> str:
    rds = world.home.client("rds")
    if not rds.describe_db_subnet_groups()["DBSubnetGroups"]:
        rds.create_db_subnet_group(
            DBSubnetGroupName="sql", DBSubnetGroupDescription="sql", SubnetIds=list(world.subnets)
        )
        rds.create_db_parameter_group(
            DBParameterGroupName="old", DBParameterGroupFamily="mariadb10.6", Description="old"
        )
    made: str = rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.medium",
        Engine="mariadb",
        EngineVersion="10.11",
        AllocatedStorage=20,
        MasterUsername="admin",
        MasterUserPassword="correct-horse",
        DBSubnetGroupName="sql",
        VpcSecurityGroupIds=[world.group],
        **other,
    )["DBInstance"]["DBInstanceArn"]
    return made


def test_a_replica_whose_source_has_no_backups(world: World) -> None:
    source = server(world, "bare", BackupRetentionPeriod=0)
    with pytest.raises(RefusedError, match="has no backups"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql"})


def test_a_replica_of_an_encrypted_server_without_a_key_of_its_region(world: World) -> None:
    key = world.home.client("kms").create_key()["KeyMetadata"]["Arn"]
    source = server(world, "locked", BackupRetentionPeriod=7, StorageEncrypted=True, KmsKeyId=key)
    with pytest.raises(RefusedError, match="needs a key of us-east-1"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql"})
    with pytest.raises(RefusedError, match="of another region than us-east-1"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql", "KmsKeyId": key})


def test_a_replica_elsewhere_without_a_subnet_group(world: World) -> None:
    source = server(world, "plain", BackupRetentionPeriod=7)
    with pytest.raises(RefusedError, match="needs a subnet group there"):
        sql.unreplicable(world.away, source, {})
    with pytest.raises(RefusedError, match="is no SQL server"):
        sql.unreplicable(world.away, "arn:aws:rds:eu-west-1:123456789012:cluster:plain", {})


def test_a_server_with_groups_that_do_not_fit(world: World) -> None:
    server(world, "fits", BackupRetentionPeriod=7)
    good = {"DBSubnetGroupName": "sql", "VpcSecurityGroupIds": [world.group]}
    sql.groups_that_do_not_fit(world.home, good, "mariadb", "10.11")
    for bad, message in (
        ({"DBParameterGroupName": "old"}, "of family mariadb10.6"),
        ({"VpcSecurityGroupIds": [world.other_group]}, "another network"),
    ):
        with pytest.raises(RefusedError, match=message):
            sql.groups_that_do_not_fit(world.home, {**good, **bad}, "mariadb", "10.11")
