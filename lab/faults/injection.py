"""Carries out a fault's action on a lab, and undoes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from lab import clocks
from lab.errors import LabError
from lab.faults.actions import (
    CutOff,
    Fault,
    FillDisk,
    Impair,
    Kill,
    LoseMaster,
    Misbehave,
    Part,
    Place,
    SkewClock,
    Stop,
)
from lab.faults.places import FAR, machine
from lab.files import tail
from lab.lab import Lab
from lab.replication import redis_master
from lab.site import Process
from lab.supervisor import Supervisor
from lab.topology import Machine, Topology
from lab.wan_control import Rule

END_TIMEOUT_S: Final = 20.0
_FILLER: Final = "filler"


@contextmanager
def injected(lab: Lab, supervisor: Supervisor, fault: Fault) -> Iterator[list[str]]:
    """Has the fault there within it; it is complete when this yields, and undone when it ends.

    What is yielded says afterwards what was seen of the fault itself.
    """
    topology = lab.state.topology
    seen: list[str] = []
    match fault.action:
        case Kill(process, place):
            doomed = _processes(lab, process, place)
            with supervisor.held(doomed) if fault.lasts_s else nullcontext():
                for each in doomed:
                    kill(each)
                yield seen
        case Stop(process, place):
            with _stopped(_processes(lab, process, place)):
                yield seen
        case CutOff(place):
            with _impaired(lab, cut_off(topology, machine(topology, place).region), seen):
                yield seen
        case LoseMaster():
            lost = redis_master(lab.site)
            with _succeeded(lab, seen), _impaired(lab, lonely(topology, lost.name), seen):
                doomed = lab.processes(lost.name, "*")
                with supervisor.held(doomed):
                    for each in doomed:
                        kill(each)
                    yield seen
        case Part():
            with _succeeded(lab, seen), _impaired(lab, parted(topology, redis_master(lab.site).name), seen):
                yield seen
        case Impair(loss, delay_ms, jitter_ms):
            with _impaired(lab, between_regions(topology, loss, delay_ms, jitter_ms), seen):
                yield seen
        case FillDisk():
            with _full(lab.disk(topology.redis_master.name) / "redis" / "data"):
                yield seen
        case SkewClock(process, place, ahead_s):
            with _skewed(lab, _processes(lab, process, place), ahead_s):
                yield seen
        case Misbehave(manners, connections):
            with _intruders(lab, manners, connections, seen):
                yield seen


def kill(process: Process) -> None:
    """Kills a process and what it started; returns when it is dead.

    Raises:
        LabError: when it does not run.
    """
    try:
        handle = os.pidfd_open(process.popen.pid)
    except ProcessLookupError:
        raise LabError(f"{process.title} does not run, and cannot be killed") from None
    try:
        os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
    finally:
        os.close(handle)


def cut_off(topology: Topology, region: str) -> list[Rule]:
    """The rules that no packet passes between a region and the others."""
    inside = tuple(m.name for m in topology.machines.values() if m.region == region)
    outside = tuple(m.name for m in topology.machines.values() if m.region != region)
    return _apart(inside, outside)


def lonely(topology: Topology, machine: str) -> list[Rule]:
    """The rules that no packet comes from a machine or reaches it."""
    return _apart((machine,), tuple(name for name in topology.machines if name != machine))


def parted(topology: Topology, master: str) -> list[Rule]:
    """The rules that no packet passes between the Redis master and its standbys."""
    return _apart((master,), tuple(m.name for m in topology.sentinels if m.name != master))


def between_regions(topology: Topology, loss: float, delay_ms: float, jitter_ms: float) -> list[Rule]:
    """The rules that packets from one region to another are lost or come late."""
    machines = topology.machines.values()
    return [
        Rule(
            tuple(m.name for m in machines if m.region == region),
            tuple(m.name for m in machines if m.region != region),
            loss,
            delay_ms,
            jitter_ms,
        )
        for region in sorted({m.region for m in machines})
    ]


def _apart(some: tuple[str, ...], others: tuple[str, ...]) -> list[Rule]:
    return [Rule(some, others, loss=1.0), Rule(others, some, loss=1.0)]


def _struck(lab: Lab, place: Place) -> Machine:
    """The machine at a place now: where there are standbys, the Redis master may be another than at first."""
    return redis_master(lab.site) if place == "redis master" else machine(lab.state.topology, place)


def _processes(lab: Lab, name: str, place: Place) -> list[Process]:
    return lab.processes(_struck(lab, place).name, name)


@contextmanager
def _succeeded(lab: Lab, seen: list[str]) -> Iterator[None]:
    """Sees that another machine is the Redis master at its end than at its beginning."""
    before = redis_master(lab.site).name
    yield
    after = redis_master(lab.site).name
    if after == before:
        raise LabError(f"no standby took over from {before}")
    seen.append(f"{after} took over from {before}")


@contextmanager
def _stopped(processes: Sequence[Process]) -> Iterator[None]:
    try:
        for process in processes:
            os.killpg(process.popen.pid, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGCONT)


@contextmanager
def _impaired(lab: Lab, rules: list[Rule], seen: list[str]) -> Iterator[None]:
    before = lab.world.wan_stats()
    lab.world.impair(rules)
    try:
        yield
    finally:
        lab.world.impair([])
        seen.append(f"{lab.world.wan_stats().since(before).lost} packets were lost")


@contextmanager
def _full(directory: Path) -> Iterator[None]:
    filler = directory / _FILLER
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextmanager
def _skewed(lab: Lab, processes: Sequence[Process], ahead_s: float) -> Iterator[None]:
    files = [lab.site.clock(process.machine, process.name) for process in processes]
    try:
        for file in files:
            clocks.set_clock(file, ahead_s)
        yield
    finally:
        for file in files:
            clocks.set_clock(file, 0.0)


@contextmanager
def _intruders(lab: Lab, manners: str, connections: int, seen: list[str]) -> Iterator[None]:
    """Clients without manners in the far region; there when they have said so."""
    argv: list[str | Path] = [
        *(sys.executable, "-m", "lab.faults.intruder", manners, "--connections", str(connections)),
        *("--url", lab.url, "--ca-file", lab.ca_file, "--tokens-file", lab.tokens_file),
    ]
    process = lab.world.spawn(
        f"users-{FAR}",
        "intruder",
        argv,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    log = lab.world.log(f"users-{FAR}", "intruder")
    try:
        if process.stdout.readline() != b"there\n":
            raise LabError(f"the clients without manners could not connect:\n{tail(log)}")
        yield
        process.stdin.close()
        ended = process.stdout.read().strip().decode()
        if not ended:
            raise LabError(f"the clients without manners have failed:\n{tail(log)}")
        seen.append(f"{ended} of their connections were ended by the server")
    finally:
        process.stdin.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
