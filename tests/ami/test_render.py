from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami import render
from ami.errors import UnsafeValueError
from market import settings

WORDS = st.from_regex(r"[A-Za-z0-9_./:*+=@%-]{1,40}", fullmatch=True)
MEANINGFUL = st.text(min_size=1).filter(lambda text: any(c in " \t\r\n;{}'\"\\#$" for c in text))


def redis(**changes: Any) -> render.Redis:
    values: dict[str, Any] = {
        "bind": ("127.0.0.1",),
        "announce": "127.0.0.1",
        "socket": Path("/run/redis/redis.sock"),
        "directory": Path("/var/lib/redis"),
        "password": "a-password",
        "max_memory_mib": 100,
    }
    return render.Redis(**values | changes)


def mariadb(**changes: Any) -> render.Mariadb:
    values: dict[str, Any] = {
        "bind": ("127.0.0.1",),
        "socket": Path("/run/mysqld/mysqld.sock"),
        "directory": Path("/var/lib/mysql"),
        "pid_file": Path("/run/mysqld/mysqld.pid"),
        "server_id": 1,
        "buffer_pool_mib": 64,
        "log_file_mib": 8,
        "log_bin": True,
    }
    return render.Mariadb(**values | changes)


def nginx(**changes: Any) -> render.Nginx:
    values: dict[str, Any] = {
        "server_names": ("play.market.example",),
        "address": "127.0.0.1",
        "upstreams": [Path("/run/market/api-0.sock"), Path("/run/market/api-1.sock")],
        "certificate": Path("/etc/market/node.pem"),
        "certificate_key": Path("/etc/market/node.key"),
        "directory": Path("/var/lib/market-nginx"),
        "worker_connections": 1024,
    }
    return render.Nginx(**values | changes)


def market(**changes: Any) -> render.Market:
    def redis_at(host: str) -> render.RedisEndpoint:
        return render.RedisEndpoint(host=host, password_file=Path("/etc/market/redis.password"))

    def sql_at(host: str, user: str) -> render.SqlEndpoint:
        return render.SqlEndpoint(host=host, user=user, password_file=Path("/etc/market/sql.password"))

    values: dict[str, Any] = {
        "region": "sa-east-1",
        "node": "node-sa-east-1",
        "token_key_file": Path("/etc/market/token.key"),
        "redis_master": redis_at("198.18.4.30"),
        "redis_read": redis_at("127.0.0.1"),
        "sql_master": sql_at("198.18.4.40", "market_ledger"),
        "sql_read": sql_at("198.18.8.41", "market_reader"),
    }
    return render.Market(**values | changes)


def directives(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    "directive",
    [
        "tcp_nodelay on;",
        "tcp_nopush off;",
        "keepalive_timeout 1000s;",
        "proxy_read_timeout 1000s;",
        "listen 127.0.0.1:443 ssl default_server backlog=16384 deferred reuseport so_keepalive=60s:10s:6;",
        "worker_processes auto;",
        "server_tokens off;",
    ],
)
def test_nginx_has_the_settings_of_the_thesis_with_nagle_off(directive: str) -> None:
    assert directive in directives(nginx().render())


def test_nginx_balances_over_every_api_process() -> None:
    lines = directives(nginx().render())
    assert [line.split()[1] for line in lines if line.startswith("server unix:")] == [
        "unix:/run/market/api-0.sock",
        "unix:/run/market/api-1.sock",
    ]


@pytest.mark.parametrize(("limit", "lines"), [(None, 0), (165_535, 1)])
def test_nginx_raises_its_descriptors_only_where_it_is_told_to(limit: int | None, lines: int) -> None:
    text = nginx(worker_rlimit_nofile=limit).render()
    assert text.count("worker_rlimit_nofile") == lines


def test_a_redis_master_follows_nobody_and_a_replica_its_master() -> None:
    assert not any(line.startswith("replicaof") for line in directives(redis().render()))
    assert "replicaof 198.18.4.30 6379" in directives(redis(replica_of="198.18.4.30").render())


def test_a_password_is_in_the_file_and_not_in_the_representation() -> None:
    config = redis(password="swordfish")
    assert "requirepass swordfish" in directives(config.render())
    assert "masterauth swordfish" in directives(config.render())
    assert "swordfish" not in repr(config)


@pytest.mark.parametrize(
    ("log_bin", "replica", "present", "absent"),
    [
        (True, False, {"log_bin"}, {"read_only", "relay_log", "log_slave_updates"}),
        (False, True, {"read_only", "relay_log"}, {"log_bin", "log_slave_updates"}),
        (True, True, {"log_bin", "read_only", "relay_log", "log_slave_updates"}, set()),
    ],
    ids=["source", "replica", "replica that is a source"],
)
def test_mariadb_logs_where_it_is_a_source_and_refuses_writes_where_it_is_a_replica(
    log_bin: bool, replica: bool, present: set[str], absent: set[str]
) -> None:
    text = mariadb(log_bin=log_bin, replica=replica).render()
    keys = {line.split(" = ")[0] for line in directives(text) if " = " in line}
    assert present <= keys
    assert not absent & keys


@pytest.mark.parametrize(("flush", "log", "binlog"), [("everysec", 2, 0), ("commit", 1, 1)])
def test_mariadb_flushes_its_two_logs_alike(flush: str, log: int, binlog: int) -> None:
    text = directives(mariadb(log_flush=flush).render())
    assert {f"innodb_flush_log_at_trx_commit = {log}", f"sync_binlog = {binlog}"} <= set(text)


@given(bad=MEANINGFUL)
def test_a_value_that_could_mean_something_else_is_refused(bad: str) -> None:
    for config in (
        nginx(server_names=(bad,)),
        nginx(certificate=Path(f"/etc/{bad}")),
        redis(password=bad),
        redis(bind=("127.0.0.1", bad)),
        mariadb(directory=Path(f"/var/lib/{bad}")),
    ):
        with pytest.raises(UnsafeValueError):
            config.render()


def test_a_refused_secret_is_not_in_the_message() -> None:
    with pytest.raises(UnsafeValueError) as refused:
        redis(password="open sesame").render()
    assert "sesame" not in str(refused.value)


@given(password=WORDS)
def test_a_word_is_accepted_as_it_is(password: str) -> None:
    assert f"requirepass {password}" in directives(redis(password=password).render())


def test_the_service_serves_every_page_unless_it_is_told_which(tmp_path: Path) -> None:
    path = tmp_path / "api.toml"
    path.write_text(market(allowed_origins=["https://play.market.example"]).render(), encoding="utf-8")
    assert settings.load(path).allowed_origins == ["https://play.market.example"]
    assert "allowed-origins" not in market().render()


@pytest.mark.parametrize("data_path", ["async", "blocking"])
def test_the_service_reads_its_settings_as_they_were_meant(data_path: str, tmp_path: Path) -> None:
    path = tmp_path / "api.toml"
    path.write_text(market(data_path=data_path).render(), encoding="utf-8")
    assert settings.load(path) == settings.Settings(
        region="sa-east-1",
        node="node-sa-east-1",
        token_key_file="/etc/market/token.key",
        redis_master=settings.RedisEndpoint("198.18.4.30", 6379, "/etc/market/redis.password"),
        redis_read=settings.RedisEndpoint("127.0.0.1", 6379, "/etc/market/redis.password"),
        sql_master=settings.SqlEndpoint("198.18.4.40", 3306, "market_ledger", "/etc/market/sql.password"),
        sql_read=settings.SqlEndpoint("198.18.8.41", 3306, "market_reader", "/etc/market/sql.password"),
        data_path="blocking" if data_path == "blocking" else "async",
    )


@given(name=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_in_the_settings(name: str) -> None:
    assert tomllib.loads(market(node=name).render())["node"] == name
