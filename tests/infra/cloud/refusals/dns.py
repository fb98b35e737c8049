"""Records and health checks that Route 53 refuses, and moto takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import boto3

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.registry import Place

Record = Mapping[str, Any]

_CONTINENTS: Final = ("AF", "AN", "AS", "EU", "NA", "OC", "SA")
_DIVIDED: Final = ("US", "UA")
"""The countries of which Route 53 knows parts."""

_PRIVATE: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""Addresses of networks of one's own; moto's public addresses are of 127.0.0.0/8."""

_POLICIES: Final = ("Region", "GeoLocation", "MultiValueAnswer")


def records_of(place: Place, zone_id: str) -> Iterator[Record]:
    """Every record of a zone."""
    pages = place.client("route53").get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id)
    for page in pages:
        yield from page["ResourceRecordSets"]


def dotted(name: str) -> str:
    """A name with its last dot, in lower case, as Route 53 keeps it."""
    return name.lower().rstrip(".") + "."


def record_out_of_zone(place: Place, zone_id: str, record: Record) -> None:
    """A record's name is the zone's or ends in it after a dot."""
    zone = place.client("route53").get_hosted_zone(Id=zone_id)["HostedZone"]["Name"]
    if not f".{dotted(record['Name'])}".endswith(f".{zone}"):
        raise RefusedError(f"{record['Name']} is not in the zone {zone}")


def record_in_wrong_form(record: Record) -> None:
    """An alias has no values and no time to live, anything else has both; a policy needs an identifier, and
    several answers need values; a place is one that Route 53 knows.
    """
    policies = [policy for policy in _POLICIES if record.get(policy)]
    if "AliasTarget" in record:
        if {"TTL", "ResourceRecords"} & set(record):
            raise RefusedError("an alias has neither a TTL nor records")
        if "MultiValueAnswer" in policies:
            raise RefusedError("several answers are not for an alias")
    elif not ("TTL" in record and record.get("ResourceRecords")):
        raise RefusedError("a record needs a TTL and values")
    if len(policies) > 1:
        raise RefusedError(f"a record has one policy, not {', '.join(policies)}")
    if bool(policies) != ("SetIdentifier" in record):
        raise RefusedError("a routing policy and a set identifier go together")
    if "Region" in record and record["Region"] not in boto3.Session().get_available_regions("ec2"):
        raise RefusedError(f"{record['Region']} is no region")
    for value in record.get("ResourceRecords", []) if record["Type"] == "A" else []:
        try:
            IPv4Address(value["Value"])
        except ValueError as error:
            raise RefusedError(str(error)) from error
    if "GeoLocation" in record:
        _check_place(record["GeoLocation"])


def _check_place(place: Mapping[str, str]) -> None:
    continent, country = place.get("ContinentCode"), place.get("CountryCode")
    if (continent is None) == (country is None):
        raise RefusedError("a place is a continent or a country")
    if continent and continent not in _CONTINENTS:
        raise RefusedError(f"{continent} is no continent")
    if country and country != "*" and not (len(country) == 2 and country.isalpha() and country.isupper()):
        raise RefusedError(f"{country} is no country")
    if "SubdivisionCode" in place and country not in _DIVIDED:
        raise RefusedError(f"Route 53 knows no parts of {country}")


def unchecked_health(place: Place, record: Record) -> None:
    """A record names a health check that exists."""
    if "HealthCheckId" not in record:
        return
    found = place.client("route53").list_health_checks()["HealthChecks"]
    if record["HealthCheckId"] not in {check["Id"] for check in found}:
        raise RefusedError(f"there is no health check {record['HealthCheckId']}")


def clashing_record(place: Place, zone_id: str, record: Record) -> None:
    """The records of one name and type have one policy, and differ in identifier and in region or place; a
    CNAME stands alone.
    """
    name = dotted(record["Name"])
    same_name = [other for other in records_of(place, zone_id) if dotted(other["Name"]) == name]
    for other in same_name:
        if "CNAME" in (record["Type"], other["Type"]) and record["Type"] != other["Type"]:
            raise RefusedError(f"{name} has another record beside its CNAME")
        if other["Type"] != record["Type"]:
            continue
        if _policy(other) != _policy(record) or not _policy(record):
            raise RefusedError(f"{name} has a record of policy {_policy(other) or 'simple'} already")
        if other["SetIdentifier"] == record["SetIdentifier"]:
            raise RefusedError(f"{name} has a record {record['SetIdentifier']} already")
        if _policy(record) != "MultiValueAnswer" and other[_policy(record)] == record[_policy(record)]:
            raise RefusedError(f"{name} has a record for {record[_policy(record)]} already")


def _policy(record: Record) -> str:
    return next((policy for policy in _POLICIES if record.get(policy)), "")


def alias_to_nothing(place: Place, zone_id: str, record: Record) -> None:
    """An alias within a zone names a record of its type that exists there."""
    alias = record.get("AliasTarget")
    if alias is None or alias["HostedZoneId"] != zone_id:
        return
    target = dotted(alias["DNSName"])
    if target == dotted(record["Name"]):
        raise RefusedError(f"{target} is an alias of itself")
    there = {(dotted(other["Name"]), other["Type"]) for other in records_of(place, zone_id)}
    if (target, record["Type"]) not in there:
        raise RefusedError(f"the alias target {target} has no record of type {record['Type']} in the zone")


def check_that_checks_nothing(config: Mapping[str, Any]) -> None:
    """A health check of a known kind, with an address or a name, a port, and an interval that there is."""
    kinds = ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP", "CALCULATED")
    if config["Type"] not in kinds:
        raise RefusedError(f"{config['Type']} is no kind of health check")
    if config["Type"] == "CALCULATED":
        return
    if not {"IPAddress", "FullyQualifiedDomainName"} & set(config):
        raise RefusedError("a health check needs an address or a name")
    address = IPv4Address(config.get("IPAddress", "192.0.2.1"))
    if any(address in network for network in _PRIVATE):
        raise RefusedError(f"{address} cannot be reached from the world")
    if config.get("RequestInterval", 30) not in (10, 30):
        raise RefusedError("a health check asks every 10 or 30 s")
    if not 1 <= config.get("FailureThreshold", 3) <= 10:
        raise RefusedError("a health check fails after 1 to 10 failures")
    if not 1 <= config.get("Port", 80) <= 65535:
        raise RefusedError(f"{config['Port']} is no port")
    if config["Type"] != "TCP" and not config.get("ResourcePath", "/").startswith("/"):
        raise RefusedError("a path begins with /")
    if config.get("EnableSNI") and not config["Type"].startswith("HTTPS"):
        raise RefusedError("only HTTPS names its server")
    if 0 < len(config.get("Regions", [])) < 3:
        raise RefusedError("a health check is made from three regions or more")
