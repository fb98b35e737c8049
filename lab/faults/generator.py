"""The load of one region: `python -m lab.faults.generator PLAN.json`, run where the region's users are.

It writes its users' records to standard output. Lines on standard input pause it (`pause N`: no new
predictions; answered by a record when nothing waits) and resume it; at their end it ends.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Target
from lab.faults.records import Idle, Record, encode
from lab.faults.user import Setting, User


class Plan(Struct, frozen=True):
    """What a generator is told.

    `users` are the numbers of its users, which are the lines of `tokens_file`; each places a prediction every
    `every_s` seconds on average; `run` begins every idempotency key.
    """

    url: str
    ca_file: str
    tokens_file: str
    users: list[int]
    every_s: float
    run: str
    seed: int
    game: str
    pool: str
    options: int


class Generator:
    """The users of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._out: list[bytes] = []
        tokens = Path(plan.tokens_file).read_text(encoding="utf-8").splitlines()
        setting = Setting(
            Target(plan.url, plan.ca_file),
            plan.game,
            plan.pool,
            plan.options,
            plan.every_s,
            plan.run,
            self._record,
        )
        self._users = []
        for number in plan.users:
            name, token = tokens[number].split("\t")
            self._users.append(User(name, token, setting, plan.seed))
        self._pause: int | None = None

    async def run(self) -> None:
        """Carry the plan out until standard input ends."""
        loop = asyncio.get_running_loop()
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(user.run()) for user in self._users]
            async for line in commands:
                self._obey(line.decode().split())
            for task in tasks:
                task.cancel()
        self._flush()

    def _obey(self, words: list[str]) -> None:
        self._pause = None if words == ["resume"] else int(words[1])
        for user in self._users:
            user.placing = self._pause is None
        self._answer_if_idle()

    def _answer_if_idle(self) -> None:
        if self._pause is not None and all(user.idle for user in self._users):
            pause, self._pause = self._pause, None
            self._record(Idle(time.monotonic(), pause))

    def _record(self, record: Record) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(encode(record) + b"\n")
        self._answer_if_idle()

    def _flush(self) -> None:
        if self._out:
            sys.stdout.buffer.write(b"".join(self._out))
            sys.stdout.buffer.flush()
            self._out.clear()


def main() -> None:
    """The command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    uvloop.run(Generator(plan).run())


if __name__ == "__main__":
    main()
