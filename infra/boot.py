"""What the machines of each role are told when they boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from infra.addresses import REDIS_HOST
from infra.boot_document import (
    SCHEMA,
    AddressPool,
    BootSettings,
    Certificate,
    Endpoint,
    Finding,
    Group,
    Names,
    RedisPeers,
    Reporting,
    Scraping,
    Secrets,
    Service,
    SqlPeers,
)
from infra.flows import METRICS_PORT, REDIS_PORT, SENTINEL_PORT, SQL_PORT, Role, scraped_regions
from infra.group_names import DRAIN_HOOK, GROUPED, POOL_TAG, group_name, launch_hook, pool_name
from infra.log_names import log_group_name
from infra.metric_names import GROUP_DIMENSION, MACHINE_DIMENSION, NAMESPACE, machine_name
from infra.policies import challenge_name
from infra.secret_names import SQL_USERS, SecretKey, reads, secret_name, steward, writes
from infra.site import Site

HERE: Final = "127.0.0.1"
"""The address of what runs on the machine itself."""

DATA_DEVICE: Final = "/dev/xvdf"
"""The device name under which a Redis machine's data volume is attached; an NVMe machine renames it."""


TARGETS_PATH: Final = "/targets"
"""Where the machine that runs the ledger lists all machines for Prometheus (its HTTP service discovery)."""


@dataclass(frozen=True)
class Resolved:
    """What only AWS knows.

    Args:
        sql_hosts: the host name of the SQL server in each region that has one; the master's at home.
        zone_id: the hosted zone of the domain.
    """

    sql_hosts: Mapping[str, str]
    zone_id: str


def boot_settings(site: Site, role: Role, region: str, resolved: Resolved, index: int = 0) -> BootSettings:
    """What the machines of a role in a region are told.

    Args:
        site: the stack's architecture, names and addresses.
        role: what the machine is for; `sql` has no machine of ours.
        region: where it is.
        resolved: what only AWS knows.
        index: which of the Redis machines it is; the first is the master.
    """
    architecture = site.architecture
    return BootSettings(
        schema=SCHEMA,
        stack=architecture.name,
        role=role,
        region=region,
        home=site.home,
        services=tuple(_services(site, role)),
        api_processes=architecture.nodes.api_processes if role == "node" else 0,
        names=Names(architecture.domain, site.play_name, site.regional_name(region)),
        redis=_redis(site, role, index),
        sql=_sql(site, role, region, resolved),
        secrets=Secrets(
            _secret_names(site, reads(architecture, role)), _secret_names(site, writes(architecture, role))
        ),
        certificate=_certificate(site, role, resolved),
        group=_group(site, role, region),
        address_pool=AddressPool(POOL_TAG, pool_name(site, region)) if role == "node" else None,
        data_device=DATA_DEVICE if role == "redis" else None,
        reporting=_reporting(site, role, region, index),
        listing=_finding(site, scraped_regions(architecture)) if role == steward(architecture) else None,
        scraping=(
            Scraping(steward(architecture), METRICS_PORT, TARGETS_PATH, _finding(site, (site.home,)))
            if role == "monitoring"
            else None
        ),
    )


def _group(site: Site, role: Role, region: str) -> Group | None:
    if role not in GROUPED:
        return None
    return Group(group_name(site, role, region), DRAIN_HOOK, launch_hook(site.architecture, role))


def _finding(site: Site, regions: tuple[str, ...]) -> Finding:
    return Finding(regions, "isochrone:stack", site.architecture.name)


def _services(site: Site, role: Role) -> Iterator[Service]:
    architecture = site.architecture
    if role == "node" and architecture.sql.placement == "node":
        yield "mariadb"
    if role == "redis" or (role == "node" and architecture.redis.placement != "home"):
        yield "redis"
    if role == "redis" and architecture.redis.standbys:
        yield "sentinel"
    if role == "node" and architecture.redis.placement == "replicated" and architecture.redis.standbys:
        yield "follow"
    if role == steward(architecture):
        yield from ("migrations", "ledger", "resolver", "feed")
        if writes(architecture, role):
            yield "certificate"
    if role == "node":
        yield from ("api", "nginx")
    if role == "monitoring":
        yield from ("prometheus", "grafana")


def redis_hosts(site: Site) -> tuple[str, ...]:
    """The addresses of the Redis machines at home, the master's first, each in a zone of its own."""
    zones = range(1 + site.architecture.redis.standbys)
    return tuple(str(site.addresses[site.home].host(zone, REDIS_HOST)) for zone in zones)


def _redis(site: Site, role: Role, index: int) -> RedisPeers | None:
    tier = site.architecture.redis
    if role in ("monitoring", "load"):
        return None
    if tier.placement == "node":
        here = Endpoint(HERE, REDIS_PORT)
        return RedisPeers("master", here, here, (), tier.append_sync)
    hosts = redis_hosts(site)
    master = Endpoint(hosts[0], REDIS_PORT)
    sentinels = tuple(Endpoint(host, SENTINEL_PORT) for host in hosts) if tier.standbys else ()
    if role == "redis":
        runs: Literal["master", "replica"] = "replica" if index else "master"
        return RedisPeers(runs, master, Endpoint(HERE, REDIS_PORT), sentinels, tier.append_sync)
    if role == "node" and tier.placement == "replicated":
        return RedisPeers("replica", master, Endpoint(HERE, REDIS_PORT), sentinels, tier.append_sync)
    return RedisPeers(None, master, master, sentinels, tier.append_sync)


def _sql(site: Site, role: Role, region: str, resolved: Resolved) -> SqlPeers | None:
    architecture = site.architecture
    if role not in ("node", "core"):
        return None
    accounts = {key: SQL_USERS[key] for key in reads(architecture, role) if key in SQL_USERS}
    if architecture.sql.placement == "node":
        here = Endpoint(HERE, SQL_PORT)
        return SqlPeers(here, here, accounts, architecture.sql.log_flush)
    master = Endpoint(resolved.sql_hosts[site.home], SQL_PORT)
    if role == steward(architecture):
        return SqlPeers(master, master, accounts)
    read_region = architecture.sql_placement.reads_from[region]
    return SqlPeers(master, Endpoint(resolved.sql_hosts[read_region], SQL_PORT), accounts)


def _secret_names(site: Site, keys: tuple[SecretKey, ...]) -> Mapping[SecretKey, str]:
    return {key: secret_name(site, key) for key in keys}


def _certificate(site: Site, role: Role, resolved: Resolved) -> Certificate | None:
    if not writes(site.architecture, role):
        return None
    names = (site.play_name, f"*.{site.play_name}")
    return Certificate(names, challenge_name(site), resolved.zone_id)


def _reporting(site: Site, role: Role, region: str, index: int) -> Reporting:
    if role in GROUPED:
        dimension, value = GROUP_DIMENSION, group_name(site, role, region)
    else:
        dimension, value = MACHINE_DIMENSION, machine_name(site, role, index)
    return Reporting(NAMESPACE, dimension, value, METRICS_PORT, log_group_name(site, role))
