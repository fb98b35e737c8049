"""The load while faults strike: a generator in every region, and the clients' records as they come in."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec

from lab.errors import LabError
from lab.faults.generator import Plan
from lab.faults.history import History
from lab.faults.records import decode
from lab.lab import Lab

GAME: Final = "match-1"
POOL: Final = "winner"
OPTIONS: Final = 3
"""What `market seed` makes."""

END_TIMEOUT_S: Final = 10.0


class LoadError(LabError):
    """The load came to nothing: a generator ended, or its users were not served in time."""


class Load:
    """Users in every region from `__enter__` to `__exit__`.

    Args:
        lab: where they connect; the users' accounts are its first ones.
        users: how many, over all regions in turn.
        every_s: each places a prediction every so many seconds on average.
        seed: of their choices.
        records: the file that the records are kept in, as they come in.

    Raises:
        LoadError: when there are more users than accounts.
    """

    def __init__(self, lab: Lab, *, users: int, every_s: float, seed: int, records: Path) -> None:
        if users > lab.state.users:
            raise LoadError(f"the lab has {lab.state.users} accounts, too few for {users} users")
        self.users = users
        self.every_s = every_s
        self._lab = lab
        self._seed = seed
        self._records = records
        self._regions = tuple(lab.state.topology.resolves_to)
        self.history = History({f"user-{n}": self._regions[n % len(self._regions)] for n in range(users)})
        self._changed = threading.Condition()
        self._generators: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._file: IO[bytes] | None = None
        self._ended: str | None = None
        self._ending = False
        self._pauses = 0

    def __enter__(self) -> Self:
        self._file = self._records.open("wb")
        try:
            for region in self._regions:
                self._start(region)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait_until(self, what: str, condition: Callable[[History], bool], timeout_s: float) -> None:
        """Returns when the records meet a condition, which is asked again with every one that comes in.

        Raises:
            LoadError: when they do not in time, or a generator has ended.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self.history):
                if self._ended is not None:
                    raise LoadError(self._ended)
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise LoadError(f"{what} in time; {self._missing()}")
                self._changed.wait(left_s)

    def wait_until_served(self, regions: Collection[str], moment_s: float, timeout_s: float) -> None:
        """Returns when all are connected and the regions' predictions since a moment are acknowledged.

        Raises:
            LoadError: when it takes longer.
        """

        def served(history: History) -> bool:
            return history.complete and history.served(regions, moment_s)

        self.wait_until(f"the users of {', '.join(regions)} were not served", served, timeout_s)

    def pause(self, timeout_s: float) -> None:
        """Has no new prediction placed; returns when none waits for its answer any more.

        Raises:
            LoadError: when some wait longer.
        """
        self._pauses += 1
        self._tell(f"pause {self._pauses}")
        regions = len(self._generators)
        pause = self._pauses
        self.wait_until(
            "some predictions were not answered", lambda history: history.idle(pause) == regions, timeout_s
        )

    def resume(self) -> None:
        """Has predictions placed again."""
        self._tell("resume")

    def read(self, look: Callable[[History], Any]) -> Any:
        """What `look` answers about the history, which does not change meanwhile."""
        with self._changed:
            return look(self.history)

    def _start(self, region: str) -> None:
        lab, number = self._lab, self._regions.index(region)
        plan = Plan(
            url=lab.url,
            ca_file=str(lab.ca_file),
            tokens_file=str(lab.tokens_file),
            users=list(range(number, self.users, len(self._regions))),
            every_s=self.every_s,
            run=f"f{time.time_ns() // 1_000_000:x}",
            seed=self._seed,
            game=GAME,
            pool=POOL,
            options=OPTIONS,
        )
        path = lab.site.disk(lab.machines[f"users-{region}"]) / "load.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(plan))
        generator = lab.world.spawn(
            f"users-{region}",
            "load",
            [sys.executable, "-m", "lab.faults.generator", path],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        reader = threading.Thread(target=self._read, args=(region, generator), name=f"load-{region}")
        self._generators.append(generator)
        self._readers.append(reader)
        reader.start()

    def _read(self, region: str, generator: subprocess.Popen[bytes]) -> None:
        assert generator.stdout is not None  # noqa: S101
        for line in generator.stdout:
            record = decode(line)
            with self._changed:
                if self._file is not None:
                    self._file.write(line)
                self.history.add(record)
                self._changed.notify_all()
        with self._changed:
            if not self._ending:
                log = self._lab.world.log(f"users-{region}", "load")
                self._ended = f"the load generator of {region} has ended; see {log}"
                self._changed.notify_all()

    def _tell(self, line: str) -> None:
        for generator in self._generators:
            assert generator.stdin is not None  # noqa: S101
            try:
                generator.stdin.write(line.encode() + b"\n")
                generator.stdin.flush()
            except BrokenPipeError:
                raise LoadError(self._ended or "a load generator has ended") from None

    def _missing(self) -> str:
        history = self.history
        absent = len(history.regions) - len(history.joined)
        reasons = ", ".join(f"{why} {count}x" for why, count in history.failures.most_common(3))
        return f"{absent} users are not connected" + (f" (failures so far: {reasons})" if reasons else "")

    def _end(self) -> None:
        with self._changed:
            self._ending = True
        for generator in self._generators:
            with suppress(BrokenPipeError):
                if generator.stdin is not None:
                    generator.stdin.close()
        for generator in self._generators:
            try:
                generator.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                generator.kill()
                generator.wait()
        for reader in self._readers:
            reader.join()
        if self._file is not None:
            self._file.close()
            self._file = None
