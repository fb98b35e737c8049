"""The image and the stacks call the same things by the same names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami.node import document as documents
from ami.node.reporter import listing, names, reporter
from ami.node.reporter.collectors import redis_server
from infra import boot, metric_names, stackfile
from infra import boot_document as declared
from infra.flows import METRICS_PORT, Role
from infra.secret_names import SQL_USERS
from infra.site import Site
from market import keys

ROOT = Path(__file__).parents[2]


def told(stack: str, role: Role, region: str = "eu-west-1") -> documents.Document:
    site = Site(stackfile.load(stack, ROOT))
    resolved = boot.Resolved(dict.fromkeys(site.regions, "sql.example"), "Z1")
    return documents.decode(declared.to_json(boot.boot_settings(site, role, region, resolved)))


def test_the_metrics_are_those_that_the_stacks_read() -> None:
    sent = [(metric.name, metric.unit, metric.spread) for metric in names.CLOUDWATCH_METRICS]
    assert sent == [(metric.name, metric.unit, metric.spread) for metric in metric_names.CUSTOM_METRICS]
    assert names.MACHINE_DIMENSION == metric_names.MACHINE_DIMENSION


def test_the_journal_is_that_of_the_service() -> None:
    assert (redis_server.JOURNAL, redis_server.LEDGER_GROUP) == (keys.JOURNAL, keys.LEDGER_GROUP)


def test_machines_are_listed_where_prometheus_is_told_to_ask() -> None:
    scraping = told("geo-ii", "monitoring").scraping
    assert scraping is not None
    assert (scraping.path, scraping.port) == (reporter.TARGETS_PATH, METRICS_PORT)


def test_machines_have_the_tags_that_label_them() -> None:
    site = Site(stackfile.load("geo-ii", ROOT))
    assert {listing.ROLE_TAG, listing.STACK_TAG} <= site.tags("node", role="node").keys()


def test_the_secrets_are_those_of_the_stacks() -> None:
    assert reporter.SQL_SECRET in SQL_USERS
    assert reporter.REDIS_SECRET in told("geo-ii", "node").secrets.read


EVERYWHERE = ["cpu", "memory", "disk", "network", "tcp", "processes"]


@pytest.mark.parametrize(
    ("stack", "role", "more"),
    [
        ("baseline", "node", ["api", "redis", "ledger", "sql"]),
        ("geo-i", "node", ["api"]),
        ("geo-ii", "node", ["api", "redis"]),
        ("geo-ii", "core", ["ledger"]),
        ("geo-ii", "redis", ["redis"]),
        ("geo-ii", "monitoring", []),
    ],
)
def test_each_machine_measures_what_it_runs(stack: str, role: Role, more: list[str]) -> None:
    found = [each.name for each in reporter.collectors(told(stack, role), Path("/secrets"))]
    assert found == EVERYWHERE + more
