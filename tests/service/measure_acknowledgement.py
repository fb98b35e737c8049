"""What it costs to have a prediction acknowledged by more, or on the disk: `python -m` this; prints a table.

One process places predictions through one link, as an API process does: in turn (one user) and 200 at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil
import uvloop

from market import calls, scripts
from market.seed import seed
from market.settings import Settings
from market.standby_link import master_link
from tests.service.client import prediction
from tests.service.conftest import until
from tests.service.home import HERE, Home

CASES: tuple[tuple[str, str, Literal["everysec", "always"], bool], ...] = (
    ("one Redis, file synced every second", "master", "everysec", False),
    ("one Redis, file synced before each answer", "master", "always", False),
    ("standbys, acknowledged by the master", "master", "everysec", True),
    ("standbys, acknowledged by them too", "standby", "everysec", True),
    ("standbys, acknowledged by them too, all synced before", "standby", "always", True),
)


def settings(home: Home, acknowledge: str) -> Settings:
    endpoint: Any = msgspec.to_builtins(home.endpoint)
    if not home.sentinels:
        (server,) = home.servers
        endpoint |= {"host": HERE, "port": server.port, "sentinels": []}
    sql = {"host": HERE, "port": 1, "user": "nobody", "password-file": "none"}
    return msgspec.convert(
        {
            "region": "eu-west-1",
            "node": "node-1",
            "token-key-file": "none",
            "redis-master": endpoint,
            "redis-read": endpoint,
            "sql-master": sql,
            "sql-read": sql,
            "acknowledge": acknowledge,
            "standbys": home.standbys,
        },
        Settings,
    )


async def measure(told: Settings, users: int, seconds: float) -> tuple[float, float, float]:
    """Predictions a second, and the median and 99th percentile of their latency in ms."""
    link = master_link(told, (scripts.PLACE,))
    link.start()
    await asyncio.to_thread(until, lambda: link.problem() is None, "the link")
    latencies: list[float] = []
    numbers = iter(range(10_000_000))
    end = time.perf_counter() + seconds
    run = str(time.time_ns())

    async def use(user: int) -> None:
        while (asked := time.perf_counter()) < end:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            request = prediction(0, stake=1, key=f"{run}-{next(numbers)}")
            call = calls.place(f"user-{user}", request, 3000)
            link.evaluate(scripts.PLACE, call.command, answer.set_result)
            reply = await answer
            assert isinstance(reply, list), reply
            latencies.append(time.perf_counter() - asked)

    begun = time.perf_counter()
    await asyncio.gather(*(use(user) for user in range(users)))
    rate = len(latencies) / (time.perf_counter() - begun)
    await link.stop()
    latencies.sort()
    return rate, latencies[len(latencies) // 2] * 1e3, latencies[len(latencies) * 99 // 100] * 1e3


def cpu_s(home: Home) -> float:
    """The CPU time of the master so far."""
    process = home.servers[0].process
    assert process is not None
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


async def recovery(home: Home) -> float:
    """Seconds from the kill of the master to the first prediction that is acknowledged after it."""
    link = master_link(settings(home, "standby"), (scripts.PLACE,))
    link.start()
    await asyncio.to_thread(until, lambda: link.problem() is None, "the link")
    master = await asyncio.to_thread(home.master)
    killed = time.perf_counter()
    master.kill()
    call = calls.place("user-0", prediction(0, stake=1, key=str(time.time_ns())), 3000)
    while True:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        link.evaluate(scripts.PLACE, call.command, answer.set_result)
        if isinstance(await answer, list):
            break
        await asyncio.sleep(0.01)
    took = time.perf_counter() - killed
    await link.stop()
    await asyncio.to_thread(master.start)
    await asyncio.to_thread(until, home.whole, "the old master to follow", 60)
    return took


def measure_recovery(directory: str | None, times: int) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as path:
        home = Home(Path(path) / "home", down_after_ms=3000, hurried=False)
        try:
            home.start()
            seed(settings(home, "standby"), 200, 1_000_000_000)
            took = sorted(uvloop.run(recovery(home)) for _ in range(times))
            out(
                f"the master killed {times} times: acknowledged again after {took[0]:.1f} to {took[-1]:.1f} s"
            )
        finally:
            home.stop()


def out(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run takes")
    parser.add_argument("--directory", help="where the files are: on the disk that is to be measured")
    parser.add_argument("--kills", type=int, default=0, help="kill the master so often instead")
    given = parser.parse_args()
    if given.kills:
        measure_recovery(given.directory, given.kills)
        return
    out("| setting | users | predictions/s | median ms | 99 % ms | master's CPU, µs each |")
    out("| --- | ---: | ---: | ---: | ---: | ---: |")
    for title, acknowledge, sync, standbys in CASES:
        with tempfile.TemporaryDirectory(dir=given.directory) as directory:
            home = Home(Path(directory) / "home", append_sync=sync, down_after_ms=3000)
            try:
                home.start(standbys=standbys)
                told = settings(home, acknowledge)
                seed(told, 200, 1_000_000_000)
                for users in (1, 200):
                    before = cpu_s(home)
                    rate, median, high = uvloop.run(measure(told, users, given.seconds))
                    each_us = (cpu_s(home) - before) * 1e6 / (rate * given.seconds)
                    out(f"| {title} | {users} | {rate:,.0f} | {median:.2f} | {high:.2f} | {each_us:.0f} |")
            finally:
                home.stop()


if __name__ == "__main__":
    main()
