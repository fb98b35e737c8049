"""Which machine has which users: the jobs of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from bench.plan import Plan
from bench.scenario import Scenario
from fleet.job import Job, Keys
from fleet.machines import Machine

DRAIN_TIMEOUT_S: Final = 15.0
"""How long answers are waited for after the last prediction: a round trip takes a third of a second."""


@dataclass(frozen=True)
class Workload:
    """What a run puts on a stack.

    Args:
        run: the run's name.
        url: where users connect.
        ca_file: the certificate authorities on the load machines.
        scenario: what the users do.
        workers: how many workers a machine runs: one for each of its cores.
        seed: fixes what every user does and when.
    """

    run: str
    url: str
    ca_file: str
    scenario: Scenario
    workers: int
    seed: int = 1

    def jobs(self, machines: Sequence[Machine]) -> list[Job]:
        """A job for each machine that has users: spread evenly over all workers, regions taking turns.

        Args:
            machines: the load machines.
        """
        order = [(machine, number) for number in range(self.workers) for machine in in_turns(machines)]
        tokens = Keys(self.run).tokens.rpartition("/")[2]
        plans: dict[Machine, list[Plan]] = {}
        for index, (machine, number) in enumerate(order):
            users = len(range(index, self.scenario.users, len(order)))
            if users:
                name = f"{machine.name}-{number}"
                plans.setdefault(machine, []).append(
                    Plan(
                        region=machine.region,
                        url=self.url,
                        ca_file=self.ca_file,
                        tokens_file=tokens,
                        outcome_file=f"{name}.outcome.json",
                        scenario=self.scenario,
                        first_user=index,
                        users=users,
                        seed=self.seed,
                        drain_timeout_s=DRAIN_TIMEOUT_S,
                        stride=len(order),
                        worker=name,
                    )
                )
        return [Job(self.run, machine.name, found) for machine, found in plans.items()]


def in_turns(machines: Sequence[Machine]) -> Iterator[Machine]:
    """The machines, a region after the other: the first of each, then the second of each."""
    by_region: dict[str, list[Machine]] = {}
    for machine in machines:
        by_region.setdefault(machine.region, []).append(machine)
    for row in zip_longest(*by_region.values()):
        yield from (machine for machine in row if machine)
