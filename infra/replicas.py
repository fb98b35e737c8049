"""Where SQL replicas go under the provider's limits, and which one each region reads from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from infra.errors import InfraError
from infra.keys import STACK_FILE_KEYS


class NoPlacementError(InfraError):
    """Regions cannot have or read a server as asked; `mistakes` says what to change, by key below `sql`."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        self.mistakes = dict(mistakes)
        super().__init__("; ".join(mistakes.values()))


@pydantic_dataclass(frozen=True, config=STACK_FILE_KEYS)
class Limits:
    """What the provider allows of replicas; the defaults are those of RDS in 2015 (the thesis, section 5.1).

    Args:
        replicas_per_source: replicas that replicate from the same server.
        chain_length: links of a chain, from the master to a replica.
        region_crossings: how many of a chain's links may lead into another region.
    """

    replicas_per_source: Annotated[int, Field(ge=0, le=15)] = 5
    chain_length: Annotated[int, Field(ge=1, le=4)] = 3
    region_crossings: Annotated[int, Field(ge=1, le=4)] = 1

    @property
    def depth(self) -> int:
        """The links that a chain may have here, where every replica is in another region than its source."""
        return min(self.chain_length, self.region_crossings)


@dataclass(frozen=True)
class Placement:
    """The SQL servers of an architecture.

    `source_of` maps each replica's region to the region it replicates from, every source before its replicas;
    `reads_from` maps each reading region to the region whose server it reads.
    """

    home: str
    source_of: Mapping[str, str]
    reads_from: Mapping[str, str]

    def replicas_of(self, source: str) -> tuple[str, ...]:
        """The regions whose replicas replicate from the server in `source`."""
        return tuple(region for region, other in self.source_of.items() if other == source)


def place(
    home: str, wanted: Sequence[str], readers: Sequence[str], fallback: Mapping[str, str], limits: Limits
) -> Placement:
    """Give replicas to the `wanted` regions, in that order, as far as the limits go.

    A replica replicates from home while home may have more, then from the region that `fallback` names for
    it, then from the server nearest to home. A region past the limits reads from its `fallback`.

    Args:
        home: the region of the master.
        wanted: the regions to give a replica, in the order of preference.
        readers: the regions that read; those that are not wanted and name no fallback read from home.
        fallback: by region, the region whose server it reads while it has none.
        limits: what the provider allows.

    Raises:
        NoPlacementError: when a wanted region gets no replica and has no fallback, or a fallback has no
            server; the message names the limits that would help, and to what each has to be raised.
    """
    source_of = _sources(home, wanted, fallback, limits)
    served = {home, *source_of}
    unserved = [region for region in dict.fromkeys((*wanted, *readers)) if region not in served]
    past_limits: dict[str, str] = {}
    unknown: list[str] = []
    for region in unserved:
        target = fallback.get(region)
        if target is None and region in wanted:
            past_limits[region] = f"{region} gets no replica and has no read-fallback"
        elif target is not None and target not in served:
            reading = f"{region} should read from {target}, which"
            if target in wanted:
                past_limits[target] = past_limits.get(target, f"{reading} gets no replica")
            else:
                unknown.append(f"{reading} is not in replica-regions: add it or name another")
    mistakes = {"limits": _limits_mistake(home, wanted, fallback, limits, past_limits)} if past_limits else {}
    if unknown:
        mistakes["read-fallback"] = "; ".join(unknown)
    if mistakes:
        raise NoPlacementError(mistakes)
    reads_from = {reader: reader if reader in served else fallback.get(reader, home) for reader in readers}
    return Placement(home, source_of, reads_from)


def _sources(
    home: str, wanted: Sequence[str], fallback: Mapping[str, str], limits: Limits
) -> Mapping[str, str]:
    source_of: dict[str, str] = {}
    depth = {home: 0}
    replicas = {home: 0}
    for region in wanted:
        if region in depth:
            continue
        free = [s for s in depth if replicas[s] < limits.replicas_per_source and depth[s] < limits.depth]
        if not free:
            break
        preferred = fallback.get(region)
        source = min(free, key=lambda s: (s != home, s != preferred, depth[s]))
        source_of[region] = source
        replicas[source] += 1
        replicas[region] = 0
        depth[region] = depth[source] + 1
    return source_of


def _limits_mistake(
    home: str,
    wanted: Sequence[str],
    fallback: Mapping[str, str],
    limits: Limits,
    problems: Mapping[str, str],
) -> str:
    raises = [
        " and ".join(f"{key} from {now} to {then}" for key, now, then in _differences(limits, higher))
        for higher in _sufficient(home, wanted, fallback, limits, problems.keys())
    ]
    return f"{'; '.join(problems.values())}: raise {', or '.join(raises)}, or name another read-fallback"


def _sufficient(
    home: str, wanted: Sequence[str], fallback: Mapping[str, str], limits: Limits, needed: AbstractSet[str]
) -> Iterator[Limits]:
    """The limits raised as little as gives the `needed` regions a replica: in breadth, and in depth."""
    broader = (replace(limits, replicas_per_source=n) for n in range(limits.replicas_per_source + 1, 16))
    deeper = (
        replace(
            limits, chain_length=max(limits.chain_length, n), region_crossings=max(limits.region_crossings, n)
        )
        for n in range(limits.depth + 1, 5)
    )
    for ladder in (broader, deeper):
        for higher in ladder:
            if needed <= _sources(home, wanted, fallback, higher).keys():
                yield higher
                break


def _differences(limits: Limits, higher: Limits) -> Iterator[tuple[str, int, int]]:
    for name in ("replicas_per_source", "chain_length", "region_crossings"):
        now, then = getattr(limits, name), getattr(higher, name)
        if then != now:
            yield name.replace("_", "-"), now, then
