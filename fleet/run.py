"""One run of a load on a stack on AWS: filled, loaded from all regions, measured, its money proven."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from bench import windows
from bench.assembly import Subject, assembled
from bench.books import prove_dump
from bench.database_counts import DatabaseCounts, counters
from bench.load import Load
from bench.measured import Measured, load_of
from bench.result import ArchitectureResult, Ledger
from bench.scenario import Scenario
from fleet import bundle, cloudwatch, job, machines, scripts, ssm, tokens
from fleet.board import Board, Telling
from fleet.crew import START_TIMEOUT_S
from fleet.errors import FleetError
from fleet.job import Keys
from fleet.machines import Client, Machine
from fleet.outputs import Outputs
from fleet.ssm import Transport
from fleet.store import Store
from fleet.watched import instance_size, watched
from fleet.workload import Workload
from infra.cost import estimate
from infra.prices import PriceList
from infra.regions import RttMatrix
from infra.secret_names import steward
from infra.site import Site
from lab.region_facts import region_facts

LEAD_S: Final = 5.0
"""From all machines' being ready to the start: all of them know it by then."""

SPARE_S: Final = 60.0
"""What a machine may take beyond its plan's bound: to leave what it measured in the bucket."""

COUNT_S: Final = 60.0
SEED_S: Final = 300.0
BOOKS_S: Final = 3600.0
"""How long the other scripts may run; the journal of a long run takes its time to reach SQL."""

TOKENS_SPARE_S: Final = 900
"""How much longer than the run the users' tokens hold."""


@dataclass(frozen=True)
class FleetRun:
    """What to run on which stack.

    Args:
        site: the stack, by its file.
        outputs: what the engine says of it.
        scenario: what the users do.
        prices: what the cost is computed from.
        matrix: the round trips that say what the way alone costs.
        name: the run's name in the bucket.
        seed: fixes what every user does and when.
        ca_file: the certificate authorities on the load machines.
        python: the Python there.
        lead_s: from all machines' being ready to the start.
    """

    site: Site
    outputs: Outputs
    scenario: Scenario
    prices: PriceList
    matrix: RttMatrix
    name: str
    seed: int = 1
    ca_file: str = job.SYSTEM_AUTHORITIES
    python: str = scripts.PYTHON
    lead_s: float = LEAD_S


@dataclass(frozen=True)
class Edges:
    """How a run reaches AWS and waits: boto3's clients, scripts on machines, and the passing of time."""

    client: Client
    transport: Transport
    sleep: Callable[[float], None] = time.sleep


def run(what: FleetRun, edges: Edges, telling: Telling) -> ArchitectureResult:
    """Carry out a run; the users' tokens are gone from the bucket afterwards.

    Raises:
        FleetError: when machines are missing, cannot be told what to do, fail or take too long.
        BenchError: when what they leave is not what is expected.
    """
    site = what.site
    store = Store(edges.client("s3", site.home), what.outputs.load_bucket)
    if site.architecture.protect:
        raise FleetError(
            f"{site.architecture.name} is protected, and a run replaces all of its live state: for a"
            " benchmark set isochrone:protect to false and run `pulumi up`"
        )
    telling.step("looking for the machines")
    found = machines.running(edges.client, site.architecture.name, site.regions)
    fleet = machines.load_machines(found, site.architecture)
    stewards = machines.of_role(found, steward(site.architecture))
    if not stewards:
        raise FleetError(f"no {steward(site.architecture)} machine of {site.architecture.name} runs")
    counting = _counting(found)
    try:
        telling.step("filling the market")
        epoch = _seed(what, edges, stewards[0])
        before = _count(edges, counting)
        load = _load(what, edges, telling, store, fleet)
        after = _count(edges, counting)
        telling.step("proving the money")
        ledger = _prove(what, edges, store, stewards[0], load, epoch)
    finally:
        store.remove(Keys(what.name).jobs)
    telling.step("reading what the machines used")
    counted = watched(site, found, what.outputs.sql_hosts)
    minutes = cloudwatch.minutes_of(load.started_at_s, load.ended_at_s)
    used = cloudwatch.await_windows(edges.client, counted, minutes, edges.sleep)
    # The fleet that measures is no part of what is measured.
    cost = estimate(replace(site.architecture, load=None), what.prices)
    evaluated = windows.evaluate_windows(
        used,
        [each.capacity for each in counted],
        {name: latency.all for name, latency in load.latency.items()},
        counters(before, after, load),
        cost.usd_per_hour,
    )
    subject = Subject(
        site.architecture.title,
        "async",
        region_facts(site.architecture, what.matrix),
        cost.usd_per_hour,
        cost.notes,
    )
    return assembled(subject, load, ledger, evaluated, load.generator)


def _seed(what: FleetRun, edges: Edges, machine: Machine) -> int:
    script = scripts.seed(what.scenario.users, what.scenario.largest_spend)
    (answer,) = ssm.run(edges.transport, [machine], script, SEED_S, "fill the market", edges.sleep)
    return scripts.seeded_epoch(answer.output + answer.error)


def _counting(found: Sequence[Machine]) -> Mapping[str, list[Machine]]:
    """The machines that count what databases served, by the settings that name them."""
    return {
        scripts.NODE_SETTINGS: machines.of_role(found, "node"),
        scripts.STEWARD_SETTINGS: machines.of_role(found, "core"),
    }


def _count(edges: Edges, counting: Mapping[str, list[Machine]]) -> DatabaseCounts:
    printed: dict[str, str] = {}
    for settings, asked in counting.items():
        script = scripts.counters(settings)
        answers = ssm.run(edges.transport, asked, script, COUNT_S, "count", edges.sleep)
        printed |= {
            machine.instance_id: answer.output for machine, answer in zip(asked, answers, strict=True)
        }
    return scripts.totals(printed)


def _load(what: FleetRun, edges: Edges, telling: Telling, store: Store, fleet: Sequence[Machine]) -> Load:
    architecture, keys = what.site.architecture, Keys(what.name)
    telling.step("delivering the load")
    signer = tokens.signer(edges.client, what.site)
    lasting_s = int(what.scenario.end_s) + TOKENS_SPARE_S
    store.put(keys.generator, bundle.generator_zip())
    store.put(keys.tokens, tokens.table(signer, what.scenario.users, lasting_s))
    workload = Workload(
        what.name,
        what.outputs.url,
        what.ca_file,
        what.scenario,
        instance_size(architecture, machines.load_fleet(architecture).instance_type).cores,
        what.seed,
    )
    jobs = {each.machine: each for each in workload.jobs(fleet)}
    for name, each in jobs.items():
        store.put(keys.job(name), job.encode(each))
    told = [
        (
            machine,
            scripts.crew(store.bucket, what.site.home, what.name, machine.name, what.python),
            START_TIMEOUT_S + max(plan.longest_s for plan in jobs[machine.name].plans) + SPARE_S,
        )
        for machine in fleet
        if machine.name in jobs
    ]
    sent = ssm.send(edges.transport, told, f"load {what.name}")
    telling.step(f"waiting for {len(jobs)} machines")
    ssm.wait(
        sent, edges.transport, edges.sleep, Board(what.name, what.lead_s, store, list(jobs), telling).look
    )
    parts = [
        msgspec.json.decode(gzip.decompress(store.get(keys.measured(name))), type=Measured) for name in jobs
    ]
    return load_of(parts, what.scenario.ramp_s)


def _prove(what: FleetRun, edges: Edges, store: Store, machine: Machine, load: Load, epoch: int) -> Ledger:
    script = scripts.books(store.bucket, what.site.home, what.name)
    ssm.run(edges.transport, [machine], script, BOOKS_S, f"books {what.name}", edges.sleep)
    try:
        lines = gzip.decompress(store.get(Keys(what.name).books)).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise FleetError(f"what the books say cannot be unpacked: {error}") from error
    return prove_dump(lines, load, epoch)
