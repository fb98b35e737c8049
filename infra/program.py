"""The Pulumi program: declares on AWS what a stack's file describes."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
from pulumi.runtime import register_stack_transformation
from pulumi.runtime.config import CONFIG, is_config_secret

from infra import flows, preflight
from infra.architecture import Architecture
from infra.boot import Resolved, boot_settings
from infra.boot_document import to_json
from infra.core_group import CoreGroup, CoreGroupArgs
from infra.cost import estimate
from infra.dns import Routing, RoutingArgs, Zone, ZoneArgs
from infra.errors import InfraError
from infra.flows import Role
from infra.guard_rails import GuardRails
from infra.identity import Identity, IdentityArgs
from infra.image_spec import image_from_config, is_image
from infra.image_stack import declare_images
from infra.images import image_id
from infra.load_fleet import LoadFleet, LoadFleetArgs
from infra.monitoring_machine import MonitoringMachine, MonitoringMachineArgs
from infra.network import RegionNetwork, RegionNetworkArgs
from infra.node_group import NodeGroup, NodeGroupArgs
from infra.observability import Observability, ObservabilityArgs
from infra.peering import Peering, PeeringArgs
from infra.prices import PriceList, prices_2015
from infra.redis_servers import RedisServers, RedisServersArgs
from infra.rules import rules
from infra.secrets import GivenSecretError, Secrets, SecretsArgs, check_given
from infra.site import Site
from infra.sql_servers import SqlServers, SqlServersArgs
from infra.stackfile import NAMESPACE, SECRETS, from_config


def run(prices: PriceList | None = None) -> None:
    """Declare the stack that the engine runs this program for.

    Args:
        prices: today's, for the estimate among the outputs; without them it is at those of 2015.

    Raises:
        pulumi.RunError: when its configuration is wrong, or AWS says that it cannot be had; nothing is
            declared then.
    """
    try:
        values: Mapping[str, str] = CONFIG.get()
        if is_image(values):
            images = image_from_config(pulumi.get_stack(), values)
            register_stack_transformation(GuardRails(protect=False))
            declare_images(images)
        else:
            secret = [key for key in values if is_config_secret(key)]
            architecture = from_config(pulumi.get_stack(), values, secret)
            declare(architecture, given_secrets(values), prices or prices_2015())
    except InfraError as error:
        raise pulumi.RunError(str(error)) from error


def given_secrets(values: Mapping[str, str]) -> Mapping[str, str]:
    """The secrets that the configuration gives, by key.

    Raises:
        GivenSecretError: when they are not given by key.
    """
    try:
        given = json.loads(values.get(f"{NAMESPACE}{SECRETS}", "{}"))
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise GivenSecretError(
            f"{NAMESPACE}{SECRETS}: give each secret by its key:"
            f" pulumi config set --secret --path {NAMESPACE}{SECRETS}.KEY"
        )
    return given


def declare(architecture: Architecture, given: Mapping[str, str], prices: PriceList) -> None:
    """Declare an architecture, after AWS was asked whether it can be had.

    Args:
        architecture: what to declare.
        given: the secrets that are not to be made.
        prices: the prices of the estimate among the outputs.

    Raises:
        InfraError: when it cannot, before anything is declared.
    """
    site = Site(architecture)
    allowed = rules(site)
    check_given(site, given)
    register_stack_transformation(GuardRails(architecture.protect))
    preflight.check_domain(site)
    preflight.check_zones(site)
    preflight.check_offers(site)
    preflight.check_quotas(site)
    name = architecture.name

    zone = Zone(f"{name}-zone", ZoneArgs(site))
    secrets = Secrets(f"{name}-secrets", SecretsArgs(site, given))
    identity = Identity(f"{name}-identity", IdentityArgs(site, secrets.arns, zone.zone_id))
    networks = {
        region: RegionNetwork(f"{name}-{region}", RegionNetworkArgs(site, region, allowed))
        for region in site.regions
    }
    peerings = [
        Peering(f"{name}-{one}-{other}", PeeringArgs(site, networks[one], networks[other]))
        for one, other in flows.peerings(architecture)
    ]
    images = {region: image_id(site, region) for region in _machine_regions(architecture)}
    home = networks[site.home]
    sql = (
        SqlServers(f"{name}-sql", SqlServersArgs(site, networks, secrets.value("sql-admin")))
        if architecture.sql.placement != "node"
        else None
    )

    def user_data(role: Role, region: str, index: int = 0) -> pulumi.Output[str]:
        return pulumi.Output.all(sql_hosts=sql.hosts if sql else {}, zone_id=zone.zone_id).apply(
            lambda known: to_json(boot_settings(site, role, region, Resolved(**known), index))
        )

    redis = (
        RedisServers(
            f"{name}-redis",
            RedisServersArgs(
                site,
                home,
                images[site.home],
                identity.profiles["redis"],
                [user_data("redis", site.home, index) for index in range(1 + architecture.redis.standbys)],
            ),
        )
        if architecture.redis.placement != "node"
        else None
    )
    ready = [*peerings, *(part for part in (sql, redis) if part)]
    core = (
        CoreGroup(
            f"{name}-core",
            CoreGroupArgs(
                site, home, images[site.home], identity.profiles["core"], user_data("core", site.home)
            ),
            pulumi.ResourceOptions(depends_on=ready),
        )
        if architecture.core
        else None
    )
    nodes = {
        region: NodeGroup(
            f"{name}-node-{region}",
            NodeGroupArgs(
                site, networks[region], images[region], identity.profiles["node"], user_data("node", region)
            ),
            pulumi.ResourceOptions(depends_on=ready),
        )
        for region in architecture.nodes.regions
    }
    monitoring = MonitoringMachine(
        f"{name}-monitoring",
        MonitoringMachineArgs(
            site,
            home,
            images[site.home],
            identity.profiles["monitoring"],
            user_data("monitoring", site.home),
        ),
    )
    Routing(
        f"{name}-routing",
        RoutingArgs(site, {region: group.addresses for region, group in nodes.items()}, zone.zone_id),
    )
    watching = Observability(
        f"{name}-observability",
        ObservabilityArgs(
            site,
            group_names={region: group.group_name for region, group in nodes.items()},
            monitoring_instance_id=monitoring.instance_id,
            sql_identifiers=sql.identifiers if sql else {},
            redis_instance_ids=redis.instance_ids if redis else (),
            core_group_name=core.group_name if core else None,
        ),
    )
    if architecture.load:
        fleet = LoadFleet(
            f"{name}-load",
            LoadFleetArgs(
                site,
                networks,
                images,
                identity.profiles["load"],
                {region: user_data("load", region) for region in architecture.load.regions},
            ),
        )
        pulumi.export("load_bucket", fleet.bucket)
        pulumi.export("load_groups", fleet.group_names)
    pulumi.export("url", f"wss://{site.play_name}/ws")
    pulumi.export("name_servers", zone.name_servers)
    pulumi.export("addresses", {region: group.addresses for region, group in nodes.items()})
    pulumi.export("regional_names", {region: site.regional_name(region) for region in nodes})
    pulumi.export("sql_hosts", sql.hosts if sql else {})
    pulumi.export("sql_reads", _sql_reads(architecture, sql))
    pulumi.export("cost_per_hour", round(estimate(architecture, prices).usd_per_hour, 3))
    pulumi.export("monitoring_instance_id", monitoring.instance_id)
    pulumi.export("dashboard_url", watching.dashboard_url)


def _sql_reads(architecture: Architecture, sql: SqlServers | None) -> Mapping[str, pulumi.Output[str]]:
    """The SQL server that each region's nodes read from, where it is not the node itself."""
    if sql is None:
        return {}
    return {node: sql.hosts[server] for node, server in architecture.sql_placement.reads_from.items()}


def _machine_regions(architecture: Architecture) -> tuple[str, ...]:
    """The regions in which machines of ours are started, home first."""
    clients = architecture.load.regions if architecture.load else ()
    return tuple(dict.fromkeys((architecture.home, *architecture.nodes.regions, *clients)))
