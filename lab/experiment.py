"""One run of one architecture: brought up, loaded, measured, its money proven, taken down."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench import coordinator, plan, windows
from bench.assembly import Subject, assembled
from bench.books import prove_dump
from bench.database_counts import DatabaseCounts, counters
from bench.events import Progress
from bench.load import Load
from bench.plan import Plan
from bench.result import ArchitectureResult, Generator, Ledger
from bench.scenario import Scenario
from infra.architecture import Architecture
from infra.cost import estimate
from infra.prices import PriceList
from infra.regions import REGIONS, RttMatrix
from lab import tun, wanstats
from lab.lab import Lab
from lab.region_facts import region_facts
from lab.sampler import Sampler, Watched
from lab.site import DataPath

WINDOW_S: Final = 10.0
"""The window in which utilisation is evaluated, scaled to a minute; the thesis had CloudWatch's minutes."""

DRAIN_TIMEOUT_S: Final = 10.0
"""How long answers are waited for after the last prediction; a round trip takes a third of a second."""

WAN_LATE_MS: Final = 20.0
WAN_LATE_SHARE: Final = 0.02
"""When more than this share of the packets left the WAN later than `WAN_LATE_MS`, it held them up."""


@dataclass(frozen=True)
class Experiment:
    """What to run, and where.

    Args:
        architecture: the architecture.
        matrix: the round trips between regions.
        data_path: how the service calls its databases.
        scenario: what the users do.
        prices: what the cost is computed from.
        directory: where the plans, the outcomes and the workers' files go.
        name: the lab's name.
        root: where the lab keeps its state.
        seed: fixes what every user does and when.
    """

    architecture: Architecture
    matrix: RttMatrix
    data_path: DataPath
    scenario: Scenario
    prices: PriceList
    directory: Path
    name: str
    root: Path
    seed: int = 1


def run(
    experiment: Experiment,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ArchitectureResult:
    """Carry out an experiment; nothing of the lab is left afterwards.

    Args:
        experiment: what to run.
        on_step: is told what is being done, in words.
        on_progress: is told about once a second how far the load is.

    Raises:
        LabError: the lab did not come up, or a process of it ended by itself.
        BenchError: the load could not be put on it.
    """
    with Lab.up(
        experiment.architecture,
        experiment.matrix,
        name=experiment.name,
        root=experiment.root,
        data_path=experiment.data_path,
        users=experiment.scenario.users,
        balance=experiment.scenario.largest_spend,
        on_step=on_step,
    ) as lab:
        on_step("running the load")
        before = _counts(lab)
        wan_before = lab.world.wan_stats()
        with Sampler(_watched(lab)) as sampler:
            load = asyncio.run(_load(experiment, lab, on_progress))
        wan = lab.world.wan_stats().since(wan_before)
        lab.check()
        counted = counters(before, _counts(lab), load)
        on_step("proving the money")
        lab.stop_apis()
        lab.drain()
        ledger = prove_dump(lab.dump().splitlines(), load)
        on_step("taking the lab down")
    return _result(experiment, load, ledger, sampler, _capacities(lab), counted, wan)


async def _load(experiment: Experiment, lab: Lab, on_progress: Callable[[Progress], None]) -> Load:
    plans = plan.divide(
        list(REGIONS),
        experiment.scenario,
        url=lab.url,
        ca_file=lab.ca_file,
        tokens_file=lab.tokens_file,
        directory=experiment.directory,
        seed=experiment.seed,
        drain_timeout_s=DRAIN_TIMEOUT_S,
    )

    async def spawn(worker: Plan, path: Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *lab.worker_argv(worker.region, [sys.executable, "-m", "bench.worker", path]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    return await coordinator.run(plans, spawn, experiment.directory, on_progress)


def _counts(lab: Lab) -> DatabaseCounts:
    hits = misses = queries = 0
    for name, machine in lab.machines.items():
        if machine.redis:
            with lab.redis(name) as redis:
                stats = redis.info("stats")
            hits += stats["keyspace_hits"]
            misses += stats["keyspace_misses"]
        if machine.sql:
            with lab.sql(name) as connection, connection.cursor() as cursor:
                cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
                row = cursor.fetchone()
            queries += int(row["Value"]) if row else 0
    return DatabaseCounts(hits, misses, queries)


def _watched(lab: Lab) -> list[Watched]:
    return [
        Watched(name, machine.role, lab.namespace(name), tun.NAME, lab.disk(name))
        for name, machine in lab.machines.items()
        if machine.capacity
    ]


def _capacities(lab: Lab) -> list[windows.MachineCapacity]:
    return [
        windows.MachineCapacity(
            name,
            machine.role,
            machine.capacity.cores,
            machine.capacity.memory_mib,
            machine.capacity.disk_mib,
        )
        for name, machine in lab.machines.items()
        if machine.capacity
    ]


def _result(
    experiment: Experiment,
    load: Load,
    ledger: Ledger,
    sampler: Sampler,
    capacities: list[windows.MachineCapacity],
    counted: list[windows.CounterSample],
    wan: wanstats.WanStats,
) -> ArchitectureResult:
    cost = estimate(experiment.architecture, experiment.prices)
    samples = [s for s in sampler.samples if load.started_at_s <= s.at_s <= load.ended_at_s]
    evaluated = windows.evaluate(
        samples,
        capacities,
        {name: latency.all for name, latency in load.latency.items()},
        counted,
        cost.usd_per_hour,
        window_s=WINDOW_S,
    )
    subject = Subject(
        experiment.architecture.title,
        experiment.data_path,
        region_facts(experiment.architecture, experiment.matrix),
        cost.usd_per_hour,
        cost.notes,
    )
    return assembled(subject, load, ledger, evaluated, _judged(load.generator, wan))


def _judged(generator: Generator, wan: wanstats.WanStats) -> Generator:
    """The generator's own verdict, with the emulated WAN's lateness and losses as further reasons."""
    reasons = list(generator.reasons)
    late = wan.later_than(WAN_LATE_MS)
    if late > WAN_LATE_SHARE * wan.packets:
        share = late / wan.packets
        reasons.append(f"the emulated WAN held up {share:.1%} of the packets by more than {WAN_LATE_MS:g} ms")
    if wan.overflowed or wan.failed:
        reasons.append(f"the emulated WAN dropped {wan.overflowed + wan.failed} packets for want of room")
    return msgspec.structs.replace(generator, saturated=bool(reasons), reasons=reasons)
