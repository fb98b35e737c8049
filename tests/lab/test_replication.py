"""Which server of Redis is out of its place, from what each says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from lab.replication import astray

HOME = {"redis": "10.0.0.1", "redis-1": "10.0.0.2", "redis-2": "10.0.0.3"}
MASTER = {"role": "master"}


def replica(of: str, status: str = "up", syncs: int = 0) -> dict[str, Any]:
    return {
        "role": "slave",
        "master_host": HOME[of],
        "master_link_status": status,
        "master_sync_in_progress": syncs,
    }


AFTER_FAILOVER = {
    "redis": replica("redis-1"),
    "redis-1": MASTER,
    "redis-2": replica("redis-1"),
    "node-eu-west-1": replica("redis-2"),
    "node-sa-east-1": replica("redis"),
}


def test_all_are_in_place_when_home_follows_the_master_and_the_nodes_follow_standbys() -> None:
    assert astray("redis-1", HOME, AFTER_FAILOVER) is None


@pytest.mark.parametrize(
    ("name", "link", "problem"),
    [
        ("redis", MASTER, "redis is a master beside redis-1"),
        ("redis", replica("redis-2"), "redis follows 10.0.0.3, not 10.0.0.2"),
        ("redis-1", replica("redis"), "redis-1 is a replica"),
        ("redis-2", replica("redis-1", "down"), "redis-2 has lost 10.0.0.2"),
        ("redis-2", replica("redis-1", "up", 1), "redis-2 has lost"),
        ("node-sa-east-1", replica("redis-1"), "node-sa-east-1 follows 10.0.0.2, not 10.0.0.1 or 10.0.0.3"),
        ("node-sa-east-1", MASTER, "a master beside"),
    ],
)
def test_who_is_not_is_named(name: str, link: dict[str, Any], problem: str) -> None:
    assert problem in (astray("redis-1", HOME, AFTER_FAILOVER | {name: link}) or "")
