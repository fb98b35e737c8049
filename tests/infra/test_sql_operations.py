"""A replica becomes a master, a snapshot a server, and nothing that exists is lost; against moto's RDS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from moto import mock_aws
from moto.rds.models import DBInstance, RDSBackend
from typer.testing import CliRunner

from infra.sql_commands import app
from infra.sql_operations import SqlOperationError, promote, restore

HOME, AWAY = "eu-west-1", "us-east-1"


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A master at home with a replica away; the client of the replica's region."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    real = RDSBackend.promote_read_replica

    def promote_read_replica(self: RDSBackend, db_kwargs: dict[str, Any]) -> DBInstance:
        """As RDS does; moto leaves the promoted server's source in its description."""
        promoted = real(self, db_kwargs)
        promoted.source_db_instance_identifier = None
        return promoted

    monkeypatch.setattr(RDSBackend, "promote_read_replica", promote_read_replica)
    with mock_aws():
        source = server(HOME, "sql")
        rds = boto3.client("rds", AWAY)
        network(AWAY)
        rds.create_db_instance_read_replica(
            DBInstanceIdentifier="sql-away", SourceDBInstanceIdentifier=source, DBSubnetGroupName="isolated"
        )
        yield rds


def network(region: str) -> None:
    ec2 = boto3.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{i}.0/24", AvailabilityZone=f"{region}{zone}")
        for i, zone in enumerate("ab")
    ]
    boto3.client("rds", region).create_db_subnet_group(
        DBSubnetGroupName="isolated",
        DBSubnetGroupDescription="isolated",
        SubnetIds=[subnet["Subnet"]["SubnetId"] for subnet in subnets],
    )


def server(region: str, identifier: str) -> str:
    network(region)
    rds = boto3.client("rds", region)
    made = rds.create_db_instance(
        DBInstanceIdentifier=identifier,
        DBInstanceClass="db.r5.2xlarge",
        Engine="mariadb",
        EngineVersion="10.11",
        MasterUsername="market_migrate",
        MasterUserPassword="not-a-secret",
        AllocatedStorage=100,
        DBSubnetGroupName="isolated",
        Tags=[{"Key": "isochrone:stack", "Value": "geo-ii"}],
    )
    return str(made["DBInstance"]["DBInstanceArn"])


def described(rds: Any, identifier: str) -> dict[str, Any]:
    return dict(rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])


def test_a_promoted_replica_follows_nobody_and_has_backups(replica: Any) -> None:
    promoted = promote(AWAY, "sql-away", backup_days=9, poll_s=0.01)
    found = described(replica, "sql-away")
    assert not found.get("ReadReplicaSourceDBInstanceIdentifier")
    assert found["BackupRetentionPeriod"] == 9
    assert (promoted.identifier, promoted.host) == ("sql-away", found["Endpoint"]["Address"])


def test_a_server_that_is_no_replica_is_left_alone(replica: Any) -> None:
    promote(AWAY, "sql-away", backup_days=7, poll_s=0.01)
    with pytest.raises(SqlOperationError, match="is no replica"):
        promote(AWAY, "sql-away", backup_days=7)


def test_a_server_that_is_not_there_is_said_to_be_missing(replica: Any) -> None:
    with pytest.raises(SqlOperationError, match=r"no SQL server nowhere in us-east-1.*sql_hosts"):
        promote(AWAY, "nowhere", backup_days=7)


def test_a_restored_server_has_the_class_network_and_tags_of_its_model(replica: Any) -> None:
    rds = boto3.client("rds", HOME)
    rds.create_db_snapshot(DBInstanceIdentifier="sql", DBSnapshotIdentifier="friday")
    restored = restore(HOME, "friday", "sql-again", like="sql", poll_s=0.01)
    model, made = described(rds, "sql"), described(rds, "sql-again")
    assert restored.identifier == "sql-again"
    for key in ("DBInstanceClass", "TagList"):
        assert made[key] == model[key], key
    assert made["DBSubnetGroup"]["DBSubnetGroupName"] == "isolated"
    assert made["DeletionProtection"]


def test_restoring_never_takes_the_place_of_a_server(replica: Any) -> None:
    rds = boto3.client("rds", HOME)
    rds.create_db_snapshot(DBInstanceIdentifier="sql", DBSnapshotIdentifier="friday")
    with pytest.raises(SqlOperationError, match="could not be restored from friday"):
        restore(HOME, "friday", "sql", like="sql", poll_s=0.01)


@pytest.mark.parametrize(
    ("snapshot", "like", "message"),
    [("nowhere", "sql", "no snapshot nowhere in eu-west-1"), ("friday", "nowhere", "no SQL server nowhere")],
)
def test_what_is_missing_is_named(replica: Any, snapshot: str, like: str, message: str) -> None:
    boto3.client("rds", HOME).create_db_snapshot(DBInstanceIdentifier="sql", DBSnapshotIdentifier="friday")
    with pytest.raises(SqlOperationError, match=message):
        restore(HOME, snapshot, "sql-again", like=like)


def test_a_refusal_is_not_taken_for_a_missing_snapshot(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "DescribeDBSnapshots":
            denied = {"Code": "AccessDenied", "Message": f"not authorized to perform rds:{operation}"}
            raise ClientError({"Error": denied}, operation)
        return real(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(SqlOperationError, match="friday in eu-west-1 could not be looked up: not authorized"):
        restore(HOME, "friday", "sql-again", like="sql")


def test_the_restore_command_names_the_id_by_which_a_stack_knows_the_server(replica: Any) -> None:
    boto3.client("rds", HOME).create_db_snapshot(DBInstanceIdentifier="sql", DBSnapshotIdentifier="friday")
    done = CliRunner().invoke(app, ["restore", "friday", "sql-again", "--region", HOME, "--like", "sql"])
    assert done.exit_code == 0
    assert "sql-again answers at" in done.output
    assert described(boto3.client("rds", HOME), "sql-again")["DbiResourceId"] in done.output


def test_the_command_says_where_the_server_is_and_what_to_do_next(replica: Any) -> None:
    done = CliRunner().invoke(app, ["promote", "sql-away", "--region", AWAY])
    assert done.exit_code == 0
    assert "sql-away answers at" in done.output
    for fact in (
        "Leave isochrone:home as it is",
        "refuses a new source for the other replicas",
        f"To go on in {AWAY}, make a stack of another name",
        "`pulumi refresh` and then `pulumi up`",
        "run no `pulumi up`",
        "docs/aws.md, step 11",
    ):
        assert fact in done.output


def test_a_mistake_is_a_message_and_status_1(replica: Any) -> None:
    done = CliRunner().invoke(app, ["promote", "nowhere", "--region", AWAY])
    assert done.exit_code == 1
    assert "error: there is no SQL server nowhere" in done.output
    assert "Traceback" not in done.output


def test_an_answer_that_is_not_of_aws_is_a_message_too(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a proxy in between gives it: a page."""
    real = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "PromoteReadReplica":
            raise ResponseParserError("invalid XML received")
        return real(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(SqlOperationError, match=f"sql-away in {AWAY} could not be promoted: invalid XML"):
        promote(AWAY, "sql-away", backup_days=7)


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SqlOperationError, match="credentials"):
        promote(AWAY, "sql-away", backup_days=7)
