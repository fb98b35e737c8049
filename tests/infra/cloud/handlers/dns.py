"""Names: hosted zones, health checks and records."""

from __future__ import annotations

from typing import Any

from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import dns as refuse
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:route53/zone:Zone")
def zone(place: Place, inputs: Inputs) -> Made:
    route53 = place.client("route53")
    inputs.only("forceDestroy", True, False)
    made = route53.create_hosted_zone(
        Name=inputs.take("name"),
        CallerReference=place.name,
        HostedZoneConfig={"Comment": inputs.get("comment", "Managed by Pulumi"), "PrivateZone": False},
    )
    id_ = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
    if tags := inputs.tags():
        route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=id_, AddTags=tag_list(tags))
    return Made(
        id_,
        {
            "arn": f"arn:aws:route53:::hostedzone/{id_}",
            "zoneId": id_,
            "nameServers": made["DelegationSet"]["NameServers"],
            "primaryNameServer": made["DelegationSet"]["NameServers"][0],
        },
    )


@handler("aws:route53/healthCheck:HealthCheck")
def health_check(place: Place, inputs: Inputs) -> Made:
    route53 = place.client("route53")
    config = inputs.params(
        type="Type",
        ipAddress="IPAddress",
        fqdn="FullyQualifiedDomainName",
        port="Port",
        resourcePath="ResourcePath",
        enableSni="EnableSNI",
        requestInterval="RequestInterval",
        failureThreshold="FailureThreshold",
        measureLatency="MeasureLatency",
        invertHealthcheck="Inverted",
        disabled="Disabled",
        regions="Regions",
        childHealthchecks="ChildHealthChecks",
        childHealthThreshold="HealthThreshold",
    )
    refuse.check_that_checks_nothing(config)
    id_ = route53.create_health_check(
        CallerReference=inputs.get("referenceName", place.name), HealthCheckConfig=config
    )["HealthCheck"]["Id"]
    if tags := inputs.tags():
        route53.change_tags_for_resource(ResourceType="healthcheck", ResourceId=id_, AddTags=tag_list(tags))
    return Made(id_, {"arn": f"arn:aws:route53:::healthcheck/{id_}"})


def _policy(inputs: Inputs) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in inputs.parts("latencyRoutingPolicies"):
        found["Region"] = part.take("region")
    for part in inputs.parts("geolocationRoutingPolicies"):
        found["GeoLocation"] = part.params(
            continent="ContinentCode", country="CountryCode", subdivision="SubdivisionCode"
        )
    if "multivalueAnswerRoutingPolicy" in inputs:
        found["MultiValueAnswer"] = inputs.take("multivalueAnswerRoutingPolicy")
    return found


@handler("aws:route53/record:Record")
def record(place: Place, inputs: Inputs) -> Made:
    zone_id = inputs.take("zoneId")
    record_set = inputs.params(
        name="Name", type="Type", ttl="TTL", setIdentifier="SetIdentifier", healthCheckId="HealthCheckId"
    )
    if "records" in inputs:
        record_set["ResourceRecords"] = [{"Value": value} for value in inputs.take("records")]
    for alias in inputs.parts("aliases"):
        record_set["AliasTarget"] = alias.params(
            name="DNSName", zoneId="HostedZoneId", evaluateTargetHealth="EvaluateTargetHealth"
        )
    record_set |= _policy(inputs)
    action = "UPSERT" if inputs.get("allowOverwrite", False) else "CREATE"
    refuse.record_out_of_zone(place, zone_id, record_set)
    refuse.record_in_wrong_form(record_set)
    refuse.unchecked_health(place, record_set)
    refuse.clashing_record(place, zone_id, record_set)
    refuse.alias_to_nothing(place, zone_id, record_set)
    place.client("route53").change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}
    )
    name, type_ = record_set["Name"], record_set["Type"]
    identifier = record_set.get("SetIdentifier")
    return Made("_".join(filter(None, (zone_id, name, type_, identifier))), {"fqdn": name.rstrip(".")})
