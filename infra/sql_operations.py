"""What an operator does with SQL servers in an emergency: promote a replica, restore a snapshot."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from infra.aws_errors import AWS_ERRORS
from infra.errors import InfraError

WAIT_S: Final = 3600
"""How long a server may take: replaying what a replica has not yet, or copying a snapshot of 100 GiB."""

POLL_S: Final = 15
"""How often RDS is asked."""


class SqlOperationError(InfraError):
    """A SQL server cannot be promoted or restored; the message says why and what to do."""


@dataclass(frozen=True)
class SqlServer:
    """A SQL server as it is now: its region, identifier, resource id, ARN, address and port.

    Another server can be given its identifier, but never its resource id, by which a stack's state knows it.
    """

    region: str
    identifier: str
    resource_id: str
    arn: str
    host: str
    port: int


def promote(region: str, identifier: str, *, backup_days: int, poll_s: float = POLL_S) -> SqlServer:
    """Make a replica a master of its own; it no longer follows its source.

    Args:
        region: the replica's region.
        identifier: its identifier.
        backup_days: how long its backups are kept from now on; a replica has none.
        poll_s: seconds between two looks at its state.

    Raises:
        SqlOperationError: when there is no such server, it is no replica, AWS refuses or it takes more than
            an hour.
    """
    rds = _client(region)
    found = _described(rds, region, identifier)
    if not found.get("ReadReplicaSourceDBInstanceIdentifier"):
        raise SqlOperationError(f"{identifier} in {region} is no replica: there is nothing to promote")
    try:
        rds.promote_read_replica(DBInstanceIdentifier=identifier, BackupRetentionPeriod=backup_days)
    except AWS_ERRORS as error:
        raise _refused(f"{identifier} in {region} could not be promoted", error) from error
    # RDS says "available" before it begins, so that the state alone does not tell when it is done.
    deadline = time.monotonic() + WAIT_S
    while not _is_promoted(found := _described(rds, region, identifier)):
        if time.monotonic() > deadline:
            raise SqlOperationError(
                f"{identifier} in {region} still follows its source after {WAIT_S // 60} minutes:"
                " see its events in RDS"
            )
        time.sleep(poll_s)
    return _server(region, found)


def restore(
    region: str, snapshot: str, identifier: str, *, like: str, protect: bool = True, poll_s: float = POLL_S
) -> SqlServer:
    """Make a new server from a snapshot, with the class, network and settings of one that is there.

    Nothing that exists is changed.

    Args:
        region: the region of the snapshot and of the new server.
        snapshot: the snapshot's identifier.
        identifier: the new server's identifier.
        like: the identifier of the server whose class, subnets, security groups and settings it gets.
        protect: whether it is protected from deletion.
        poll_s: seconds between two looks at its state.

    Raises:
        SqlOperationError: when the snapshot or the model is not there, the identifier is taken, AWS refuses
            or it takes more than an hour.
    """
    rds = _client(region)
    model = _described(rds, region, like)
    _check_snapshot(rds, region, snapshot)
    try:
        rds.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=identifier,
            DBSnapshotIdentifier=snapshot,
            DBInstanceClass=model["DBInstanceClass"],
            DBSubnetGroupName=model["DBSubnetGroup"]["DBSubnetGroupName"],
            DBParameterGroupName=model["DBParameterGroups"][0]["DBParameterGroupName"],
            VpcSecurityGroupIds=[group["VpcSecurityGroupId"] for group in model["VpcSecurityGroups"]],
            PubliclyAccessible=False,
            DeletionProtection=protect,
            CopyTagsToSnapshot=True,
            Tags=model["TagList"],
        )
        _await(rds, identifier, poll_s)
    except AWS_ERRORS as error:
        raise _refused(f"{identifier} could not be restored from {snapshot} in {region}", error) from error
    return _server(region, _described(rds, region, identifier))


def _is_promoted(found: dict[str, Any]) -> bool:
    followed = found.get("ReadReplicaSourceDBInstanceIdentifier")
    return not followed and bool(found["DBInstanceStatus"] == "available")


def _client(region: str) -> Any:
    try:
        return boto3.client("rds", region_name=region)
    except BotoCoreError as error:
        raise _refused(f"RDS in {region} could not be asked", error) from error


def _described(rds: Any, region: str, identifier: str) -> dict[str, Any]:
    try:
        found = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "DBInstanceNotFound":
            raise SqlOperationError(
                f"there is no SQL server {identifier} in {region}; `pulumi stack output sql_hosts` lists them"
            ) from error
        raise _refused(f"{identifier} in {region} could not be looked up", error) from error
    except AWS_ERRORS as error:
        raise _refused("RDS could not be asked", error) from error
    return dict(found[0])


def _check_snapshot(rds: Any, region: str, snapshot: str) -> None:
    try:
        rds.describe_db_snapshots(DBSnapshotIdentifier=snapshot)
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("DBSnapshotNotFound"):
            raise SqlOperationError(
                f"there is no snapshot {snapshot} in {region};"
                f" `aws rds describe-db-snapshots --region {region}` lists them"
            ) from error
        raise _refused(f"snapshot {snapshot} in {region} could not be looked up", error) from error
    except AWS_ERRORS as error:
        raise _refused("RDS could not be asked", error) from error


def _await(rds: Any, identifier: str, poll_s: float) -> None:
    rds.get_waiter("db_instance_available").wait(
        DBInstanceIdentifier=identifier,
        WaiterConfig={"Delay": poll_s, "MaxAttempts": max(1, round(WAIT_S / poll_s))},
    )


def _server(region: str, found: dict[str, Any]) -> SqlServer:
    endpoint = found["Endpoint"]
    return SqlServer(
        region,
        found["DBInstanceIdentifier"],
        found["DbiResourceId"],
        found["DBInstanceArn"],
        endpoint["Address"],
        endpoint["Port"],
    )


def _refused(what: str, error: Exception) -> SqlOperationError:
    if isinstance(error, WaiterError):
        return SqlOperationError(
            f"{what}: it is not available after {WAIT_S // 60} minutes; see its events in RDS"
        )
    if isinstance(error, ClientError):
        return SqlOperationError(f"{what}: {error.response['Error']['Message'].rstrip('.')}")
    return SqlOperationError(f"{what}: {error}")
