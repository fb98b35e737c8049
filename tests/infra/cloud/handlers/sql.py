"""SQL servers: parameter groups, subnet groups, masters and replicas."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import sql as refuse
from tests.infra.cloud.refusals.identity import key_in_region
from tests.infra.cloud.registry import Made, Place, handler

_COMMON = {
    "identifier": "DBInstanceIdentifier",
    "instanceClass": "DBInstanceClass",
    "iops": "Iops",
    "storageType": "StorageType",
    "storageThroughput": "StorageThroughput",
    "kmsKeyId": "KmsKeyId",
    "dbSubnetGroupName": "DBSubnetGroupName",
    "parameterGroupName": "DBParameterGroupName",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
    "publiclyAccessible": "PubliclyAccessible",
    "multiAz": "MultiAZ",
    "port": "Port",
    "deletionProtection": "DeletionProtection",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "autoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    "monitoringInterval": "MonitoringInterval",
    "monitoringRoleArn": "MonitoringRoleArn",
    "performanceInsightsEnabled": "EnablePerformanceInsights",
    "maxAllocatedStorage": "MaxAllocatedStorage",
    "caCertIdentifier": "CACertificateIdentifier",
}

_MASTER = {
    **_COMMON,
    "engine": "Engine",
    "engineVersion": "EngineVersion",
    "allocatedStorage": "AllocatedStorage",
    "dbName": "DBName",
    "username": "MasterUsername",
    "password": "MasterUserPassword",
    "storageEncrypted": "StorageEncrypted",
    "availabilityZone": "AvailabilityZone",
}

_LATER = {
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "backupWindow": "PreferredBackupWindow",
    "maintenanceWindow": "PreferredMaintenanceWindow",
}
"""What a replica gets by a change after it is made."""


@handler("aws:rds/subnetGroup:SubnetGroup")
def subnet_group(place: Place, inputs: Inputs) -> Made:
    name, subnets = inputs.take("name"), inputs.take("subnetIds")
    refuse.group_misnamed(name)
    refuse.too_few_zones(place, subnets)
    made = place.client("rds").create_db_subnet_group(
        DBSubnetGroupName=name,
        DBSubnetGroupDescription=inputs.get("description", "Managed by Pulumi"),
        SubnetIds=subnets,
        Tags=tag_list(inputs.tags()),
    )["DBSubnetGroup"]
    return Made(name, {"arn": made["DBSubnetGroupArn"], "vpcId": made["VpcId"]})


@handler("aws:rds/parameterGroup:ParameterGroup")
def parameter_group(place: Place, inputs: Inputs) -> Made:
    rds = place.client("rds")
    inputs.only("skipDestroy", True, False)
    name, family = inputs.take("name"), inputs.take("family")
    refuse.group_misnamed(name)
    refuse.unknown_family(family)
    made = rds.create_db_parameter_group(
        DBParameterGroupName=name,
        DBParameterGroupFamily=family,
        Description=inputs.get("description", "Managed by Pulumi"),
        Tags=tag_list(inputs.tags()),
    )["DBParameterGroup"]
    parameters = [
        {
            **part.params(name="ParameterName", value="ParameterValue"),
            "ApplyMethod": part.get("applyMethod", "immediate"),
        }
        for part in inputs.parts("parameters")
    ]
    refuse.parameters_in_wrong_form(parameters)
    if parameters:
        rds.modify_db_parameter_group(DBParameterGroupName=name, Parameters=parameters)
    return Made(name, {"arn": made["DBParameterGroupArn"]})


@handler("aws:rds/instance:Instance")
def instance(place: Place, inputs: Inputs) -> Made:
    rds = place.client("rds")
    for steering in ("applyImmediately", "allowMajorVersionUpgrade", "deleteAutomatedBackups"):
        inputs.only(steering, True, False)
    skip, final = inputs.get("skipFinalSnapshot", False), inputs.get("finalSnapshotIdentifier")
    refuse.undeletable(skip=skip, final_snapshot=final)
    tags = tag_list(inputs.tags())
    later = inputs.params(**_LATER)
    if "replicateSourceDb" in inputs:
        made = _replica(place, inputs, later, tags)
    else:
        params: dict[str, Any] = inputs.params(**_MASTER) | later
        refuse.server_in_wrong_form(params)
        refuse.groups_that_do_not_fit(place, params, params["Engine"], params["EngineVersion"])
        if "KmsKeyId" in params:
            key_in_region(place, params["KmsKeyId"])
        made = rds.create_db_instance(**params, Tags=tags)["DBInstance"]
    id_ = made["DBInstanceIdentifier"]
    (made,) = rds.describe_db_instances(DBInstanceIdentifier=id_)["DBInstances"]
    return Made(
        made["DbiResourceId"],
        {
            "arn": made["DBInstanceArn"],
            "address": made["Endpoint"]["Address"],
            "port": made["Endpoint"]["Port"],
            "endpoint": f"{made['Endpoint']['Address']}:{made['Endpoint']['Port']}",
            "availabilityZone": made["AvailabilityZone"],
            "resourceId": made["DbiResourceId"],
            "engineVersionActual": made["EngineVersion"],
            "status": "available",
        },
    )


def _replica(
    place: Place, inputs: Inputs, later: dict[str, Any], tags: list[dict[str, str]]
) -> dict[str, Any]:
    rds = place.client("rds")
    source = inputs.take("replicateSourceDb")
    # What the source has, the provider does not send.
    inputs.only("storageEncrypted", True)
    params: dict[str, Any] = inputs.params(**_COMMON)
    master = refuse.unreplicable(place, source, params)
    # A replica is made with its source's size; the provider does not send it.
    inputs.only("allocatedStorage", master["AllocatedStorage"])
    refuse.server_in_wrong_form({**_of(master), **params}, replica=True)
    refuse.groups_that_do_not_fit(place, params, master["Engine"], master["EngineVersion"])
    # moto looks for the subnet group in the source's region.
    later |= {"DBSubnetGroupName": params.pop("DBSubnetGroupName")} if "DBSubnetGroupName" in params else {}
    made = rds.create_db_instance_read_replica(
        SourceDBInstanceIdentifier=source,
        **({"SourceRegion": source.split(":")[3]} if source.startswith("arn:") else {}),
        **params,
        Tags=tags,
    )["DBInstance"]
    if later:
        rds.modify_db_instance(
            DBInstanceIdentifier=made["DBInstanceIdentifier"], ApplyImmediately=True, **later
        )
    found: dict[str, Any] = made
    return found


def _of(master: dict[str, Any]) -> dict[str, Any]:
    return {key: master[key] for key in ("AllocatedStorage", "Engine", "EngineVersion")}
