"""A preview as tables for a terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from infra.changes import Changes
from infra.cost import HOURS_PER_MONTH, CostEstimate
from infra.preview import GLOBAL, Preview, Record
from infra.regions import REGIONS

_SHOWN_REGIONS: Final = 3


def rendered(preview: Preview) -> RenderableType:
    """All that the preview says, in the order in which a reviewer asks for it."""
    parts = list(_parts(preview))
    return Group(*(line for part in parts for line in (part, "")))


def _parts(preview: Preview) -> Iterator[RenderableType]:
    own = [resource for resource in preview.declaration.resources if not resource.is_component]
    regions = {resource.region for resource in own if resource.region}
    size = f"{len(own)} resources in {len(regions)} region{'s' * (len(regions) != 1)}"
    yield Text.from_markup(f"[bold]{escape(preview.title)}[/bold] ({preview.stack}): {size}")
    yield _resources(preview)
    if preview.users:
        yield _users(preview)
    if preview.replicas:
        yield _table(
            "SQL replicas",
            ("in", "replicates from"),
            [(_place(replica.region), _name(replica.source)) for replica in preview.replicas],
        )
    if preview.records:
        yield _records(preview.records)
    if preview.peerings:
        yield _table("Peerings", ("between", "and"), [(_place(a), _place(b)) for a, b in preview.peerings])
    if preview.openings:
        yield _openings(preview)
    if preview.quotas:
        yield _quotas(preview)
    if preview.cost:
        yield _cost(preview.cost)
    if notes := [*(preview.cost.notes if preview.cost else ()), *preview.declaration.warnings]:
        yield Group(Text("Notes", style="bold"), *(Text(f"- {note}") for note in notes))


def rendered_changes(changes: Changes) -> RenderableType:
    """What is different from an earlier commit."""
    kinds = (("added", changes.added), ("removed", changes.removed), ("changed", changes.changed))
    rows = [
        (kind, each.type.rpartition(":")[2], each.name, each.region or GLOBAL, ", ".join(each.keys))
        for kind, resources in kinds
        for each in resources
    ]
    cost = f"{changes.usd_per_hour:+.3f} $ per hour"
    title = f"Against {changes.against}: {len(rows)} resources differ, {cost}"
    return _table(title, ("", "resource", "name", "region", "what"), rows) if rows else Text(title)


def _resources(preview: Preview) -> Group:
    rows: list[tuple[str, ...]] = []
    shown = ""
    for (component, kind), counts in preview.counts().items():
        rows.append(
            ("" if component == shown else component, kind, f"{sum(counts.values())}", _where(counts))
        )
        shown = component
    return _table("What is declared", ("component", "resource", ">number", "where"), rows)


def _where(counts: Mapping[str, int], *, always: bool = False) -> str:
    """Where how many are, for instance `3 in eu-west-1, 2 in each of 7 regions`.

    A single place goes without its number unless it is `always` wanted.
    """
    if len(counts) == 1 and not always:
        return next(iter(counts))
    by_count: dict[int, list[str]] = defaultdict(list)
    for region, count in counts.items():
        by_count[count].append(region)
    return ", ".join(
        f"{count} in {', '.join(sorted(regions))}"
        if len(regions) <= _SHOWN_REGIONS
        else f"{count} in each of {len(regions)} regions"
        for count, regions in sorted(by_count.items(), reverse=True)
    )


def _users(preview: Preview) -> Group:
    return _table(
        "Where users are sent, and where their reads go",
        ("users in", "node in", "live state from", "history from"),
        [(_place(u.region), _name(u.node), _name(u.redis), _name(u.sql)) for u in preview.users],
    )


def _records(records: Sequence[Record]) -> Group:
    counts = Counter((r.name, r.type, r.policy, "yes" if r.health_checked else "no") for r in records)
    return _table(
        "DNS records",
        ("name", "type", "policy", "health-checked", ">number"),
        [(*row, str(count)) for row, count in counts.items()],
    )


def _openings(preview: Preview) -> Group:
    by_group: dict[tuple[str, str], list[str]] = defaultdict(list)
    for opening in preview.openings:
        by_group[opening.region, opening.group].append(opening.ports)
    return _table(
        "Open to the world",
        ("region", "security group", "ports"),
        [(_place(region), group, ", ".join(ports)) for (region, group), ports in by_group.items()],
    )


def _quotas(preview: Preview) -> Group:
    by_quota: dict[str, dict[str, int]] = defaultdict(dict)
    for requirement in preview.quotas:
        by_quota[requirement.quota.name][requirement.region] = requirement.needed
    return _table(
        "Quotas that the account needs at the stack's largest",
        ("quota", "needed"),
        [(name, _where(needed, always=True)) for name, needed in by_quota.items()],
    )


def _cost(cost: CostEstimate) -> Group:
    totals: dict[str, list[float]] = defaultdict(list)
    for item in cost.items:
        totals[item.what].append(item.usd_per_hour)
    rows = [(what, str(len(each)), *_money(sum(each))) for what, each in totals.items()]
    table = _plain(("item", ">number", ">$ per hour", ">$ per month"), rows)
    table.add_row("total", "", *_money(cost.usd_per_hour), style="bold")
    return _titled(f"Cost at the prices of {cost.as_of}", table)


def _money(usd_per_hour: float) -> tuple[str, str]:
    return f"{usd_per_hour:.3f}", f"{usd_per_hour * HOURS_PER_MONTH:,.0f}"


def _place(region: str) -> str:
    return f"{REGIONS[region]} ({region})" if region in REGIONS else region


def _name(region: str) -> str:
    return REGIONS.get(region, region)


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Group:
    """A table under its title; a heading that begins with `>` has its column aligned to the right."""
    return _titled(title, _plain(headings, rows))


def _titled(title: str, table: Table) -> Group:
    # Rich would wrap a table's own title at the table's width.
    return Group(Text(title, style="bold"), table)


def _plain(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
