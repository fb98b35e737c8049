"""What an AWS account already uses of the quotas that an architecture needs, beside the stack itself.

Asked through the engine's provider, by calls that list and describe. What the stack has made before is told
by its tag and does not count: its whole need is in the requirement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.asking import NoAnswer, ask, warn
from infra.quotas import ADDRESSES, CORES, NETWORKS, SERVERS, Quota, Requirement
from infra.site import Site

STANDARD_FAMILIES: Final = ("a", "c", "d", "h", "i", "m", "r", "t", "z")
"""The families of the quota of standard instances. Source: EC2 user guide, "On-Demand Instance quotas"."""

OTHER_FAMILIES: Final = ("dl", "hpc", "inf", "mac", "trn")
"""Families whose names begin like a standard one and which have quotas of their own."""

COUNTING: Final = ("pending", "running")
"""The states of a machine in which it counts."""

MOST_MACHINES: Final = 200
"""So many machines of a region are looked at one by one; more are not counted, and that is warned of."""


@dataclass(frozen=True)
class _Listing:
    """How what counts against a quota is listed: a look-up in a region by tags, and the ids in its answer."""

    look_up: Callable[[str, Mapping[str, str]], pulumi.Output[Any]]
    ids: Callable[[Any], Sequence[str]]


_LISTINGS: Final[Mapping[Quota, _Listing]] = {
    NETWORKS: _Listing(
        lambda region, tags: aws.ec2.get_vpcs_output(region=region, tags=tags), lambda found: found.ids or ()
    ),
    ADDRESSES: _Listing(
        lambda region, tags: aws.ec2.get_eips_output(region=region, tags=tags),
        lambda found: found.allocation_ids or (),
    ),
    SERVERS: _Listing(
        lambda region, tags: aws.rds.get_instances_output(region=region, tags=tags),
        lambda found: found.instance_identifiers or (),
    ),
    CORES: _Listing(
        lambda region, tags: aws.ec2.get_instances_output(
            region=region, instance_tags=tags, instance_state_names=list(COUNTING)
        ),
        lambda found: found.ids or (),
    ),
}
"""Read replicas are not among them: a master of the stack's own has none but the stack's."""


def by_others(site: Site, needed: Sequence[Requirement]) -> Mapping[Requirement, int]:
    """How much of each quota is used by what is not of this stack; nothing where AWS does not say.

    What AWS does not say is warned of. Spot machines are counted too, though their quota is another: the
    provider does not tell them apart.

    Args:
        site: the stack.
        needed: the requirements that are asked about.
    """
    own = {"isochrone:stack": site.architecture.name}
    asked = [requirement for requirement in needed if requirement.quota in _LISTINGS]
    answers = ask(
        {
            (requirement, whose): _LISTINGS[requirement.quota].look_up(requirement.region, tags)
            for requirement in asked
            for whose, tags in (("all", {}), ("own", own))
        }
    )
    silent = {r: answer for (r, _), answer in answers.items() if isinstance(answer, NoAnswer)}
    others: dict[Requirement, list[str]] = {}
    for requirement in asked:
        if requirement not in silent:
            ids = _LISTINGS[requirement.quota].ids
            spared = set(ids(answers[requirement, "own"]))
            others[requirement] = [id_ for id_ in ids(answers[requirement, "all"]) if id_ not in spared]
    cores, uncounted = _cores({r: ids for r, ids in others.items() if r.quota == CORES})
    warn(
        "AWS did not say how much is used already of",
        {f"{r.quota.name} in {r.region}": answer for r, answer in (silent | uncounted).items()},
    )
    return {r: len(ids) for r, ids in others.items() if r.quota != CORES} | cores


def _cores(
    machines: Mapping[Requirement, Sequence[str]],
) -> tuple[dict[Requirement, int], dict[Requirement, NoAnswer]]:
    """The cores of the machines of each region, and why those of some regions could not be counted."""
    uncounted = {
        r: NoAnswer(f"{len(ids)} machines run there, and at most {MOST_MACHINES} are looked at")
        for r, ids in machines.items()
        if len(ids) > MOST_MACHINES
    }
    described = ask(
        {
            (r, id_): aws.ec2.get_instance_output(instance_id=id_, region=r.region)
            for r, ids in machines.items()
            if r not in uncounted
            for id_ in ids
        }
    )
    kinds: dict[Requirement, Counter[str]] = {r: Counter() for r in machines}
    for (r, _), machine in described.items():
        if isinstance(machine, NoAnswer):
            uncounted[r] = machine
        elif is_standard(machine.instance_type):
            kinds[r][machine.instance_type] += 1
    sizes = ask(
        {
            (r, kind): aws.ec2.get_instance_type_output(instance_type=kind, region=r.region)
            for r, found in kinds.items()
            for kind in found
        }
    )
    uncounted |= {r: answer for (r, _), answer in sizes.items() if isinstance(answer, NoAnswer)}
    cores = {
        r: sum(count * sizes[r, kind].default_vcpus for kind, count in found.items())
        for r, found in kinds.items()
        if r not in uncounted
    }
    return cores, uncounted


def is_standard(instance_type: str) -> bool:
    """Whether the cores of a type count against the quota of standard instances."""
    return instance_type.startswith(STANDARD_FAMILIES) and not instance_type.startswith(OTHER_FAMILIES)
