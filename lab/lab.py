"""A lab: an architecture brought up as real processes in an emulated world, and taken down again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pymysql
import redis
from pymysql.cursors import DictCursor

from infra.architecture import Architecture
from infra.regions import RttMatrix
from lab import certificates, clocks, credentials, hosts, namespaces, replication, requirements, states
from lab.errors import LabError, UnknownNameError
from lab.files import check_open, tail, write_secret
from lab.roles import mariadb_server, redis_server, sentinel, service, web_server
from lab.site import DataPath, Process, Site
from lab.states import State, undisturbed
from lab.supervisor import Supervisor
from lab.topology import Machine, topology
from lab.world import Host, World

NAME: Final = "isochrone"
"""The name of a lab unless it is given another."""

ROOT: Final = Path("/var/lib/isochrone")
"""Where labs keep their state."""

_TOKEN_TTL_S: Final = 86_400
_BALANCE: Final = 1_000_000_000
_STOP_TIMEOUT_S: Final = 30.0
_FAILED_GRACE_S: Final = 2.0
"""How long processes may take to end when the lab never came up: they have nothing to keep."""


class ProcessEndedError(LabError):
    """A process of the lab ended by itself; the message has the end of its log."""


class Lab:
    """A running lab. Made by `up`; as a context manager it is taken down at the end.

    Attributes:
        state: what runs here and how it is reached.
        world: the namespaces, the WAN and the names.
        site: where its files are, for those who act on its machines.
        startup_s: how long it took to come up.
    """

    def __init__(self, site: Site, state: State) -> None:
        self.state = state
        self.world = site.world
        self.startup_s = 0.0
        self.site = site
        self._processes: list[Process] = []
        self._stopped: set[int] = set()

    @classmethod
    def up(
        cls,
        architecture: Architecture,
        matrix: RttMatrix,
        *,
        name: str = NAME,
        root: Path = ROOT,
        data_path: DataPath = "async",
        users: int = 1200,
        balance: int = _BALANCE,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        breakable: bool = False,
        kept: bool = False,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> Lab:
        """Brings an architecture up, in the place of what is left of a lab of that name.

        A lab that was brought up to be kept and still runs is not taken for a left one.

        Args:
            architecture: what to run.
            matrix: the round trips between the regions.
            name: the lab's name; labs of different names run beside one another.
            root: where its state goes; every directory above has to be open to all users of this machine.
            data_path: `blocking` for the benchmark's control.
            users: the accounts and tokens to make; nodes are sized for so many connections.
            balance: what each account has, in minor units.
            jitter_ms: up to how much longer a packet may take.
            loss: the probability that a packet is lost.
            breakable: prepare it for faults: links whose impairments can be changed, clocks that can be set,
                a journal on a small disk.
            kept: it is to run on without this process, until somebody takes it down.
            on_step: is told what is being done, in words.

        Raises:
            LabError: when it does not come up; nothing of it is left then.
        """
        begun = time.monotonic()
        hosts.check_machine()
        requirements.check({**requirements.PACKAGES, **(clocks.PACKAGES if breakable else {})})
        places = topology(architecture, matrix)
        root = root.absolute()
        check_open(root)
        states.refuse_if_kept(name, root)
        on_step("making regions, links and names")
        made = World.create(
            name,
            root,
            [Host(m.name, m.region, m.address) for m in places.machines.values()],
            matrix.rtt_ms,
            jitter_ms=jitter_ms,
            loss=loss,
            adjustable=breakable,
            records=places.records,
            ttl_s=places.ttl_s,
        )
        try:
            directory = made.directory
            directory.chmod(0o755)
            tls = certificates.create(directory / "tls", web_server.certificate_names(architecture.domain))
            state = State(
                name=name,
                architecture=architecture.name,
                title=architecture.title,
                matrix=matrix.name,
                data_path=data_path,
                users=users,
                started_at=datetime.now(UTC).isoformat(timespec="seconds"),
                url=places.url,
                ca_file=tls.ca_file,
                tokens_file=directory / "tokens.tsv",
                topology=places,
                kept=kept,
            )
            secrets = credentials.create(directory / "secrets")
            lab = cls(Site(made, places, directory, secrets, tls, users, data_path, breakable), state)
            lab._start(on_step, balance)
            states.write(state, directory)
        except BaseException:
            with undisturbed():
                made.close(grace_s=_FAILED_GRACE_S)
            raise
        lab.startup_s = time.monotonic() - begun
        return lab

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def url(self) -> str:
        """Where a user in any region finds the service."""
        return self.state.url

    @property
    def ca_file(self) -> Path:
        """The authority that a user has to trust."""
        return self.state.ca_file

    @property
    def tokens_file(self) -> Path:
        """The users' tokens: lines of a user, a tab and a token."""
        return self.state.tokens_file

    @property
    def machines(self) -> Mapping[str, Machine]:
        """The machines by name, the load generators' included."""
        return self.state.topology.machines

    def namespace(self, machine: str) -> str:
        """The network namespace that is a machine."""
        return self.world.namespace(machine)

    def disk(self, machine: str) -> Path:
        """The directory that is a machine's disk."""
        return self.site.disk(self.machines[machine])

    def pids(self) -> dict[str, list[int]]:
        """The processes that each machine runs now, their children included."""
        by_namespace = {self.namespace(machine): machine for machine in self.machines}
        found: dict[str, list[int]] = {machine: [] for machine in self.machines}
        for pid, namespace in namespaces.processes(by_namespace).items():
            found[by_namespace[namespace]].append(pid)
        return found

    def worker_argv(self, region: str, argv: Sequence[str | Path]) -> list[str]:
        """The command that runs `argv` where a region's users are."""
        return self.world.argv(f"users-{region}", argv)

    def redis(self, machine: str) -> redis.Redis:
        """A connection to a machine's Redis, from outside the lab."""
        return redis_server.connect(self.site, self.machines[machine])

    def sql(self, machine: str) -> pymysql.Connection[DictCursor]:
        """A connection as root to a machine's MariaDB, from outside the lab."""
        return mariadb_server.connect(self.site, self.machines[machine])

    def check(self) -> None:
        """Returns when every process still runs.

        Raises:
            ProcessEndedError: when one ended by itself.
        """
        for process in self._processes:
            status = process.popen.poll()
            if status is not None and process.popen.pid not in self._stopped:
                raise ProcessEndedError(
                    f"{process.title} ended with status {status}; the end of its log:\n{tail(process.log)}"
                )

    def processes(self, machine: str, name: str) -> list[Process]:
        """The process of that name that a machine runs now; with `*` all of its processes.

        Raises:
            UnknownNameError: when it runs none.
        """
        found = [p for p in self._processes if p.machine.name == machine and name in ("*", p.name)]
        if not found:
            raise UnknownNameError(f"the machine {machine} runs no process {name}")
        return found

    def supervised(self) -> Supervisor:
        """Within it, what ends is started again, and `check` has nothing to say."""
        return Supervisor(self.site, self._processes)

    def wait_until_whole(self) -> None:
        """Returns when all that runs here serves, and every replica follows its source.

        Raises:
            NotReadyError: when something of it does not in time.
        """
        processes = list(self._processes)
        redises = [process for process in processes if process.name == "redis"]
        databases = [process for process in processes if process.name == "mariadb"]
        for process in redises:
            redis_server.wait_until_serving(self.site, process)
        for process in databases:
            mariadb_server.wait_until_serving(self.site, process)
        replication.wait_until_following(self.site, redises)
        for process in processes:
            if process.name == "sentinel":
                sentinel.wait_until_watching(self.site, process)
        for process in databases:
            if process.machine.sql and process.machine.sql.replica_of:
                mariadb_server.wait_until_replicating(self.site, process)
        for process in processes:
            if process.name == "feed" or process.name.startswith("api-"):
                service.wait_until_serving(self.site, process)
        for process in processes:
            if process.name == "nginx":
                web_server.wait_until_serving(self.site, process)
        for process in processes:
            service.check_running(process)

    def stop_apis(self) -> None:
        """Ends the API processes, in order: each closes its clients."""
        self._stop([p for p in self._processes if p.name.startswith("api-")])

    def drain(self) -> None:
        """Has all that was acknowledged until now written to SQL; the ledger is ended before.

        Raises:
            LabError: when it cannot be.
        """
        self._stop([p for p in self._processes if p.name == "ledger"])
        service.command(self.site, "ledger", "--drain", account="market_ledger")

    def dump(self) -> str:
        """What the pools and the SQL master say was staked: the output of `market dump`, JSON lines.

        Raises:
            LabError: when it cannot be read.
        """
        return service.command(self.site, "dump", account="market_reader")

    def down(self, *, keep_state: bool = False) -> None:
        """Ends every process and removes all that the lab made; safe to call again."""
        with undisturbed():
            self.world.close(keep_state=keep_state)

    def _start(self, on_step: Callable[[str], None], balance: int) -> None:
        site = self.site
        on_step("starting Redis and MariaDB")
        redises = [redis_server.start(site, m, m.redis) for m in self.machines.values() if m.redis]
        self._processes += redises
        prepared = mariadb_server.prepare(site)
        databases = [mariadb_server.start(site, m, m.sql, prepared) for m in self.machines.values() if m.sql]
        self._processes += databases
        for process in redises:
            redis_server.wait_until_serving(site, process)
        for process in databases:
            mariadb_server.wait_until_serving(site, process)
        self._processes += self._start_sentinels(redises)
        on_step("creating the schema, the game and the accounts")
        self._fill(balance)
        on_step("starting the service and nginx")
        apis = [api for m in self.machines.values() if m.api for api in service.start_apis(site, m, m.api)]
        home = [service.start_ledger(site), service.start_resolver(site), service.start_feed(site)]
        webs = [web_server.start(site, m, m.api) for m in self.machines.values() if m.api]
        follows = [service.start_follow(site, m) for m in self.machines.values() if m.follow]
        self._processes += [*apis, *home, *webs, *follows]
        on_step("waiting for the replicas and the service")
        self.wait_until_whole()
        self.check()

    def _start_sentinels(self, redises: Sequence[Process]) -> list[Process]:
        """A Sentinel learns of the standbys from the master, so that those are there first."""
        for process in redises:
            if process.machine.sentinel and process.machine.redis and process.machine.redis.standby:
                redis_server.wait_until_replicating(self.site, process)
        return [sentinel.start(self.site, m, m.sentinel) for m in self.machines.values() if m.sentinel]

    def _fill(self, balance: int) -> None:
        site, users = self.site, str(self.state.users)

        def migrate() -> str:
            return service.command(site, "migrate", account="market_migrate")

        def seed() -> str:
            return service.command(site, "seed", "--users", users, "--balance", str(balance))

        def tokens() -> str:
            return service.command(site, "tokens", "--users", users, "--ttl-s", str(_TOKEN_TTL_S))

        pool = ThreadPoolExecutor()
        try:
            tasks = [pool.submit(task) for task in (migrate, seed, tokens)]
            lines = [task.result() for task in tasks][-1]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        write_secret(self.tokens_file, lines)

    def _stop(self, doomed: Sequence[Process]) -> None:
        self._stopped.update(process.popen.pid for process in doomed)
        for process in doomed:
            process.popen.send_signal(signal.SIGTERM)
        for process in doomed:
            service.stop(process.popen, _STOP_TIMEOUT_S)
