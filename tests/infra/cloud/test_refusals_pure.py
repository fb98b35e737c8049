"""What AWS refuses by its form alone, and moto takes: the harness refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import (
    dns,
    identity,
    machines,
    network,
    policies,
    scaling,
    sql,
    tags,
    watching,
)

ALARM = {
    "AlarmName": "alarm",
    "Namespace": "AWS/EC2",
    "MetricName": "CPUUtilization",
    "Statistic": "Average",
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 70,
    "Period": 60,
    "EvaluationPeriods": 2,
    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "group"}],
}
LATENCY = {
    "Name": "play.market.example",
    "Type": "A",
    "Region": "eu-west-1",
    "SetIdentifier": "eu-west-1",
    "AliasTarget": {"DNSName": "x", "HostedZoneId": "Z1", "EvaluateTargetHealth": True},
}
ADDRESS = {
    "Name": "eu-west-1.play.market.example",
    "Type": "A",
    "TTL": 60,
    "ResourceRecords": [{"Value": "198.51.100.1"}],
    "SetIdentifier": "one",
    "MultiValueAnswer": True,
}
CHECK = {
    "Type": "HTTPS",
    "IPAddress": "54.12.34.56",
    "Port": 443,
    "ResourcePath": "/healthz",
    "EnableSNI": True,
}
SERVER = {
    "DBInstanceIdentifier": "isochrone-sql",
    "DBInstanceClass": "db.r5.2xlarge",
    "Engine": "mariadb",
    "EngineVersion": "10.11",
    "StorageType": "io1",
    "AllocatedStorage": 100,
    "Iops": 1000,
    "MasterUsername": "market_migrate",
    "MasterUserPassword": "correct-horse",
}
STATEMENT = {"Effect": "Allow", "Action": "ec2:DescribeAddresses", "Resource": "*"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
SIMPLE = {
    "PolicyName": "out",
    "AutoScalingGroupName": "group",
    "PolicyType": "SimpleScaling",
    "AdjustmentType": "ChangeInCapacity",
    "ScalingAdjustment": 1,
}
HOOK = {
    "LifecycleHookName": "drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "DefaultResult": "CONTINUE",
    "HeartbeatTimeout": 300,
}


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def without(good: dict[str, Any], *keys: str, **other: Any) -> dict[str, Any]:
    return {**{key: value for key, value in good.items() if key not in keys}, **other}


BAD: dict[str, tuple[Callable[[], None], str]] = {
    "51 tags": (lambda: tags.check_tags({f"k{i}": "" for i in range(51)}), "more than 50"),
    "a tag of AWS": (lambda: tags.check_tags({"aws:name": "x"}), "begins with aws:"),
    "a long tag": (lambda: tags.check_tags({"Name": "x" * 257}), "too long"),
    "a comma in a tag": (lambda: tags.check_tags({"Name": "one, two"}), "characters"),
    "an odd name": (lambda: tags.check_text("the name", "a b", r"\w+"), "does not match"),
    "a range that begins in the middle": (lambda: network.loose_range("10.1.1.0/16"), "host bits"),
    "a group sg-": (lambda: network.group_misnamed("sg-mine", ""), "sg-mine"),
    "an apostrophe": (lambda: network.rule_misdescribed("the thesis's nodes"), "thesis's"),
    "a rule without a peer": (lambda: network.rule_without_one_peer([]), "not none"),
    "a rule with two peers": (lambda: network.rule_without_one_peer(["cidrIpv4", "cidrIpv6"]), "one peer"),
    "a policy that is no JSON": (lambda: policies.check_policy("{'a'}", principal=False), "not JSON"),
    "an old policy": (
        lambda: policies.check_policy(policy(STATEMENT, version="2008-10-17"), principal=False),
        "not of version",
    ),
    "a trust without a principal": (
        lambda: policies.check_policy(policy(STATEMENT), principal=True),
        "principal",
    ),
    "a permission with a principal": (
        lambda: policies.check_policy(policy(TRUST), principal=False),
        "principal",
    ),
    "a principal of no kind": (
        lambda: policies.check_policy(policy({**TRUST, "Principal": {"Servce": "ec2"}}), principal=True),
        "no principal",
    ),
    "a policy without statements": (lambda: policies.check_policy(policy(), principal=False), "no statement"),
    "an unknown key of a policy": (
        lambda: policies.check_policy('{"Version": "2012-10-17", "Statment": []}', principal=False),
        "Statment",
    ),
    "an effect": (
        lambda: policies.check_policy(policy({**STATEMENT, "Effect": "allow"}), principal=False),
        "effect",
    ),
    "no action": (
        lambda: policies.check_policy(policy(without(STATEMENT, "Action")), principal=False),
        "no action",
    ),
    "an action of no service": (
        lambda: policies.check_policy(policy({**STATEMENT, "Action": "DescribeAddresses"}), principal=False),
        "is no action",
    ),
    "no resource": (
        lambda: policies.check_policy(policy(without(STATEMENT, "Resource")), principal=False),
        "resource",
    ),
    "a Sid with blanks": (
        lambda: policies.check_policy(policy({**STATEMENT, "Sid": "read it"}), principal=False),
        "Sid",
    ),
    "a condition in no form": (
        lambda: policies.check_policy(policy({**STATEMENT, "Condition": {"Bool": "true"}}), principal=False),
        "condition",
    ),
    "a long policy": (
        lambda: policies.check_policy(policy(*[STATEMENT] * 100), principal=False),
        "longer than 6144",
    ),
    "a long role name": (lambda: identity.misnamed("x" * 65), "does not match"),
    "a role's description": (lambda: identity.misdescribed("a tab\u2019s role"), "does not match"),
    "a secret's name": (lambda: identity.secret_misnamed("redis password"), "does not match"),
    "a recovery window": (lambda: identity.secret_gone_wrong(3), "recovery window"),
    "a key's deletion": (lambda: identity.key_gone_wrong(3), "deletion"),
    "a key that nobody may administer": (
        lambda: identity.key_that_locks_out(
            policy({**TRUST, "Action": "kms:*", "Principal": {"AWS": "arn:aws:iam::123456789012:role/one"}}),
            "123456789012",
        ),
        "locks the account out",
    ),
    "a comparison": (
        lambda: watching.alarm_in_wrong_form({**ALARM, "ComparisonOperator": "GreaterThan"}),
        "no comparison",
    ),
    "two statistics": (
        lambda: watching.alarm_in_wrong_form({**ALARM, "ExtendedStatistic": "p98"}),
        "or an extended one",
    ),
    "a statistic": (lambda: watching.alarm_in_wrong_form({**ALARM, "Statistic": "Mean"}), "no statistic"),
    "a percentile": (
        lambda: watching.alarm_in_wrong_form(without(ALARM, "Statistic", ExtendedStatistic="p981")),
        "no percentile",
    ),
    "missing data": (
        lambda: watching.alarm_in_wrong_form({**ALARM, "TreatMissingData": "notbreaching"}),
        "missing data",
    ),
    "no threshold": (lambda: watching.alarm_in_wrong_form(without(ALARM, "Threshold")), "threshold"),
    "a period": (lambda: watching.alarm_in_wrong_form({**ALARM, "Period": 90}), "multiple of 60"),
    "a short period of AWS's metrics": (
        lambda: watching.alarm_in_wrong_form({**ALARM, "Period": 10}),
        "minute",
    ),
    "more than a day": (
        lambda: watching.alarm_in_wrong_form({**ALARM, "EvaluationPeriods": 1441}),
        "more than a day",
    ),
    "datapoints": (lambda: watching.alarm_in_wrong_form({**ALARM, "DatapointsToAlarm": 3}), "datapoints"),
    "a metric without a name": (
        lambda: watching.alarm_in_wrong_form(without(ALARM, "MetricName")),
        "names a metric",
    ),
    "a dashboard's name": (lambda: watching.unreadable_dashboard("my board", '{"widgets": []}'), "name"),
    "a dashboard's body": (lambda: watching.unreadable_dashboard("board", "{widgets}"), "not JSON"),
    "a kind of widget": (
        lambda: watching.unreadable_dashboard("board", '{"widgets": [{"type": "metrics"}]}'),
        "kind of widget",
    ),
    "a widget without a region": (
        lambda: watching.unreadable_dashboard("board", '{"widgets": [{"type": "metric", "properties": {}}]}'),
        "names its region",
    ),
    "a wide widget": (
        lambda: watching.unreadable_dashboard(
            "board", '{"widgets": [{"type": "text", "x": 12, "width": 18}]}'
        ),
        "24 columns",
    ),
    "retention": (lambda: watching.retention_that_there_is_not(10), "10 days"),
    "a topic's name": (lambda: watching.topic_misnamed("my.topic"), "does not match"),
    "an e-mail address": (lambda: watching.unreachable_subscriber("email", "nobody"), "does not match"),
    "a protocol": (lambda: watching.unreachable_subscriber("mail", "a@b.example"), "no protocol"),
    "an alias with a TTL": (lambda: dns.record_in_wrong_form({**LATENCY, "TTL": 60}), "neither a TTL"),
    "an alias with several answers": (
        lambda: dns.record_in_wrong_form(without(LATENCY, "Region", MultiValueAnswer=True)),
        "not for an alias",
    ),
    "a record without a TTL": (lambda: dns.record_in_wrong_form(without(ADDRESS, "TTL")), "needs a TTL"),
    "two policies": (lambda: dns.record_in_wrong_form({**ADDRESS, "Region": "eu-west-1"}), "one policy"),
    "no identifier": (lambda: dns.record_in_wrong_form(without(ADDRESS, "SetIdentifier")), "go together"),
    "no region": (lambda: dns.record_in_wrong_form({**LATENCY, "Region": "eu-west-9"}), "no region"),
    "no address": (
        lambda: dns.record_in_wrong_form({**ADDRESS, "ResourceRecords": [{"Value": "node"}]}),
        "Expected 4 octets",
    ),
    "no continent": (
        lambda: dns.record_in_wrong_form(without(LATENCY, "Region", GeoLocation={"ContinentCode": "XX"})),
        "no continent",
    ),
    "a continent and a country": (
        lambda: dns.record_in_wrong_form(
            without(LATENCY, "Region", GeoLocation={"ContinentCode": "EU", "CountryCode": "IE"})
        ),
        "a continent or a country",
    ),
    "no country": (
        lambda: dns.record_in_wrong_form(without(LATENCY, "Region", GeoLocation={"CountryCode": "Ireland"})),
        "no country",
    ),
    "a part of a country": (
        lambda: dns.record_in_wrong_form(
            without(LATENCY, "Region", GeoLocation={"CountryCode": "IE", "SubdivisionCode": "L"})
        ),
        "no parts of IE",
    ),
    "a kind of check": (lambda: dns.check_that_checks_nothing({**CHECK, "Type": "TLS"}), "no kind"),
    "a check of nothing": (
        lambda: dns.check_that_checks_nothing(without(CHECK, "IPAddress")),
        "address or a name",
    ),
    "a check of a private address": (
        lambda: dns.check_that_checks_nothing({**CHECK, "IPAddress": "10.1.0.1"}),
        "cannot be reached",
    ),
    "an interval": (lambda: dns.check_that_checks_nothing({**CHECK, "RequestInterval": 60}), "10 or 30"),
    "failures": (lambda: dns.check_that_checks_nothing({**CHECK, "FailureThreshold": 11}), "1 to 10"),
    "a port": (lambda: dns.check_that_checks_nothing({**CHECK, "Port": 70000}), "no port"),
    "a path": (lambda: dns.check_that_checks_nothing({**CHECK, "ResourcePath": "healthz"}), "begins with /"),
    "a server's name without TLS": (
        lambda: dns.check_that_checks_nothing({**CHECK, "Type": "HTTP"}),
        "only HTTPS",
    ),
    "two regions of a check": (
        lambda: dns.check_that_checks_nothing({**CHECK, "Regions": ["eu-west-1", "us-east-1"]}),
        "three regions",
    ),
    "a kind of disk": (
        lambda: machines.disk_that_there_is_not({"VolumeType": "ssd", "VolumeSize": 8}),
        "no kind of disk",
    ),
    "a disk without a size": (lambda: machines.disk_that_there_is_not({"VolumeType": "gp3"}), "needs a size"),
    "io1 without iops": (
        lambda: machines.disk_that_there_is_not({"VolumeType": "io1", "VolumeSize": 8}),
        "needs iops",
    ),
    "gp2 with iops": (
        lambda: machines.disk_that_there_is_not({"VolumeType": "gp2", "VolumeSize": 8, "Iops": 100}),
        "no iops of its own",
    ),
    "too many iops for a size": (
        lambda: machines.disk_that_there_is_not({"VolumeType": "io1", "VolumeSize": 50, "Iops": 4000}),
        "cannot have 4000 iops",
    ),
    "a small disk": (
        lambda: machines.disk_that_there_is_not({"VolumeType": "io1", "VolumeSize": 2, "Iops": 100}),
        "cannot have 2 GiB",
    ),
    "metadata tokens": (lambda: machines.metadata_in_wrong_form({"HttpTokens": "yes"}), "HttpTokens"),
    "metadata hops": (lambda: machines.metadata_in_wrong_form({"HttpPutResponseHopLimit": 0}), "hop limit"),
    "tags of disks in two ways": (
        lambda: machines.tagged_twice({"a": "b"}, {"a": "b"}),
        "exclude each other",
    ),
    "metrics of a group": (lambda: scaling.unknown_group_metrics(["GroupSize"], "1Minute"), "GroupSize"),
    "granularity": (lambda: scaling.unknown_group_metrics([], "5Minutes"), "1Minute"),
    "a strategy of a refresh": (
        lambda: scaling.refresh_in_wrong_form({"Strategy": "rolling"}),
        "no strategy",
    ),
    "a refresh that cannot begin": (
        lambda: scaling.refresh_in_wrong_form(
            {"Strategy": "Rolling", "Preferences": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 100}}
        ),
        "more or less",
    ),
    "a refresh of a trigger that always is one": (
        lambda: scaling.refresh_in_wrong_form({"Strategy": "Rolling", "Triggers": ["launch_template"]}),
        "trigger",
    ),
    "a transition": (
        lambda: scaling.hook_in_wrong_form({**HOOK, "LifecycleTransition": "TERMINATING"}),
        "no transition",
    ),
    "a result of a hook": (lambda: scaling.hook_in_wrong_form({**HOOK, "DefaultResult": "GO"}), "no result"),
    "a heartbeat": (lambda: scaling.hook_in_wrong_form({**HOOK, "HeartbeatTimeout": 10}), "10 s"),
    "a subnet group's name": (lambda: sql.group_misnamed("Group--one"), "does not match"),
    "a family": (lambda: sql.unknown_family("mariadb10.99"), "no family"),
    "a parameter twice": (
        lambda: sql.parameters_in_wrong_form([{"ParameterName": "a", "ApplyMethod": "immediate"}] * 2),
        "set twice",
    ),
    "a way to apply": (
        lambda: sql.parameters_in_wrong_form([{"ParameterName": "a", "ApplyMethod": "now"}]),
        "no way to apply",
    ),
    "no name for the final snapshot": (
        lambda: sql.undeletable(skip=False, final_snapshot=None),
        "names its final snapshot",
    ),
    "a final snapshot's name": (lambda: sql.undeletable(skip=False, final_snapshot="a--b"), "does not match"),
    "a class that is withdrawn": (
        lambda: sql.server_in_wrong_form({**SERVER, "DBInstanceClass": "db.r3.2xlarge"}),
        "no orders for db.r3.2xlarge",
    ),
    "a server's name": (
        lambda: sql.server_in_wrong_form({**SERVER, "DBInstanceIdentifier": "sql--1"}),
        "does not match",
    ),
    "an engine's version": (
        lambda: sql.server_in_wrong_form({**SERVER, "EngineVersion": "10.7"}),
        "no mariadb 10.7",
    ),
    "iops of a small disk": (lambda: sql.server_in_wrong_form({**SERVER, "AllocatedStorage": 50}), "50 GiB"),
    "few iops of a large disk": (
        lambda: sql.server_in_wrong_form({**SERVER, "AllocatedStorage": 4001, "Iops": 2000}),
        "2000 iops",
    ),
    "few iops": (lambda: sql.server_in_wrong_form({**SERVER, "Iops": 500}), "500 iops"),
    "iops of gp3": (lambda: sql.server_in_wrong_form({**SERVER, "StorageType": "gp3"}), "gp3"),
    "days of backups": (lambda: sql.server_in_wrong_form({**SERVER, "BackupRetentionPeriod": 36}), "36 days"),
    "a user": (lambda: sql.server_in_wrong_form({**SERVER, "MasterUsername": "1st"}), "does not match"),
    "a short password": (
        lambda: sql.server_in_wrong_form({**SERVER, "MasterUserPassword": "short"}),
        "password",
    ),
    "a slash in a password": (
        lambda: sql.server_in_wrong_form({**SERVER, "MasterUserPassword": "with/slash"}),
        "password",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused(name: str) -> None:
    check, message = BAD[name]
    with pytest.raises(RefusedError, match=message):
        check()


GOOD: dict[str, Callable[[], None]] = {
    "tags": lambda: tags.check_tags({"Name": "isochrone-geo-ii", "isochrone:stack": "São Paulo"}),
    "trust": lambda: policies.check_policy(policy(TRUST), principal=True),
    "permissions": lambda: policies.check_policy(policy(STATEMENT), principal=False),
    "alarm": lambda: watching.alarm_in_wrong_form(ALARM),
    "percentile": lambda: watching.alarm_in_wrong_form(without(ALARM, "Statistic", ExtendedStatistic="p98")),
    "latency": lambda: dns.record_in_wrong_form(LATENCY),
    "address": lambda: dns.record_in_wrong_form(ADDRESS),
    "check": lambda: dns.check_that_checks_nothing(CHECK),
    "disk": lambda: machines.disk_that_there_is_not({"VolumeType": "io1", "VolumeSize": 140, "Iops": 4000}),
    "hook": lambda: scaling.hook_in_wrong_form(HOOK),
    "server": lambda: sql.server_in_wrong_form(SERVER),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_aws_takes_is_taken(name: str) -> None:
    GOOD[name]()


def test_a_refusal_does_not_tell_the_password() -> None:
    with pytest.raises(RefusedError) as caught:
        sql.server_in_wrong_form({**SERVER, "MasterUserPassword": "with/slash"})
    assert "with/slash" not in str(caught.value)
