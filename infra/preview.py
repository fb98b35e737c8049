"""What a reviewer has to know of a stack before it is made: from what the program declares, and its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from infra.architecture import Architecture
from infra.cost import HOURS_PER_MONTH, CostEstimate
from infra.declaration import Declaration, Declared, of_type
from infra.quotas import Requirement, requirements
from infra.regions import REGIONS, RttMatrix
from infra.routing import resolves_to

GLOBAL: Final = "global"
"""Where a resource is that belongs to no region, such as a role or a record."""

WORLD: Final = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, order=True)
class Users:
    """What the users of a region meet: whose node, and where it reads live state and history."""

    region: str
    node: str
    redis: str
    sql: str


@dataclass(frozen=True, order=True)
class Replica:
    """A SQL replica and the region of the server that it replicates from."""

    region: str
    source: str


@dataclass(frozen=True, order=True)
class Record:
    """A DNS record: its policy, what sets it apart from others of its name, and what it answers."""

    name: str
    type: str
    policy: str
    identifier: str
    target: str
    health_checked: bool


@dataclass(frozen=True, order=True)
class Opening:
    """A port that the whole world may connect to."""

    region: str
    group: str
    ports: str


@dataclass(frozen=True)
class Preview:
    """A stack as its reviewer sees it.

    Users, quotas and cost follow from the architecture; the rest is read from what the program declares.
    """

    stack: str
    title: str
    declaration: Declaration
    users: tuple[Users, ...]
    replicas: tuple[Replica, ...]
    records: tuple[Record, ...]
    peerings: tuple[tuple[str, str], ...]
    openings: tuple[Opening, ...]
    quotas: tuple[Requirement, ...]
    cost: CostEstimate | None

    @property
    def latency_routes(self) -> tuple[Record, ...]:
        """The records that answer by the latency to a region."""
        return tuple(record for record in self.records if record.policy == "latency")

    def counts(self) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """How many resources there are by component, and by service and type, in each region."""
        counts: dict[tuple[str, str], Counter[str]] = {}
        components = {r.name: r.type.rpartition(":")[2] for r in self.declaration.resources if r.is_component}
        for resource in self.declaration.resources:
            if not resource.is_component:
                _, service, kind = resource.type.split(":")
                key = components.get(resource.parent, ""), f"{service.partition('/')[0]} {kind}"
                counts.setdefault(key, Counter())[resource.region or GLOBAL] += 1
        return dict(sorted(counts.items()))

    def as_json(self) -> dict[str, Any]:
        """The preview for programs."""
        return {
            "stack": self.stack,
            "title": self.title,
            "resources": [asdict(resource) for resource in self.declaration.resources],
            "exports": self.declaration.exports,
            "resolves_to": {users.region: users.node for users in self.users},
            "reads_from": {users.region: users.sql for users in self.users},
            "reads_live_from": {users.region: users.redis for users in self.users},
            "replicas": {replica.region: replica.source for replica in self.replicas},
            "records": [asdict(record) for record in self.records],
            "peerings": [list(pair) for pair in self.peerings],
            "open_to_the_world": [asdict(opening) for opening in self.openings],
            "quotas": [
                {"name": r.quota.name, "code": r.quota.code, "region": r.region, "needed": r.needed}
                for r in self.quotas
            ],
            "warnings": list(self.declaration.warnings),
            **_cost(self.cost),
        }


def _cost(cost: CostEstimate | None) -> dict[str, Any]:
    if cost is None:
        return {"cost_per_hour": None, "cost_per_month": None, "cost_items": [], "cost_notes": []}
    return {
        "cost_per_hour": round(cost.usd_per_hour, 4),
        "cost_per_month": round(cost.usd_per_hour * HOURS_PER_MONTH, 2),
        "cost_items": [asdict(item) for item in cost.items],
        "cost_notes": list(cost.notes),
    }


def preview_of(
    stack: str,
    title: str,
    declaration: Declaration,
    architecture: Architecture | None = None,
    matrix: RttMatrix | None = None,
    cost: CostEstimate | None = None,
) -> Preview:
    """The preview of what a program declares.

    Args:
        stack: the stack's name.
        title: what it is, in a few words.
        declaration: what the program declares for it.
        architecture: the architecture; None for a stack of images.
        matrix: the round trips that say which node is nearest to whom.
        cost: the estimate; None where nothing has a price.
    """
    resources = declaration.resources
    return Preview(
        stack,
        title,
        declaration,
        tuple(_users(architecture, matrix)) if architecture and matrix else (),
        tuple(sorted(_replicas(resources), key=lambda replica: _place(replica.region))),
        tuple(sorted(_records(resources))),
        tuple(sorted(_peerings(resources), key=lambda pair: (_place(pair[0]), _place(pair[1])))),
        tuple(sorted(_openings(resources), key=lambda opening: (_place(opening.region), opening.ports))),
        requirements(architecture) if architecture else (),
        cost,
    )


def _place(region: str) -> int:
    """The place of a region in the order in which everything names them."""
    return list(REGIONS).index(region) if region in REGIONS else len(REGIONS)


def _users(architecture: Architecture, matrix: RttMatrix) -> Iterator[Users]:
    nodes = resolves_to(architecture, matrix)
    for region in REGIONS:
        node = nodes[region]
        sql = architecture.sql_placement.reads_from[node]
        yield Users(region, node, architecture.redis_region(node), sql)


def _replicas(resources: Sequence[Declared]) -> Iterator[Replica]:
    for server in of_type(resources, "aws:rds/instance:Instance"):
        if source := server.inputs.get("replicateSourceDb"):
            yield Replica(server.region, source.split(":")[3] if ":" in source else server.region)


_POLICIES: Final = {
    "latencyRoutingPolicies": "latency",
    "geolocationRoutingPolicies": "geolocation",
    "multivalueAnswerRoutingPolicy": "multivalue",
}


def _records(resources: Sequence[Declared]) -> Iterator[Record]:
    for record in of_type(resources, "aws:route53/record:Record"):
        asked = record.inputs
        policy = next((name for key, name in _POLICIES.items() if asked.get(key)), "simple")
        targets = [alias["name"] for alias in asked.get("aliases", [])] or asked.get("records", [])
        yield Record(
            asked["name"],
            asked["type"],
            policy,
            asked.get("setIdentifier", ""),
            ", ".join(map(str, targets)),
            bool(asked.get("healthCheckId"))
            or any(alias.get("evaluateTargetHealth") for alias in asked.get("aliases", [])),
        )


def _peerings(resources: Sequence[Declared]) -> Iterator[tuple[str, str]]:
    for request in of_type(resources, "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"):
        yield request.region, request.inputs["peerRegion"]


def _openings(resources: Sequence[Declared]) -> Iterator[Opening]:
    for rule in of_type(resources, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"):
        asked = rule.inputs
        if asked.get("cidrIpv4") in WORLD or asked.get("cidrIpv6") in WORLD:
            first, last = asked.get("fromPort", "every"), asked.get("toPort", "every")
            ports = f"{first}" if first == last else f"{first}-{last}"
            yield Opening(rule.region, str(asked["securityGroupId"]).removesuffix(".id"), ports)
