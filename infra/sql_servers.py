"""The SQL servers: the master at home and its replicas in other regions, chained where the placement says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.architecture import SqlTier, Volume
from infra.errors import InfraError
from infra.hardware import ordered_class
from infra.network import RegionNetwork
from infra.secret_names import SQL_USERS
from infra.site import Site
from infra.sql_parameters import family, is_patch_named, parameters

DATABASE: Final = "market"
"""The name of the database, as the service's settings have it."""

KEY_DELETION_DAYS: Final = 7
"""How long a deleted key can be had back: the least that AWS takes."""

TIMEOUT: Final = "4h"
"""How long a server may take to be made or changed, after which the run fails.

A replica of 100 GiB in another region is the longest: AWS says that it can take hours, and the provider would
wait for 50 minutes, and for 80 for a change.
"""


class NoSqlServerError(InfraError):
    """The architecture has its SQL on the node."""


@dataclass(frozen=True)
class SqlServersArgs:
    """What the SQL servers are made of.

    Args:
        site: the stack's architecture, names and addresses.
        networks: the network of each region.
        admin_password: of the account that owns the database.
    """

    site: Site
    networks: Mapping[str, RegionNetwork]
    admin_password: pulumi.Input[str]


class SqlServers(pulumi.ComponentResource):
    """RDS instances: one at home that takes the writes, and a replica in each region of the placement.

    Each is encrypted with a key of its own region and speaks TLS only. Every server that others replicate
    from keeps backups. A protected stack's servers cannot be deleted; a master that the engine deletes while
    the stack file still protects it (after `pulumi state unprotect`, and AWS's own protection taken away by
    hand) leaves a snapshot. After `protect: false` none is left but those that somebody took.

    Args:
        hosts: the host name of the server in each region that has one.
        identifiers: its identifier.

    Raises:
        NoSqlServerError: when the architecture has none.
    """

    hosts: Mapping[str, pulumi.Output[str]]
    identifiers: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: SqlServersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:SqlServers", name, None, opts)
        self._name = name
        self._site = args.site
        self._networks = args.networks
        self._sql = args.site.architecture.sql
        placement = args.site.architecture.sql_placement
        self._sources = set(placement.source_of.values())
        servers = {args.site.home: self._master(args.admin_password)}
        for region, source in placement.source_of.items():
            servers[region] = self._replica(region, servers[source])
        self.hosts = {region: server.address for region, server in servers.items()}
        self.identifiers = {region: server.identifier for region, server in servers.items()}
        self.register_outputs({"hosts": self.hosts})

    def _master(self, password: pulumi.Input[str]) -> aws.rds.Instance:
        site, sql = self._site, self._sql
        if sql.instance_class is None or sql.volume is None:
            raise NoSqlServerError("the SQL server is on the node: there is none to declare")
        protect = site.architecture.protect
        return self._server(
            site.home,
            sql.volume,
            identifier=site.name("sql"),
            instance_class=ordered_class(site.architecture.hardware, sql.instance_class),
            engine=sql.engine,
            engine_version=sql.engine_version,
            # Of another series, which RDS takes for a server without replicas.
            allow_major_version_upgrade=True,
            db_name=DATABASE,
            username=SQL_USERS["sql-admin"],
            password=password,
            backup_retention_period=sql.backup_days,
            skip_final_snapshot=not protect,
            final_snapshot_identifier=site.name("sql", "final") if protect else None,
        )

    def _replica(self, region: str, source: aws.rds.Instance) -> aws.rds.Instance:
        site, sql = self._site, self._sql
        if sql.replica_class is None or sql.volume is None:
            raise NoSqlServerError("no class is named for the replicas of the SQL server")
        return self._server(
            region,
            sql.volume,
            identifier=site.name("sql", region),
            instance_class=ordered_class(site.architecture.hardware, sql.replica_class),
            replicate_source_db=source.arn,
            # Left out, since a replica has none unless it is asked for.
            backup_retention_period=sql.backup_days if region in self._sources else None,
            skip_final_snapshot=True,
        )

    def _server(self, region: str, volume: Volume, *, identifier: str, **more: Any) -> aws.rds.Instance:
        site = self._site
        protect = site.architecture.protect
        network = self._networks[region]
        name = f"{self._name}-{region}"
        tags = site.tags(f"sql-{region}", role="sql")
        kept = pulumi.ResourceOptions(
            parent=self,
            protect=protect,
            custom_timeouts=pulumi.CustomTimeouts(create=TIMEOUT, update=TIMEOUT),
        )
        return aws.rds.Instance(
            name,
            region=region,
            identifier=identifier,
            db_subnet_group_name=self._subnet_group(region, network).name,
            parameter_group_name=self._parameter_group(region, self._sql).name,
            vpc_security_group_ids=[network.security_groups["sql"]],
            publicly_accessible=False,
            multi_az=False,
            storage_encrypted=True,
            kms_key_id=self._key(region).arn,
            apply_immediately=True,
            # A version that RDS raises would differ from one that is named down to its patch level.
            auto_minor_version_upgrade=not is_patch_named(self._sql),
            copy_tags_to_snapshot=True,
            delete_automated_backups=not protect,
            deletion_protection=protect,
            tags=tags,
            opts=kept,
            **_storage(volume),
            **more,
        )

    def _subnet_group(self, region: str, network: RegionNetwork) -> aws.rds.SubnetGroup:
        return aws.rds.SubnetGroup(
            f"{self._name}-{region}",
            region=region,
            name=self._site.name("sql"),
            description=f"Isochrone {self._site.architecture.name}: the isolated subnets",
            subnet_ids=network.isolated_subnets,
            tags=self._site.tags(f"sql-{region}"),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _parameter_group(self, region: str, sql: SqlTier) -> aws.rds.ParameterGroup:
        # A family is never changed: another one is another group, which the servers have to use before the
        # first can go.
        return aws.rds.ParameterGroup(
            f"{self._name}-{region}",
            region=region,
            name=self._site.name("sql", family(sql).replace(".", "-")),
            family=family(sql),
            description=f"Isochrone {self._site.architecture.name}: the settings of the SQL servers",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(name=name, value=value, apply_method="immediate")
                for name, value in parameters(sql).items()
            ],
            tags=self._site.tags(f"sql-{region}"),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )

    def _key(self, region: str) -> aws.kms.Key:
        site = self._site
        kept = pulumi.ResourceOptions(parent=self, protect=site.architecture.protect)
        key = aws.kms.Key(
            f"{self._name}-{region}",
            region=region,
            description=f"Isochrone {site.architecture.name}: the disk of the SQL server in {region}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS,
            tags=site.tags(f"sql-{region}"),
            opts=kept,
        )
        aws.kms.Alias(
            f"{self._name}-{region}",
            region=region,
            name=f"alias/{site.name('sql', region)}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key


def _storage(volume: Volume) -> dict[str, Any]:
    """The disk: with provisioned operations io1, else gp3.

    A replica is made with its source's size, of which the provider warns. Later each server grows by a change
    of its own: RDS raises the size of a replica only when it is told to.
    """
    kind = {"storage_type": "io1", "iops": volume.iops} if volume.iops else {"storage_type": "gp3"}
    return {"allocated_storage": volume.size_gib, **kind}
