"""The emulated world of a lab: hosts in namespaces, joined by a WAN, with names that resolve by region."""

from __future__ import annotations

import os
import resource
import select
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from lab import dns, locks, mounts, namespaces, processes, wan, wan_control, wanstats
from lab.errors import UnknownNameError, WorldError
from lab.hosts import NETWORK, WAN, Host, check, check_lab_name, check_machine
from lab.wan_control import Rule
from lab.wanstats import WanStats

__all__ = ["GRACE_S", "NETWORK", "Host", "ProcessStatus", "Status", "World", "destroy", "list_labs", "status"]

GRACE_S: Final = 10.0
"""How long processes may take to end when they are asked to."""

_LEFT_GRACE_S: Final = 1.0
"""The same for processes that nobody owns any more and whose state is removed."""

_WORLD_FILE: Final = "world.json"
_STATS_FILE: Final = "wan-stats.json"
_READY_TIMEOUT_S: Final = 30.0
_LOG_TAIL_CHARACTERS: Final = 2000


@dataclass(frozen=True)
class ProcessStatus:
    """A process of a lab that runs: the host it is on, what it was started as (or its program's name)."""

    host: str
    process: str
    pid: int


@dataclass(frozen=True)
class Status:
    """What there is of a lab; all empty when there is nothing."""

    lab: str
    hosts: tuple[Host, ...]
    processes: tuple[ProcessStatus, ...]
    wan: WanStats | None


class World:
    """Hosts that reach one another through the emulated WAN. Made by `create`; a context manager that closes.

    Attributes:
        lab: the lab's name.
        directory: the lab's state: configuration, counters, the processes' logs; others may put theirs here.
        hosts: the hosts by name.
    """

    def __init__(self, lab: str, directory: Path, hosts: Mapping[str, Host], lock: int) -> None:
        self.lab = lab
        self.directory = directory
        self.hosts = hosts
        self._root = directory.parent
        self._lock: int | None = lock
        self._children: list[subprocess.Popen[bytes]] = []
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def create(
        cls,
        lab: str,
        root: Path,
        hosts: Iterable[Host],
        rtt_ms: Mapping[tuple[str, str], float],
        *,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        seed: int = 1,
        adjustable: bool = False,
        records: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        ttl_s: int = 60,
    ) -> World:
        """Makes the world, after destroying what is left of a lab of that name.

        Args:
            lab: the lab's name; several labs of different names may run at the same time.
            root: the directory in which the lab gets its own for its state.
            hosts: the machines.
            rtt_ms: round trips (ms) by ordered pair of regions, the own entry of a region included. A packet
                takes half the entry of its direction.
            jitter_ms: up to how much longer a packet takes (uniform; order is kept).
            loss: the probability that a packet is lost (0 to 1).
            seed: of jitter and loss.
            adjustable: `impair` may be called; a packet costs a little more then.
            records: for each region of asking hosts the addresses of every name there is.
            ttl_s: the records' time to live.

        Raises:
            LabError: when the names or addresses are wrong, a running process holds the lab, or this machine
                cannot run one. Nothing is left behind then.
        """
        machines = tuple(hosts)
        check(lab, machines, rtt_ms, jitter_ms, loss)
        check_machine()
        directory = root.absolute() / lab
        locks.refuse_if_held(directory)
        destroy(lab, root, grace_s=_LEFT_GRACE_S)
        directory.mkdir(parents=True)
        world = cls(lab, directory, {host.name: host for host in machines}, locks.lock(directory))
        try:
            world._make_hosts()
            pairs = [(a, b, rtt) for (a, b), rtt in rtt_ms.items()]
            world._start_wan(pairs, jitter_ms, loss, seed, adjustable)
            world._start_dns(records or {}, ttl_s)
        except BaseException:
            world.close()
            raise
        return world

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def namespace(self, host: str) -> str:
        """The name of the host's network namespace.

        Raises:
            UnknownNameError: when the lab has no such host.
        """
        if host not in self.hosts and host != WAN:
            raise UnknownNameError(f"the lab {self.lab} has no host {host!r}; it has {', '.join(self.hosts)}")
        return f"{self.lab}.{host}"

    def argv(self, host: str, argv: Sequence[str | Path], *, user: str | None = None) -> list[str]:
        """The command that runs `argv` on the host, with as many descriptors as the machine allows.

        Whoever starts it gives it a session of its own, so that Ctrl-C reaches only the parent, and may
        add it to the record with `record`.
        """
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        prefix = [
            "ip",
            "netns",
            "exec",
            self.namespace(host),
            "prlimit",
            f"--nofile={limit}:{limit}",
            *become,
        ]
        return [*prefix, *map(str, argv)]

    def spawn(
        self,
        host: str,
        process: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
        user: str | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a process on the host, in a session of its own, and puts it on record.

        Args:
            host: the host's name.
            process: what the process is called in the record, the status and its log's name.
            argv: the program and its arguments.
            env: its whole environment; the caller's when none.
            cwd: its working directory.
            log: where its output goes; `logs/HOST.PROCESS.log` in the lab's directory when none.
            user: the account to run as; root when none.
            stdin: as for `subprocess.Popen`; nothing to read unless asked for.
            stdout: as for `subprocess.Popen`; the log when none. Standard error always goes to the log.

        Raises:
            LabError: when there is no such host, or the process cannot be started.
        """
        command = self.argv(host, argv, user=user)
        log = log or self.log(host, process)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            try:
                child = subprocess.Popen(
                    command,
                    env=env,
                    cwd=cwd,
                    stdin=stdin,
                    stdout=file if stdout is None else stdout,
                    stderr=file,
                    start_new_session=True,
                )
            except OSError as error:
                raise WorldError(f"cannot start {process} on {host}: {error}") from error
        self._children.append(child)
        self.record(host, process, child.pid)
        return child

    def log(self, host: str, process: str) -> Path:
        """The log that a process of that name on that host has unless told otherwise."""
        return self.directory / "logs" / f"{host}.{process}.log"

    def record(self, host: str, process: str, pid: int) -> None:
        """Puts a process that was started with `argv` on record."""
        processes.record(self.directory, host, process, pid)

    def wan_stats(self) -> WanStats:
        """The WAN's counters, at most a second old.

        Raises:
            WorldError: when the world is no longer whole, or the WAN has no counters.
        """
        self.check()
        stats = wanstats.read(self.directory / _STATS_FILE)
        if stats is None:
            raise WorldError(f"the WAN of the lab {self.lab} has no counters; is it running?")
        return stats

    def impair(self, rules: Sequence[Rule]) -> None:
        """Loses or delays packets of some pairs of hosts, from now on and in the place of rules before.

        Raises:
            WorldError: when the world was not created as adjustable, or a rule cannot be carried out.
        """
        wan_control.send(self.directory / wan_control.SOCKET, rules)

    def check(self) -> None:
        """Sees that the world is whole.

        Raises:
            WorldError: when the WAN or the name server has ended, with its last words.
        """
        for process, child in self._servers.items():
            if child.poll() is not None:
                said = self._last_words(process)
                raise WorldError(
                    f"the process {process} of the lab {self.lab} ended with status {child.returncode}; "
                    f"what was measured since is void: {said}"
                )

    def close(self, *, keep_state: bool = False, grace_s: float = GRACE_S) -> None:
        """Ends every process of the lab and removes all that it made; safe to call again.

        Args:
            keep_state: leave the lab's directory, for instance to read the logs.
            grace_s: how long the processes may take after SIGTERM before SIGKILL, in seconds.
        """
        if self._lock is None:
            return
        try:
            destroy(self.lab, self._root, keep_state=keep_state, grace_s=grace_s)
        finally:
            for child in self._children:
                for stream in (child.stdin, child.stdout):
                    if stream is not None:
                        with suppress(BrokenPipeError):
                            stream.close()
                child.wait()
            os.close(self._lock)
            self._lock = None

    def _make_hosts(self) -> None:
        self._write(_WORLD_FILE, list(self.hosts.values()))
        names = [self.namespace(host) for host in self.hosts]
        namespaces.add([self.namespace(WAN), *names])
        for name in names:
            namespaces.configure(name, {"resolv.conf": dns.RESOLV_CONF})

    def _start_wan(
        self,
        pairs: list[tuple[str, str, float]],
        jitter_ms: float,
        loss: float,
        seed: int,
        adjustable: bool,
    ) -> None:
        hosts = [wan.Endpoint(self.namespace(h.name), h.region, h.address) for h in self.hosts.values()]
        stats_file = str(self.directory / _STATS_FILE)
        control = str(self.directory / wan_control.SOCKET) if adjustable else None
        config = wan.Config(hosts, pairs, jitter_ms, loss, seed, stats_file, control)
        self._serve("wan", wan.__name__, config)

    def _start_dns(self, records: Mapping[str, Mapping[str, Sequence[str]]], ttl_s: int) -> None:
        askers = [dns.Asker(self.namespace(host.name), host.region) for host in self.hosts.values()]
        self._serve("dns", dns.__name__, dns.Config(askers, msgspec.to_builtins(records), ttl_s))

    def _serve(self, process: str, module: str, config: Any) -> None:
        """Starts a process of the world itself and waits until it says that it is ready."""
        path = self._write(f"{process}.json", config)
        argv: list[str | Path] = [sys.executable, "-m", module, path]
        child = self.spawn(WAN, process, argv, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE)
        assert child.stdout is not None  # noqa: S101
        with child.stdout as output:
            answered, _, _ = select.select([output], [], [], _READY_TIMEOUT_S)
            if not answered or output.readline() != b"ready\n":
                said = self._last_words(process)
                raise WorldError(f"the process {process} of the lab {self.lab} did not become ready: {said}")
        self._servers[process] = child

    def _last_words(self, process: str) -> str:
        return self.log(WAN, process).read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:].strip()

    def _write(self, name: str, value: Any) -> Path:
        path = self.directory / name
        path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
        return path


def destroy(lab: str, root: Path, *, keep_state: bool = False, grace_s: float = GRACE_S) -> None:
    """Ends every process of the lab and removes all that it made, from nothing but its name.

    For after a crash or a kill of the process that made the lab; does nothing when there is nothing. The
    hosts' processes end before the WAN does, so that they can say goodbye.

    Raises:
        LabError: when the name cannot be a lab's, or something cannot be ended or removed.
    """
    check_lab_name(lab)
    names = namespaces.existing(f"{lab}.")
    own = f"{lab}.{WAN}"
    with namespaces.held(names) as identities:
        hosts_only = {identity: name for identity, name in identities.items() if name != own}
        processes.end(lambda: namespaces.inhabitants(hosts_only), grace_s)
        processes.end(lambda: namespaces.inhabitants(identities), grace_s)
        namespaces.remove(names)
        processes.end(lambda: namespaces.inhabitants(identities), 0.0)
    mounts.unmount_below(root.absolute() / lab)
    for path in namespaces.CONFIGURATION.glob(f"{lab}.*"):
        shutil.rmtree(path)
    if not keep_state:
        shutil.rmtree(root.absolute() / lab, ignore_errors=True)


def list_labs(root: Path) -> list[str]:
    """The names of the labs that have their state under `root`, sorted."""
    return sorted(path.parent.name for path in root.glob(f"*/{_WORLD_FILE}"))


def status(lab: str, root: Path) -> Status:
    """What there is of the lab, seen from outside.

    Raises:
        UnknownNameError: when the name cannot be a lab's.
    """
    check_lab_name(lab)
    directory = root.absolute() / lab
    hosts: tuple[Host, ...] = ()
    with suppress(FileNotFoundError, msgspec.DecodeError):
        hosts = msgspec.json.decode((directory / _WORLD_FILE).read_bytes(), type=tuple[Host, ...])
    known = {(entry.pid, entry.started): entry.process for entry in processes.recorded(directory)}
    running = []
    for pid, name in sorted(namespaces.processes(namespaces.existing(f"{lab}.")).items()):
        started = processes.started(pid)
        if started is not None:
            process = known.get((pid, started)) or processes.command(pid)
            running.append(ProcessStatus(name.removeprefix(f"{lab}."), process, pid))
    return Status(lab, hosts, tuple(running), wanstats.read(directory / _STATS_FILE))
