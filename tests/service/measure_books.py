"""What the books cost: bringing the journal to SQL, and noting every request in the audit log.

    .venv/bin/python -m tests.service.measure_books

Starts Redis, MariaDB and the service's own processes. Rates are of this machine; what holds is their ratio.
CPU time is read from the kernel.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pymysql

from market import keys, sql
from market.connection_settings import Limits
from market.journal import Entry
from market.ledger import Ledger
from market.protocol import ListPools, encode
from market.seed import seed
from market.settings import RedisEndpoint, Settings, SqlEndpoint
from market.tokens import load_signer
from tests.service.conftest import RedisServer, running_mariadb, starting, until
from tests.service.rfc6455.peer import TEXT, Peer, frame, upgrade
from tests.service.shared_api import running_api

TABLES = ("predictions", "journal", "commands", "journal_positions")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(pids: dict[str, int], before: dict[str, float], count: int) -> str:
    """What each process has used since then, for each of so many."""
    used = {name: (cpu_s(pid) - before[name]) * 1e6 / count for name, pid in pids.items()}
    return ", ".join(f"{name} {us:.1f}" for name, us in used.items())


def fill(client: Any, count: int) -> None:
    """Predictions as the scripts write them, with keys that were never used."""
    pipeline, epoch, run = client.pipeline(transaction=False), int(time.time()), secrets.token_hex(4)
    client.delete(keys.JOURNAL, keys.JOURNAL_TRIMMED)
    client.set(keys.EPOCH, epoch)
    for number in range(count):
        pipeline.xadd(keys.JOURNAL, {
            "kind": "prediction", "epoch": epoch, "user": f"user-{number % 2400}", "key": f"{run}-{number}",
            "game": "match-1", "pool": "winner", "option": number % 3, "stake": 10, "amount": -10,
            "balance": 990,
        })  # fmt: skip
        if number % 5000 == 4999:
            pipeline.execute()
    pipeline.execute()


def predictions_only(connection: Any, entries: list[Entry]) -> list[Entry]:
    """What a ledger writes that keeps predictions and nothing else."""
    with connection.cursor() as cursor:
        sql._insert(cursor, sql._PREDICTIONS, map(sql._row, entries))
    return []


def drains(settings: Settings, client: Any, root: Any, servers: dict[str, int], count: int) -> None:
    for flush in (2, 1):
        root.execute("SET GLOBAL innodb_flush_log_at_trx_commit = %s", (flush,))
        for name, insert in (("predictions only", predictions_only), ("every table", sql.insert)) * 2:
            for table in TABLES:
                root.execute(f"TRUNCATE market.{table}")
            fill(client, count)
            pids = {"ledger": os.getpid(), **servers}
            before, begun_s = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
            with mock.patch.object(sql, "insert", insert):
                Ledger(settings, threading.Event(), drain=True).run()
            rate = count / (time.monotonic() - begun_s)
            print(  # noqa: T201
                f"innodb_flush_log_at_trx_commit {flush}, {name}: {rate:.0f} entries/s; us of CPU an entry:"
                f" {spent(pids, before, count)}"
            )
    root.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")


def load(path: Path, token: str, count: int, per_s: int) -> None:
    """One user who lists pools on an even schedule."""
    with Peer(path) as peer:
        peer.open(upgrade(Authorization=f"Bearer {token}"))
        replies, begun_s = peer.frames(), time.monotonic()
        for number in range(0, count, 16):
            for each in range(number, number + 16):
                peer.send(frame(TEXT, encode(ListPools(each, "match-1"))))
            for _ in range(16):
                next(replies)
            time.sleep(max(0.0, begun_s + (number + 16) / per_s - time.monotonic()))


def audits(settings: Settings, directory: Path, servers: dict[str, int], count: int, per_s: int) -> None:
    token = load_signer(settings.token_key_file).issue("user-1", 3600)
    for mode in ("writes", "all", "writes", "all"):
        changed = msgspec.structs.replace(settings, audit=mode, limits=Limits(requests_per_user_per_s=0))
        with starting(directory) as start, running_api(changed, directory) as api:
            ledger = start("ledger", changed)
            until(lambda ledger=ledger: "drains" in ledger.log(), "the ledger")  # type: ignore[misc]
            pids = {"api": api.pid, "ledger": ledger.process.pid, **servers}
            before = {name: cpu_s(pid) for name, pid in pids.items()}
            load(api.path, token, count, per_s)
            time.sleep(2)
            shown = spent(pids, before, count)
            print(f"audit {mode}, {per_s} requests/s: us of CPU a request: {shown}")  # noqa: T201


@contextlib.contextmanager
def market(directory: Path) -> Iterator[tuple[Settings, RedisServer, SqlEndpoint]]:
    for name in ("password", "token-key"):
        (directory / name).write_text(secrets.token_hex(32), encoding="ascii")
    password = directory / "password"
    master = RedisServer(directory / "redis", password.read_text(encoding="ascii"))
    master.start()
    try:
        with running_mariadb(directory, password, "--log-bin", "--binlog-format=ROW") as owner:
            redis = RedisEndpoint("127.0.0.1", master.port, str(password))
            ledger = msgspec.structs.replace(owner, user="market_ledger")
            key = str(directory / "token-key")
            yield Settings("eu-west-1", "node-1", key, redis, redis, ledger, ledger), master, owner
    finally:
        master.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=16_000)
    parser.add_argument("--per-s", type=int, default=1600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        with market(directory) as (settings, master, _), contextlib.closing(master.client()) as client:
            root = pymysql.connect(unix_socket=str(directory / "mariadb.sock"), user="root", autocommit=True)
            with contextlib.closing(root), root.cursor() as cursor:
                cursor.execute("SELECT @@GLOBAL.pid_file")
                file = Path(str((cursor.fetchone() or ("",))[0]))
                mariadb = {"mariadb": int(file.read_text(encoding="ascii"))}
                drains(settings, client, cursor, mariadb, options.entries)
            seed(settings, users=2400, balance=1000)
            assert master.process
            servers = {"redis": master.process.pid, **mariadb}
            audits(settings, directory, servers, options.requests, options.per_s)


if __name__ == "__main__":
    main()
