"""What each machine of each architecture gets and starts, from what it is told and what it has."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ami.errors import UnsafeValueError
from ami.node import paths
from ami.node.certificates import self_signed
from ami.node.configure import configure, rds_hosts
from ami.node.document import KNOWN_SERVICES, Document, DocumentError
from ami.node.plan import UNIT_OF, Plan
from ami.node.secret_store import SecretError, SecretValues
from infra.flows import Role
from market.cli import COMMANDS
from market.settings import load
from tests.ami.node_fakes import INSTANCE, SECRETS, STACKS, document, machine, secrets

API = [f"market-api@{number}.service" for number in range(16)]
REDIS = "redis-server.service"
COMPANIONS = ["isochrone-health.service", "isochrone-drain.service", "isochrone-reporter.service"]
CERTIFICATE = "isochrone-certificate.service"
ROOTFS = Path(__file__).parents[2] / "ami" / "rootfs"
SETTINGS_OF = {
    "migrations": paths.MIGRATE_SETTINGS,
    "ledger": paths.LEDGER_SETTINGS,
    "resolver": paths.RESOLVER_SETTINGS,
    "feed": paths.FEED_SETTINGS,
}
JOURNAL = [
    "market-migrate.service",
    "market-ledger.service",
    "market-resolver.service",
    "market-feed.service",
]


JOURNAL_SETTINGS = {
    paths.LEDGER_SETTINGS,
    paths.MIGRATE_SETTINGS,
    paths.RESOLVER_SETTINGS,
    paths.FEED_SETTINGS,
}


def plan(stack: str, role: Role, region: str = "eu-west-1", **changes: Any) -> Plan:
    told = document(stack, role, region)
    tls = self_signed((told.names.play,)) if told.runs("nginx") else None
    return configure(told, secrets(), machine(region=region, **changes), tls)


def text(made: Plan, path: Path) -> str:
    return next(file.text for file in made.files if file.path == path)


def lines(made: Plan, path: Path) -> list[str]:
    return [line.strip() for line in text(made, path).splitlines()]


@pytest.mark.parametrize(
    ("stack", "role", "units"),
    [
        ("baseline", "node", ["mariadb.service", REDIS, *JOURNAL, *API, "nginx.service", CERTIFICATE]),
        ("geo-i", "node", [*API[:2], "nginx.service", CERTIFICATE]),
        ("geo-ii", "node", [REDIS, *API[:2], "nginx.service", CERTIFICATE]),
        ("geo-ii", "core", [*JOURNAL, CERTIFICATE]),
        ("geo-ii", "redis", [REDIS]),
        ("geo-ii", "monitoring", ["prometheus.service", "isochrone-targets.service"]),
    ],
)
def test_a_machine_starts_what_it_is_for_data_first(stack: str, role: Role, units: list[str]) -> None:
    assert list(plan(stack, role).units) == [*units, *COMPANIONS]


@pytest.mark.parametrize(
    ("stack", "role", "files"),
    [
        (
            "baseline",
            "node",
            {
                paths.API_SETTINGS,
                *JOURNAL_SETTINGS,
                paths.REDIS,
                paths.MARIADB,
                paths.MARIADB_ACCOUNTS,
                paths.NGINX,
                paths.CERTIFICATE,
            },
        ),
        ("geo-i", "node", {paths.API_SETTINGS, paths.NGINX, paths.CERTIFICATE}),
        ("geo-ii", "node", {paths.API_SETTINGS, paths.REDIS, paths.NGINX, paths.CERTIFICATE}),
        ("geo-ii", "core", JOURNAL_SETTINGS),
        ("geo-ii", "redis", {paths.REDIS}),
        ("geo-ii", "monitoring", {paths.PROMETHEUS}),
    ],
)
def test_a_machine_has_the_files_of_what_it_runs(stack: str, role: Role, files: set[Path]) -> None:
    assert {file.path for file in plan(stack, role).files} == files


@pytest.mark.parametrize(("stack", "role"), [("baseline", "node"), ("geo-ii", "node"), ("geo-ii", "core")])
def test_a_secret_is_in_no_file_outside_of_memory_and_for_no_strangers_eyes(stack: str, role: Role) -> None:
    made = plan(stack, role)
    for file in made.files:
        holds = "PRIVATE KEY" in file.text or any(value in file.text for value in SECRETS.values())
        if holds:
            assert file.path.is_relative_to("/run"), file.path
            assert file.mode & 0o007 == 0, file.path
    assert not any(value in repr(made) for value in SECRETS.values())


@pytest.mark.parametrize(
    ("stack", "role", "path", "redis", "sql"),
    [
        ("baseline", "node", paths.API_SETTINGS, ("127.0.0.1",) * 2, ("127.0.0.1", "market_reader", None)),
        (
            "geo-i",
            "node",
            paths.API_SETTINGS,
            ("10.4.128.10",) * 2,
            ("sql.eu-west-1.rds.amazonaws.com", "market_reader", str(paths.SQL_AUTHORITIES)),
        ),
        (
            "geo-ii",
            "node",
            paths.API_SETTINGS,
            ("10.4.128.10", "127.0.0.1"),
            ("sql.eu-west-1.rds.amazonaws.com", "market_reader", str(paths.SQL_AUTHORITIES)),
        ),
        (
            "geo-ii",
            "core",
            paths.LEDGER_SETTINGS,
            ("10.4.128.10",) * 2,
            ("sql.eu-west-1.rds.amazonaws.com", "market_ledger", str(paths.SQL_AUTHORITIES)),
        ),
        (
            "geo-ii",
            "core",
            paths.MIGRATE_SETTINGS,
            ("10.4.128.10",) * 2,
            ("sql.eu-west-1.rds.amazonaws.com", "market_migrate", str(paths.SQL_AUTHORITIES)),
        ),
    ],
)
def test_a_process_reads_what_it_is_meant_to_and_has_one_account(
    stack: str,
    role: Role,
    path: Path,
    redis: tuple[str, str],
    sql: tuple[str, str, str | None],
    tmp_path: Path,
) -> None:
    written = tmp_path / "settings.toml"
    written.write_text(text(plan(stack, role), path))
    read = load(written)
    assert (read.redis_master.host, read.redis_read.host) == redis
    assert (read.sql_master.host, read.sql_master.user, read.sql_master.ca_file) == sql
    assert read.sql_read.user == "market_reader"
    assert (read.node, read.region) == (INSTANCE, "eu-west-1")
    assert read.redis_master.password_file == "/etc/isochrone/secrets/redis-password"
    assert read.sql_master.password_file.startswith("/etc/isochrone/secrets/sql-")


def test_the_service_serves_the_pages_of_the_name_that_users_connect_to() -> None:
    settings = tomllib.loads(text(plan("geo-ii", "node"), paths.API_SETTINGS))
    assert settings["allowed-origins"] == ["https://play.market.example"]


def test_a_node_far_away_reads_from_the_replica_that_it_is_told_of() -> None:
    settings = tomllib.loads(text(plan("geo-ii", "node", "ap-southeast-2"), paths.API_SETTINGS))
    assert settings["sql-read"]["host"] == "sql.ap-southeast-1.rds.amazonaws.com"


@pytest.mark.parametrize(
    ("stack", "role", "bind", "replica", "mib"),
    [
        ("baseline", "node", "bind 127.0.0.1", False, 7680),
        ("geo-ii", "node", "bind 127.0.0.1", True, 7680),
        ("geo-ii", "redis", "bind 127.0.0.1 10.4.0.77", False, 11_520),
    ],
)
def test_redis_is_master_or_replica_and_as_large_as_its_machine_lets_it(
    stack: str, role: Role, bind: str, replica: bool, mib: int
) -> None:
    config = lines(plan(stack, role), paths.REDIS)
    assert bind in config
    assert ("replicaof 10.4.128.10 6379" in config) is replica
    assert f"maxmemory {mib}mb" in config
    assert "requirepass redis-secret" in config
    assert "replica-announce-ip 10.4.0.77" in config


def test_mariadb_makes_the_accounts_of_its_machine_for_its_machine_only() -> None:
    made = plan("baseline", "node")
    assert f"init_file = {paths.MARIADB_ACCOUNTS}" in lines(made, paths.MARIADB)
    assert "bind_address = 127.0.0.1" in lines(made, paths.MARIADB)
    accounts = lines(made, paths.MARIADB_ACCOUNTS)
    assert "CREATE OR REPLACE USER 'market_ledger'@'127.0.0.1' IDENTIFIED BY 'ledger-secret';" in accounts
    assert "GRANT SELECT ON market.* TO 'market_reader'@'127.0.0.1';" in accounts
    assert made.sql_accounts is None


@pytest.mark.parametrize(("flush", "log", "binlog"), [("everysec", 2, 0), ("commit", 1, 1)])
def test_mariadb_flushes_as_the_stack_file_says(flush: Any, log: int, binlog: int) -> None:
    told = document("baseline", "node")
    assert told.sql
    told = msgspec.structs.replace(told, sql=msgspec.structs.replace(told.sql, log_flush=flush))
    made = configure(told, secrets(), machine(region="eu-west-1"), None)
    assert f"innodb_flush_log_at_trx_commit = {log}" in lines(made, paths.MARIADB)
    assert f"sync_binlog = {binlog}" in lines(made, paths.MARIADB)


def test_the_steward_makes_the_accounts_of_a_server_that_is_not_its_own() -> None:
    accounts = plan("geo-ii", "core").sql_accounts
    assert accounts is not None
    assert accounts.server.host == "sql.eu-west-1.rds.amazonaws.com"
    assert (accounts.admin.name, accounts.admin.password) == ("market_migrate", "admin-secret")
    assert [(a.name, a.password, a.rights) for a in accounts.others] == [
        ("market_ledger", "ledger-secret", "SELECT, INSERT"),
        ("market_reader", "reader-secret", "SELECT"),
    ]
    assert plan("geo-ii", "node").sql_accounts is None


def test_nginx_balances_over_the_processes_and_leaves_dns_when_the_machine_drains() -> None:
    config = lines(plan("geo-i", "node"), paths.NGINX)
    assert [line for line in config if line.startswith("server unix:")] == [
        f"server unix:/run/market/api-{n}.sock max_fails=0;" for n in range(2)
    ]
    assert "server_name play.market.example eu-west-1.play.market.example;" in config
    assert "worker_connections 165535;" in config
    assert f"if (-f {paths.DRAINING}) {{" in config


def test_a_small_machine_gives_nginx_less() -> None:
    config = lines(plan("geo-i", "node", memory_mib=1024, cores=2), paths.NGINX)
    assert "worker_connections 36792;" in config
    assert "worker_rlimit_nofile 37304;" in config


def test_prometheus_is_told_where_its_targets_are() -> None:
    config = json.loads(text(plan("geo-ii", "monitoring"), paths.PROMETHEUS))
    assert config["scrape_configs"][0]["file_sd_configs"][0]["files"] == [str(paths.TARGETS)]


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("role", ["node", "core"])
def test_a_process_is_told_of_no_secret_that_its_machine_does_not_have(stack: str, role: Role) -> None:
    if role == "core" and stack == "baseline":
        return
    named = set()
    for path in (paths.API_SETTINGS, *JOURNAL_SETTINGS):
        for file in plan(stack, role).files:
            if file.path == path:
                named |= set(re.findall(rf'"{paths.SECRETS}/([^"]+)"', file.text))
    assert named
    assert named <= set(document(stack, role).secrets.read)


def test_what_the_image_does_not_have_is_said() -> None:
    (note,) = plan("geo-ii", "monitoring").notes
    assert note.startswith("this image has no grafana: Prometheus answers at 127.0.0.1:9090")
    assert any("there is no certificate yet" in note for note in plan("geo-i", "node").notes)


def test_a_resolver_and_a_feed_have_settings_of_their_own() -> None:
    made = plan("geo-ii", "core")
    for path in (paths.RESOLVER_SETTINGS, paths.FEED_SETTINGS):
        assert tomllib.loads(text(made, path))["sql-master"]["user"] == "market_reader"


def test_the_image_runs_exactly_what_the_service_has_a_command_for() -> None:
    for service, command in {
        "migrations": "migrate",
        "ledger": "ledger",
        "resolver": "resolver",
        "feed": "feed",
    }.items():
        assert (service in KNOWN_SERVICES) == (command in COMMANDS), (
            f"{service}: bring ami.node.document.KNOWN_SERVICES up to what `market` can do"
        )
        unit = (ROOTFS / "etc/systemd/system" / UNIT_OF[service]).read_text()
        assert f"/bin/market {command} --settings {SETTINGS_OF[service]}" in unit


def test_a_document_for_another_region_is_refused() -> None:
    with pytest.raises(DocumentError, match="is for eu-west-1 and the machine is in us-east-1"):
        configure(document("geo-i", "node"), secrets(), machine(region="us-east-1"), None)


def test_a_secret_that_the_machine_may_not_read_is_named() -> None:
    with pytest.raises(SecretError, match="needs the secret redis-password"):
        configure(document("geo-ii", "redis"), SecretValues({}), machine(), None)


def test_an_account_that_is_missing_is_named() -> None:
    told = document("geo-ii", "core")
    assert told.sql is not None
    without = msgspec.structs.replace(told.sql, users={"sql-reader": "market_reader"})
    with pytest.raises(DocumentError, match=r"sql\.users\.sql-ledger: is missing"):
        configure(msgspec.structs.replace(told, sql=without), secrets(), machine(), None)


@pytest.mark.parametrize(("stack", "role"), [("geo-ii", "redis"), ("baseline", "node")])
def test_a_secret_that_would_mean_something_in_a_file_is_refused_without_being_told(
    stack: str, role: Role
) -> None:
    bad = "open'; DROP DATABASE market; --"
    values = SecretValues({**SECRETS, "redis-password": bad, "sql-reader": bad})
    with pytest.raises(UnsafeValueError) as refused:
        configure(document(stack, role), values, machine(), None)
    assert "DROP" not in str(refused.value)


@pytest.mark.parametrize(("stack", "hosts"), [("baseline", 0), ("geo-i", 1)])
def test_only_servers_of_aws_need_its_authorities(stack: str, hosts: int) -> None:
    told: Document = document(stack, "node")
    assert len(rds_hosts(told)) == hosts
