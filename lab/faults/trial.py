"""One fault: strike, wait until all are served again, drain, prove."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from lab.errors import LabError
from lab.faults import books
from lab.faults.actions import Fault
from lab.faults.history import History
from lab.faults.injection import injected
from lab.faults.load import Load
from lab.faults.outcome import Outcome
from lab.faults.places import concerned
from lab.faults.verifier import Verdict, verify
from lab.lab import Lab
from lab.supervisor import Supervisor

WATCH_S: Final = 3.0
"""How long after a fault the load goes on at least: what breaks late is seen, and a distribution goes out."""

STEADY_TIMEOUT_S: Final = 30.0
ANSWERS_TIMEOUT_S: Final = 40.0


def trial(
    lab: Lab,
    supervisor: Supervisor,
    load: Load,
    fault: Fault,
    before: Outcome | None,
    on_step: Callable[[str], None],
) -> Outcome:
    """Puts a fault on a lab under load and proves what is left of it.

    Args:
        lab: what is broken.
        supervisor: of the lab; at work.
        load: of the lab; paused at the end, and resumed at the beginning.
        fault: what strikes.
        before: the outcome of the one before, None for the first: what is cumulative is counted from there.
        on_step: is told what is being done.
    """
    topology = lab.state.topology
    regions = concerned(fault, topology)
    load.resume()
    begun_s = time.monotonic()
    resets = before.verdict.resets if before and before.verdict else 0
    problem: str | None = None
    verdict: Verdict | None = None
    moment_s = begun_s
    counts = load.read(_counts)
    seen: list[str] = []
    lasted_s = fault.lasts_s
    try:
        load.wait_until_served(topology.resolves_to, begun_s, STEADY_TIMEOUT_S)
        on_step(fault.what)
        begun_s = time.monotonic()
        counts = load.read(_counts)
        with injected(lab, supervisor, fault) as seen:
            if fault.meanwhile:
                moment_s = time.monotonic()
                load.wait_until_served(regions, moment_s, fault.lasts_s)
                _pass(WATCH_S)
                lasted_s = round(time.monotonic() - moment_s)
            else:
                _pass(fault.lasts_s)
        ended_s = time.monotonic() if fault.lasts_s else begun_s
        moment_s = moment_s if fault.meanwhile else ended_s
        on_step(f"after {fault.name}: waiting for everyone to be served")
        deadline_s = ended_s + fault.recover_within_s
        _pass(WATCH_S)
        load.wait_until_served(regions, ended_s, deadline_s - time.monotonic())
        _wait_until_whole(lab, deadline_s)
        load.wait_until_served(regions, ended_s, deadline_s - time.monotonic())
        on_step(f"after {fault.name}: draining and proving")
        load.pause(ANSWERS_TIMEOUT_S)
        found = books.read(lab)
        verdict = load.read(lambda history: verify(history, found))
    except LabError as error:
        problem = str(error)
    served = load.read(lambda history: history.served_after(moment_s))
    connected_after_s = load.read(lambda history: history.complete_after(moment_s))
    now = load.read(_counts)
    return Outcome(
        fault=fault.name,
        what=fault.what,
        lasted_s=lasted_s,
        acknowledged=now[0] - counts[0],
        repeated=now[1] - counts[1],
        served_after_s={region: round(served[region], 3) for region in regions if region in served},
        connected_after_s=None if connected_after_s is None else round(connected_after_s, 3),
        drops=now[2] - counts[2],
        failures=now[3] - counts[3],
        resets=verdict.resets - resets if verdict else 0,
        seen=seen,
        verdict=verdict,
        problem=problem,
    )


def _counts(history: History) -> tuple[int, int, int, int]:
    """Predictions acknowledged, receipts of keys that had been taken before, ended connections, failures."""
    names = {(receipt.user, receipt.key) for receipt in history.acknowledged}
    repeated = sum(receipt.duplicate for receipt in history.acknowledged)
    return len(names), repeated, history.drops.total(), history.failures.total()


def _wait_until_whole(lab: Lab, deadline_s: float) -> None:
    """Returns when every process serves; one that ends once more is waited for again."""
    while True:
        try:
            lab.wait_until_whole()
        except LabError:
            if time.monotonic() > deadline_s:
                raise
            _pass(0.2)
        else:
            return


def _pass(duration_s: float) -> None:
    """Lets time pass."""
    threading.Event().wait(duration_s)
