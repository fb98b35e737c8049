"""Where SQL replicas go under the provider's limits, and which one each region reads from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from infra.errors import InfraError
from infra.keys import STACK_FILE_KEYS


class NoPlacementError(InfraError):
    """A region cannot read as the stack file asks; the message says what to change."""


@pydantic_dataclass(frozen=True, config=STACK_FILE_KEYS)
class Limits:
    """What the provider allows: replicas of one source, and links in a chain from the master to a replica.

    Source: RDS in 2015 allowed five cross-region replicas of one source, and a chain could cross a region
    boundary once (the thesis, section 5.1): a chain length of 1 across regions.
    """

    replicas_per_source: Annotated[int, Field(ge=0, le=15)] = 5
    chain_length: Annotated[int, Field(ge=1, le=4)] = 1


@dataclass(frozen=True)
class Placement:
    """The SQL servers of an architecture.

    `source_of` maps each replica's region to the region it replicates from; `reads_from` maps each reading
    region to the region whose server it reads.
    """

    home: str
    source_of: Mapping[str, str]
    reads_from: Mapping[str, str]


def place(
    home: str, wanted: Sequence[str], readers: Sequence[str], fallback: Mapping[str, str], limits: Limits
) -> Placement:
    """Give replicas to the `wanted` regions, in that order, as far as the limits go.

    The first `replicas_per_source` replicate from home, the next ones from those, level by level, while
    the chain is no longer than `chain_length`. A reader without a replica reads from its `fallback`, or from
    home.

    Raises:
        NoPlacementError: when a fallback has no server of its own.
    """
    source_of: dict[str, str] = {}
    depth = {home: 0}
    children = {home: 0}
    for region in wanted:
        if region in depth:
            continue
        source = next(
            (s for s in depth if children[s] < limits.replicas_per_source and depth[s] < limits.chain_length),
            None,
        )
        if source is None:
            break
        source_of[region] = source
        children[source] += 1
        children[region] = 0
        depth[region] = depth[source] + 1
    reads_from: dict[str, str] = {}
    for reader in readers:
        if reader in depth:
            reads_from[reader] = reader
            continue
        target = fallback.get(reader, home)
        if target not in depth:
            raise NoPlacementError(
                f"{reader} should read from {target}, which gets no replica: name another region or raise"
                f" replicas-per-source ({limits.replicas_per_source}) or chain-length ({limits.chain_length})"
            )
        reads_from[reader] = target
    return Placement(home, source_of, reads_from)
