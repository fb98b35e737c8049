"""How long the settlement of a large pool holds Redis: `python -m tests.service.settlement_time`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

import redis

from market import administration, calls
from market.blocking_calls import Master
from market.resolving import pay, resolve
from market.seed import seed
from market.settings import Settings
from tests.service.administering import BY, GAME, pool
from tests.service.client import prediction
from tests.service.conftest import Client, RedisServer
from tests.service.shared_api import settings_without_sql

PREDICTIONS = 24_000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="settlement-") as name:
        directory = Path(name)
        (directory / "password").write_text("x" * 32, encoding="utf-8")
        server = RedisServer(directory / "redis", "x" * 32)
        server.start()
        try:
            settings = settings_without_sql(server, directory / "password", directory / "password")
            for chunk in (50, 100, 200):
                measure(server, settings, chunk)
        finally:
            server.stop()


def measure(server: RedisServer, settings: Settings, chunk: int) -> None:
    seed(settings, users=PREDICTIONS, balance=10**6)
    with contextlib.closing(server.client()) as client:
        store = Master(client)
        store.ask(administration.open_pool(BY, pool(takeout=50)))
        place(client)
        resolve(store, BY, GAME, "next", [0])
        client.config_resetstat()
        cpu_s, begun_s = cpu(client), time.perf_counter()
        pay(store, "next", lambda: False, chunk)
        lasted_s, used_s = time.perf_counter() - begun_s, cpu(client) - cpu_s
        parts = client.info("commandstats")["cmdstat_evalsha"]
    each_ms, cpu_ms = parts["usec_per_call"] / 1000, used_s / parts["calls"] * 1000
    sys.stdout.write(
        f"parts of {chunk}: {parts['calls']}, {each_ms:.2f} ms each, {cpu_ms:.2f} ms of it CPU time,"
        f" all in {lasted_s:.2f} s with {used_s:.2f} s of CPU time\n"
    )


def place(client: Client) -> None:
    """One prediction of every user, all on the option that wins."""
    pipeline = client.pipeline(transaction=False)
    for number in range(PREDICTIONS):
        call = calls.place(f"user-{number}", prediction(number, pool="next", stake=1000 + number % 977), 3000)
        if number == 0 and call.script is not None:
            client.script_load(call.script.text)
        pipeline.execute_command(*call.command)
    pipeline.execute()


def cpu(client: redis.Redis) -> float:
    """The CPU time of Redis's main thread (s)."""
    used = client.info("cpu")
    return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])


if __name__ == "__main__":
    main()
