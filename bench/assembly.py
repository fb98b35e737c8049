"""One architecture's result from what was measured of it, whichever world it ran in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.load import Load
from bench.result import ArchitectureResult, Generator, Ledger, Meters, RegionFacts, RoleUsage


@dataclass(frozen=True)
class Subject:
    """What was measured: its title and data path, where its users are sent, what it costs by the hour."""

    title: str
    data_path: str
    regions: Mapping[str, RegionFacts]
    usd_per_hour: float
    cost_notes: Iterable[str]


def assembled(
    subject: Subject,
    load: Load,
    ledger: Ledger,
    evaluated: tuple[Meters, dict[str, RoleUsage], dict[str, object]],
    generator: Generator,
) -> ArchitectureResult:
    """The result of one run of one architecture.

    Args:
        subject: what was measured.
        load: what its users measured.
        ledger: the proof of its money.
        evaluated: its meters, the usage by role, and the meters' inputs.
        generator: how well the load was generated.
    """
    meters, roles, inputs = evaluated
    return ArchitectureResult(
        users=load.users,
        latency_ms=load.latency,
        broadcasts=load.broadcasts,
        broadcast_spread_ms=load.spread,
        errors=load.errors,
        ledger=ledger,
        meters=meters,
        cost_per_hour=round(subject.usd_per_hour, 4),
        generator=generator,
        title=subject.title,
        data_path=subject.data_path,
        cost_notes=list(subject.cost_notes),
        curves=load.curves,
        roles=roles,
        regions=dict(subject.regions),
        meter_inputs=inputs,
    )
