"""The command line of the service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop

from market import counters as counting
from market import dump as dumping
from market import migrations
from market import reference as protocol_reference
from market import seed as seeding
from market.connection import Connection
from market.ledger import Ledger
from market.listening import listening
from market.log import set_up
from market.server import Api
from market.settings import MarketError, Settings, load
from market.tokens import load_signer

_log = logging.getLogger(__name__)

app = typer.Typer(
    help="A parimutuel prediction market over WebSockets.", no_args_is_help=True, add_completion=False
)

SettingsFile = Annotated[
    Path, typer.Option("--settings", help="The TOML file that says all a process needs.")
]


@app.command()
def api(
    settings: SettingsFile, listen: Annotated[str, typer.Option(help="Path of a Unix socket, or HOST:PORT.")]
) -> None:
    """Serve clients until SIGTERM, then send them away and end."""
    loaded = _load("api", settings)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_serve(loaded, listen))


async def _serve(settings: Settings, where: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = Api(settings)
    await service.start()
    with listening(where) as listener:
        if listener.family == socket.AF_UNIX:
            server = await loop.create_unix_server(lambda: Connection(service), sock=listener)
        else:
            server = await loop.create_server(lambda: Connection(service), sock=listener)
        _log.info("listening at %s", where)
        await stop.wait()
        _log.info("draining")
        server.close()
        await service.drain()


@app.command()
def ledger(
    settings: SettingsFile,
    drain: Annotated[bool, typer.Option("--drain", help="End when the journal is empty.")] = False,
) -> None:
    """Bring the journal to SQL until SIGTERM."""
    loaded = _load("ledger", settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Ledger(loaded, stop, drain=drain).run()


@app.command()
def migrate(settings: SettingsFile) -> None:
    """Bring the SQL schema to this version."""
    migrations.migrate(_load("migrate", settings).sql_master)


@app.command()
def seed(
    settings: SettingsFile,
    users: Annotated[int, typer.Option(min=0, help="How many accounts.")],
    balance: Annotated[int, typer.Option(min=0, help="What each account has, in minor units.")],
) -> None:
    """Replace what is in Redis by one live game with one open pool, and accounts."""
    epoch = seeding.seed(_load("seed", settings), users, balance)
    _log.info("seeded %d accounts in epoch %d", users, epoch)


@app.command()
def tokens(
    settings: SettingsFile,
    users: Annotated[int, typer.Option(min=0, help="For how many users.")],
    ttl_s: Annotated[int, typer.Option(min=1, help="How long the tokens hold (s).")],
) -> None:
    """Print a line `user-i<TAB>token` for each user."""
    signer = load_signer(_load("tokens", settings).token_key_file)
    for index in range(users):
        user = f"user-{index}"
        sys.stdout.write(f"{user}\t{signer.issue(user, ttl_s)}\n")


@app.command()
def dump(settings: SettingsFile) -> None:
    """Print the sums in Redis and the rows in SQL as lines of JSON."""
    loaded = _load("dump", settings)
    encode = msgspec.json.Encoder().encode
    sys.stdout.write(encode(dumping.sums(loaded)).decode() + "\n")
    for row in dumping.rows(loaded):
        sys.stdout.write(encode(row).decode() + "\n")


@app.command()
def reference() -> None:
    """Print the reference of the protocol as Markdown: messages, numbers, routes."""
    sys.stdout.write(protocol_reference.text())


@app.command()
def counters(settings: SettingsFile) -> None:
    """Print what the databases of a process have served as a line of JSON."""
    found = counting.counters(_load("counters", settings))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def _load(process: str, path: Path) -> Settings:
    settings = load(path)
    set_up(process, region=settings.region, node=settings.node)
    return settings


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("%s", context.get("message"), exc_info=context.get("exception"))


def main() -> None:
    """Run a command; an error is one line on standard error and status 1."""
    try:
        app()
    except MarketError as error:
        sys.stderr.write(f"market: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
