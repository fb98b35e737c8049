"""What look-ups answer: what AWS says, and the account's quotas and orderable classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.infra.cloud.account import ACCOUNT_ID
from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals.sql import is_offered, is_orderable, newest
from tests.infra.cloud.registry import Place, lookup


def _filters(inputs: Inputs) -> list[dict[str, Any]]:
    return [part.params(name="Name", values="Values") for part in inputs.parts("filters")]


def _tag_filters(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]


@lookup("aws:index/getAvailabilityZones:getAvailabilityZones")
def availability_zones(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    filters = _filters(inputs)
    if "state" in inputs:
        filters.append({"Name": "state", "Values": [inputs.take("state")]})
    zones = place.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
    zones.sort(key=lambda zone: zone["ZoneName"])
    return {
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": [place.region],
    }


@lookup("aws:index/getRegion:getRegion")
def region(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    return {"name": place.region, "region": place.region}


@lookup("aws:index/getCallerIdentity:getCallerIdentity")
def caller_identity(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    return {"accountId": ACCOUNT_ID, "arn": f"arn:aws:iam::{ACCOUNT_ID}:root", "userId": ACCOUNT_ID}


@lookup("aws:index/getPartition:getPartition")
def partition(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


@lookup("aws:ec2/getAmiIds:getAmiIds")
def ami_ids(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    found = place.client("ec2").describe_images(Owners=inputs.take("owners"), Filters=_filters(inputs))[
        "Images"
    ]
    ascending = inputs.get("sortAscending", False)
    found.sort(key=lambda image: image["CreationDate"], reverse=not ascending)
    return {"ids": [image["ImageId"] for image in found]}


@lookup("aws:ec2/getAmi:getAmi")
def ami(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    found = place.client("ec2").describe_images(Owners=inputs.take("owners"), Filters=_filters(inputs))[
        "Images"
    ]
    if not found or (len(found) > 1 and not inputs.get("mostRecent", False)):
        raise RefusedError(f"{len(found)} images are found, one is wanted")
    image = max(found, key=lambda image: image["CreationDate"])
    return {"id": image["ImageId"], "imageId": image["ImageId"], "name": image["Name"]}


@lookup("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
def instance_type_offerings(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    pages = place.client("ec2").get_paginator("describe_instance_type_offerings")
    found = [
        offer
        for page in pages.paginate(
            Filters=_filters(inputs), LocationType=inputs.get("locationType", "region")
        )
        for offer in page["InstanceTypeOfferings"]
    ]
    return {
        "instanceTypes": [offer["InstanceType"] for offer in found],
        "locations": [offer["Location"] for offer in found],
        "locationTypes": [offer["LocationType"] for offer in found],
    }


@lookup("aws:rds/getOrderableDbInstance:getOrderableDbInstance")
def orderable_db_instance(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    inputs.take("engine")
    for key in ("engineVersion", "storageType", "vpc", "supportsIops", "supportsStorageEncryption"):
        inputs.get(key)
    wanted = [*inputs.get("preferredInstanceClasses", []), *filter(None, [inputs.get("instanceClass")])]
    found = [class_ for class_ in wanted if is_orderable(class_)]
    if not found:
        # In the words of the provider.
        raise RefusedError(
            "no RDS Orderable DB Instance Options found matching criteria; try different search"
        )
    return {"instanceClass": found[0]}


@lookup("aws:rds/getEngineVersion:getEngineVersion")
def engine_version(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    engine = inputs.take("engine")
    if inputs.get("defaultOnly", False):
        return {"version": newest(engine), "versionActual": newest(engine)}
    version, one = inputs.take("version"), inputs.get("latest", False)
    # In the words of the provider, which has no answer where several versions match.
    if not is_offered(engine, version):
        raise RefusedError("no RDS engine versions found: {}")
    if not one:
        raise RefusedError(f"multiple RDS engine versions match the criteria: {version}")
    return {"version": version, "versionActual": version}


@lookup("aws:servicequotas/getServiceQuota:getServiceQuota")
def service_quota(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    name = inputs.take("quotaName")
    inputs.take("serviceCode")
    if name not in place.account.quotas:
        raise RefusedError(f"the account has no quota {name}: add it to USUAL_QUOTAS")
    value = place.account.quotas[name]
    return {"value": value, "defaultValue": value, "adjustable": True, "quotaName": name}


@lookup("aws:ec2/getVpcs:getVpcs")
def vpcs(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    found = place.client("ec2").describe_vpcs(Filters=_tag_filters(inputs.tags()))["Vpcs"]
    # Every region of an account has one from the start, which counts like the others.
    return {"ids": [vpc["VpcId"] for vpc in found]}


@lookup("aws:ec2/getEips:getEips")
def eips(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    found = place.client("ec2").describe_addresses(Filters=_tag_filters(inputs.tags()))["Addresses"]
    return {
        "allocationIds": [address["AllocationId"] for address in found],
        "publicIps": [address["PublicIp"] for address in found],
    }


@lookup("aws:ec2/getInstances:getInstances")
def instances(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    states = inputs.take("instanceStateNames")
    filters = [
        {"Name": "instance-state-name", "Values": states},
        *_tag_filters(inputs.tags("instanceTags")),
    ]
    pages = place.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    found = [
        machine
        for page in pages
        for reservation in page["Reservations"]
        for machine in reservation["Instances"]
    ]
    return {"ids": [machine["InstanceId"] for machine in found]}


@lookup("aws:ec2/getInstance:getInstance")
def instance(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    id_ = inputs.take("instanceId")
    (machine,) = place.client("ec2").describe_instances(InstanceIds=[id_])["Reservations"][0]["Instances"]
    return {"instanceType": machine["InstanceType"]}


@lookup("aws:ec2/getInstanceType:getInstanceType")
def instance_type(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    kind = inputs.take("instanceType")
    (found,) = place.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    return {"defaultVcpus": found["VCpuInfo"]["DefaultVCpus"]}


@lookup("aws:rds/getInstances:getInstances")
def sql_servers(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    tags = tag_list(inputs.tags())
    found = place.client("rds").describe_db_instances()["DBInstances"]
    wanted = [server for server in found if all(tag in server["TagList"] for tag in tags)]
    return {"instanceIdentifiers": [server["DBInstanceIdentifier"] for server in wanted]}


@lookup("aws:route53/getZone:getZone")
def hosted_zone(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    zone_id = inputs.take("zoneId")
    return {
        "zoneId": zone_id,
        "name": place.client("route53").get_hosted_zone(Id=zone_id)["HostedZone"]["Name"],
    }


@lookup("aws:secretsmanager/getRandomPassword:getRandomPassword")
def random_password(place: Place, inputs: Inputs) -> Mapping[str, Any]:
    params = inputs.params(
        passwordLength="PasswordLength",
        excludeCharacters="ExcludeCharacters",
        excludePunctuation="ExcludePunctuation",
        excludeLowercase="ExcludeLowercase",
        excludeUppercase="ExcludeUppercase",
        excludeNumbers="ExcludeNumbers",
        includeSpace="IncludeSpace",
        requireEachIncludedType="RequireEachIncludedType",
    )
    return {"randomPassword": place.client("secretsmanager").get_random_password(**params)["RandomPassword"]}
