"""The hosted zone and the records by which users reach a node that is near and healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.flows import HTTPS_PORT
from infra.geolocation import EVERYWHERE, Location
from infra.records import AddressRecord, AliasRecord, address_records, alias_records
from infra.site import Site

HEALTH_PATH: Final = "/healthz"
"""Where a node says whether it can serve."""

_CHECK_INTERVAL_S: Final = 10
"""Route53 checks every 10 or 30 s; with three failures an address is out after half a minute."""

_FAILURES: Final = 3


@dataclass(frozen=True)
class ZoneArgs:
    """The zone of the stack's domain.

    Args:
        site: the stack's architecture, names and tags.
    """

    site: Site


class Zone(pulumi.ComponentResource):
    """The domain's hosted zone: the existing one that the stack file names, or one of the stack's own.

    Args:
        zone_id: the zone's id.
        name_servers: what the domain has to be delegated to; none when the zone exists already.
    """

    zone_id: pulumi.Output[str]
    name_servers: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: ZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:Zone", name, None, opts)
        architecture = args.site.architecture
        if architecture.routing.zone_id:
            self.zone_id = pulumi.Output.from_input(architecture.routing.zone_id)
            self.name_servers = pulumi.Output.from_input([])
        else:
            zone = aws.route53.Zone(
                f"{name}-zone",
                name=architecture.domain,
                comment=f"Isochrone, stack {architecture.name}",
                # The records that prove the domain to the certificate's issuer are not the stack's.
                force_destroy=not architecture.protect,
                tags=args.site.tags("zone"),
                opts=pulumi.ResourceOptions(parent=self, protect=architecture.protect),
            )
            self.zone_id = zone.zone_id
            self.name_servers = zone.name_servers
        self.register_outputs({"zone_id": self.zone_id, "name_servers": self.name_servers})


@dataclass(frozen=True)
class RoutingArgs:
    """What the records lead to.

    Args:
        site: the stack's architecture, names and tags.
        addresses: the public addresses of each node region's pool, in an order that does not change.
        zone_id: the hosted zone that gets the records.
    """

    site: Site
    addresses: Mapping[str, Sequence[pulumi.Input[str]]]
    zone_id: pulumi.Input[str]


class Routing(pulumi.ComponentResource):
    """The records of the play name and of the regional names, with a health check for every address.

    An address of the pool that no node has at the moment fails its check and is not answered. Route53
    refuses records of two policies for one name: to change the policy, remove the play name's records first.
    """

    def __init__(self, name: str, args: RoutingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:Routing", name, None, opts)
        self._name = name
        self._args = args
        regional: dict[str, list[aws.route53.Record]] = {}
        for region in args.site.architecture.nodes.regions:
            addresses = args.addresses[region]
            records = address_records(args.site, region, len(addresses))
            regional[region] = [
                self._address(record, address) for record, address in zip(records, addresses, strict=True)
            ]
        for alias in alias_records(args.site):
            self._alias(alias, regional[alias.region])
        self.register_outputs({"play_name": args.site.play_name})

    def _address(self, record: AddressRecord, address: pulumi.Input[str]) -> aws.route53.Record:
        child = pulumi.ResourceOptions(parent=self)
        check = aws.route53.HealthCheck(
            f"{self._name}-{record.set_identifier}",
            type="HTTPS",
            ip_address=address,
            fqdn=record.name,
            port=HTTPS_PORT,
            resource_path=HEALTH_PATH,
            enable_sni=True,
            request_interval=_CHECK_INTERVAL_S,
            failure_threshold=_FAILURES,
            tags=self._args.site.tags(f"node-{record.set_identifier}"),
            opts=child,
        )
        return aws.route53.Record(
            f"{self._name}-{record.set_identifier}",
            zone_id=self._args.zone_id,
            name=record.name,
            type="A",
            ttl=record.ttl_s,
            records=[address],
            set_identifier=record.set_identifier,
            multivalue_answer_routing_policy=True,
            health_check_id=check.id,
            opts=child,
        )

    def _alias(self, alias: AliasRecord, targets: Sequence[aws.route53.Record]) -> None:
        aws.route53.Record(
            f"{self._name}-play-{alias.set_identifier or alias.region}",
            zone_id=self._args.zone_id,
            name=alias.name,
            type="A",
            aliases=[
                aws.route53.RecordAliasArgs(
                    name=alias.target, zone_id=self._args.zone_id, evaluate_target_health=True
                )
            ],
            set_identifier=alias.set_identifier,
            **_policy(alias),
            # An alias may only name a record that exists.
            opts=pulumi.ResourceOptions(parent=self, depends_on=targets),
        )


def _policy(alias: AliasRecord) -> dict[str, Any]:
    if alias.location:
        return {"geolocation_routing_policies": [_geolocation(alias.location)]}
    if alias.policy == "latency":
        return {"latency_routing_policies": [aws.route53.RecordLatencyRoutingPolicyArgs(region=alias.region)]}
    return {}


def _geolocation(location: Location) -> aws.route53.RecordGeolocationRoutingPolicyArgs:
    if location == EVERYWHERE:
        return aws.route53.RecordGeolocationRoutingPolicyArgs(country="*")
    if location.country is None:
        return aws.route53.RecordGeolocationRoutingPolicyArgs(continent=location.continent)
    return aws.route53.RecordGeolocationRoutingPolicyArgs(
        country=location.country, subdivision=location.state
    )
