"""SQL servers that RDS refuses, and moto takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.identity import key_in_region
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place

_ORDERABLE: Final = re.compile(
    r"db\.(?:t3\.(?:micro|small|medium|large|xlarge|2xlarge)"
    r"|t4g\.(?:micro|small|medium|large|xlarge|2xlarge)"
    r"|(?:m5|m6i|m6g|r5|r6i|r6g)\.(?:large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge|24xlarge))"
)
"""Classes that RDS takes orders for with MariaDB and MySQL; db.m3 and db.r3 are withdrawn."""

_VERSIONS: Final[Mapping[str, Sequence[str]]] = {
    "mariadb": ("10.5", "10.6", "10.11", "11.4"),
    "mysql": ("5.7", "8.0", "8.4"),
}

_STATIC: Final = (
    "max_connections_static",
    "innodb_log_file_size",
    "innodb_buffer_pool_instances",
    "skip_name_resolve",
)
"""Parameters that take effect at a restart only."""

_MOST_REPLICAS: Final = 15


def is_orderable(class_: str) -> bool:
    """Whether RDS takes orders for a class."""
    return _ORDERABLE.fullmatch(class_) is not None


def is_offered(engine: str, version: str) -> bool:
    """Whether RDS offers a version of an engine, with or without its patch level."""
    return any(version == known or version.startswith(f"{known}.") for known in _VERSIONS.get(engine, ()))


def newest(engine: str) -> str:
    """RDS's own choice among the versions of an engine."""
    return _VERSIONS[engine][-1]


def group_misnamed(name: str) -> None:
    """A subnet or parameter group's name is of small letters, digits and single hyphens."""
    check_text("the group's name", name, r"(?!.*--)[a-z][a-z0-9-]{0,253}[a-z0-9]")


def too_few_zones(place: Place, subnets: Sequence[str]) -> None:
    """A subnet group is of one network and at least two zones."""
    found = place.client("ec2").describe_subnets(SubnetIds=list(subnets))["Subnets"]
    if len({subnet["VpcId"] for subnet in found}) != 1:
        raise RefusedError("the subnets are of different networks")
    if len({subnet["AvailabilityZone"] for subnet in found}) < 2:
        raise RefusedError("a subnet group covers at least two zones")


def unknown_family(family: str) -> None:
    """A parameter group's family is an engine with a version of it."""
    if family not in {f"{engine}{version}" for engine, found in _VERSIONS.items() for version in found}:
        raise RefusedError(f"there is no family {family}")


def parameters_in_wrong_form(parameters: Sequence[Mapping[str, str]]) -> None:
    """A parameter is named once, and applied in a way that it can be."""
    names = [parameter["ParameterName"] for parameter in parameters]
    if len(set(names)) < len(names):
        raise RefusedError("a parameter is set twice")
    for parameter in parameters:
        if parameter["ApplyMethod"] not in ("immediate", "pending-reboot"):
            raise RefusedError(f"{parameter['ApplyMethod']} is no way to apply a parameter")
        if parameter["ParameterName"] in _STATIC and parameter["ApplyMethod"] == "immediate":
            raise RefusedError(f"{parameter['ParameterName']} takes effect at a restart only")


def undeletable(*, skip: bool, final_snapshot: str | None) -> None:
    """A server that leaves a final snapshot names it: without it the provider could not delete the server."""
    if skip == (final_snapshot is not None):
        raise RefusedError("a server names its final snapshot just when it is to leave one")
    if final_snapshot is not None:
        check_text("the final snapshot", final_snapshot, r"(?!.*--)[A-Za-z][A-Za-z0-9-]{0,253}[A-Za-z0-9]")


def server_in_wrong_form(server: Mapping[str, Any], *, replica: bool = False) -> None:
    """A server's name, class, engine, disk and password are of those that RDS takes."""
    check_text("the identifier", server["DBInstanceIdentifier"], r"(?!.*--)[a-z][a-z0-9-]{0,61}[a-z0-9]")
    if not is_orderable(server["DBInstanceClass"]):
        raise RefusedError(f"RDS takes no orders for {server['DBInstanceClass']}")
    engine, version = server["Engine"], str(server["EngineVersion"])
    if not is_offered(engine, version):
        raise RefusedError(f"there is no {engine} {version}")
    if server.get("BackupRetentionPeriod", 1) not in range(36):
        raise RefusedError(f"backups cannot be kept for {server['BackupRetentionPeriod']} days")
    _check_disk(server)
    if replica:
        return
    check_text("the user", server["MasterUsername"], r"[A-Za-z]\w{0,31}")
    # The message must not tell the password.
    if not re.fullmatch(r"[!#-.0-?A-~]{8,41}", server["MasterUserPassword"]):
        raise RefusedError('the password has not 8 to 41 printable signs without / @ " and blank')
    if "DBName" in server:
        check_text("the database's name", server["DBName"], r"[A-Za-z]\w{0,63}")


def _check_disk(server: Mapping[str, Any]) -> None:
    kind, size, iops = server.get("StorageType", "gp2"), server["AllocatedStorage"], server.get("Iops")
    if kind not in ("gp2", "gp3", "io1", "io2", "standard"):
        raise RefusedError(f"{kind} is no kind of disk")
    least = 100 if kind in ("io1", "io2") else 20
    if not least <= size <= 65_536:
        raise RefusedError(f"a disk of kind {kind} cannot have {size} GiB")
    if kind in ("io1", "io2") and not (iops and max(1_000, size / 2) <= iops <= 50 * size):
        raise RefusedError(f"a disk of kind {kind} and {size} GiB cannot have {iops} iops")
    if kind == "gp3" and iops is not None and size < 400:
        raise RefusedError("a gp3 disk of less than 400 GiB has no iops of its own")
    if kind == "gp2" and iops is not None:
        raise RefusedError("a gp2 disk has no iops of its own")


def groups_that_do_not_fit(place: Place, params: Mapping[str, Any], engine: str, version: str) -> None:
    """A server's parameters are of its engine's family, its security groups of its subnets' network."""
    rds = place.client("rds")
    if name := params.get("DBParameterGroupName"):
        (group,) = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
        family = f"{engine}{'.'.join(str(version).split('.')[:2])}"
        if group["DBParameterGroupFamily"] != family:
            raise RefusedError(f"{name} is of family {group['DBParameterGroupFamily']}, not {family}")
    (subnets,) = rds.describe_db_subnet_groups(DBSubnetGroupName=params["DBSubnetGroupName"])[
        "DBSubnetGroups"
    ]
    found = place.client("ec2").describe_security_groups(GroupIds=params["VpcSecurityGroupIds"])[
        "SecurityGroups"
    ]
    if {group["VpcId"] for group in found} != {subnets["VpcId"]}:
        raise RefusedError("the security groups are of another network than the subnets")


def unreplicable(place: Place, source: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A replica's source has backups and few replicas, is named as its region asks, and an encrypted one
    needs a key of the replica's region. The answer is the source.
    """
    match source.split(":"):
        case ["arn", "aws", "rds", region, _, "db", name]:
            pass
        case [name]:
            region = place.region
        case _:
            raise RefusedError(f"{source} is no SQL server")
    (found,) = place.client("rds", region).describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    if found["BackupRetentionPeriod"] < 1:
        raise RefusedError(f"{source} has no backups, which a source of replicas needs")
    if len(found["ReadReplicaDBInstanceIdentifiers"]) >= _MOST_REPLICAS:
        raise RefusedError(f"{source} has {_MOST_REPLICAS} replicas already")
    if region == place.region and source.startswith("arn:") and "DBSubnetGroupName" not in params:
        raise RefusedError("a source of the same region is named by its identifier")
    if region != place.region and found["StorageEncrypted"]:
        if "KmsKeyId" not in params:
            raise RefusedError(f"a replica of the encrypted {source} needs a key of {place.region}")
        key_in_region(place, params["KmsKeyId"])
    if region != place.region and "DBSubnetGroupName" not in params:
        raise RefusedError("a replica in another region needs a subnet group there")
    source_server: dict[str, Any] = found
    return source_server
