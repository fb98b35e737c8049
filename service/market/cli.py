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
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import uvloop

from market import admin_cli, audit_dump, journal_status, migrations
from market import counters as counting
from market import dump as dumping
from market import inventory as taking
from market import reference as protocol_reference
from market import replay as replaying
from market import seed as seeding
from market.connection import Connection
from market.follow import Follower
from market.ledger import Ledger
from market.listening import listening
from market.log import set_up
from market.origins import Origin
from market.protocol import Event, Request
from market.resolver import Resolver
from market.revocations import revoke as revoke_user
from market.server import Api
from market.sessions import FEED_KINDS, KINDS
from market.settings import MarketError, Settings, load
from market.tokens import ADMIN, FEED, USER, signer_of

_log = logging.getLogger(__name__)

app = typer.Typer(
    help="A parimutuel prediction market over WebSockets.", no_args_is_help=True, add_completion=False
)

TOKEN_TTL_S: Final = 900
"""Of a single token: short enough that losing one does little harm."""
REVOKED_FOR_S: Final = 86_400
"""Longer than any token that was issued before is likely to hold."""
TOKEN_SPARE_S: Final = 300
"""How much longer than a replay its token holds (s)."""

app.add_typer(admin_cli.app, name="admin")

SettingsFile = Annotated[
    Path, typer.Option("--settings", help="The TOML file that says all a process needs.")
]


@app.command()
def api(
    settings: SettingsFile, listen: Annotated[str, typer.Option(help="Path of a Unix socket, or HOST:PORT.")]
) -> None:
    """Serve clients until SIGTERM, then send them away and end. SIGHUP: read the token keys again."""
    loaded = _load("api", settings)
    _raise_limit()
    uvloop.run(_serve(loaded, listen, KINDS))


@app.command()
def feed(
    settings: SettingsFile, listen: Annotated[str, typer.Option(help="Path of a Unix socket, or HOST:PORT.")]
) -> None:
    """Take what happens in the matches, by WebSocket and HTTP, until SIGTERM."""
    loaded = _load("feed", settings)
    _raise_limit()
    longer = msgspec.structs.replace(loaded, max_message_bytes=loaded.feed.max_message_bytes)
    uvloop.run(_serve(longer, listen, FEED_KINDS))


@app.command()
def resolver(
    settings: SettingsFile,
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing is left to do.")] = False,
) -> None:
    """Decide pools by what happens in the matches, and pay them out, until SIGTERM."""
    loaded = _load("resolver", settings)
    Resolver(loaded, _stopped(), drain=drain).run()


async def _serve(settings: Settings, where: str, kinds: Collection[type[Request]]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = Api(settings, kinds)
    loop.add_signal_handler(signal.SIGHUP, service.admission.reload_keys)
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
    Ledger(loaded, _stopped(), drain=drain).run()


@app.command()
def replay(
    settings: SettingsFile,
    feed: Annotated[str, typer.Option(help="ws://HOST:PORT/ws, or the path of the feed's Unix socket.")],
    recording: Annotated[
        Path | None, typer.Argument(help="Events as lines of JSON; a match of our own by default.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="60: a minute in a second; inf: at once.")] = 1.0,
    game: Annotated[str | None, typer.Option(help="The game to tell it of; the recorded one.")] = None,
) -> None:
    """Tell a recorded match to a feed."""
    signer = signer_of(_load("replay", settings))
    events = replaying.read(recording)
    lasts_s = replaying.offsets_s(events, speed)[-1]
    token = signer.issue("replay", int(lasts_s) + TOKEN_SPARE_S, scopes=[FEED])

    def told(event: Event, new: bool) -> None:
        _log.info("%s %s%s", event.id, event.kind, "" if new else " (known already)")

    replaying.replay(events, feed, token, speed=speed, game=game, told=told)


@app.command()
def follow(settings: SettingsFile) -> None:
    """Keep the replica that is read from hung to a standby at home until SIGTERM."""
    stop = threading.Event()
    follower = Follower(_load("follow", settings), stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follower.run()


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
    signer = signer_of(_load("tokens", settings))
    for index in range(users):
        user = f"user-{index}"
        sys.stdout.write(f"{user}\t{signer.issue(user, ttl_s)}\n")


@app.command()
def token(
    settings: SettingsFile,
    user: Annotated[str, typer.Argument(help="For whom.")],
    ttl_s: Annotated[int, typer.Option(min=1, help="How long the token holds (s).")] = TOKEN_TTL_S,
    admin: Annotated[bool, typer.Option("--admin", help="With the scope of operators.")] = False,
    feed: Annotated[bool, typer.Option("--feed", help="With the scope of who tells events.")] = False,
) -> None:
    """Print a token for one user."""
    signer = signer_of(_load("token", settings))
    sys.stdout.write(signer.issue(_user(user), ttl_s, scopes=[ADMIN] * admin + [FEED] * feed) + "\n")


@app.command()
def revoke(
    settings: SettingsFile,
    user: Annotated[str, typer.Argument(help="Whom to shut out.")],
    for_s: Annotated[
        int, typer.Option("--for", min=0, help="For how many seconds; 0 lets the user in again.")
    ] = REVOKED_FOR_S,
) -> None:
    """Shut a user out everywhere: open connections are closed, new ones refused."""
    revoke_user(_load("revoke", settings), _user(user), for_s)
    _log.info("%s is shut out for %d s", user, for_s)


def _user(name: str) -> str:
    if not USER.fullmatch(name):
        raise MarketError(f"{name!r} names no user: letters, digits, - and _, 64 at most")
    return name


@app.command()
def dump(settings: SettingsFile) -> None:
    """Print the sums in Redis and the rows in SQL as lines of JSON."""
    loaded = _load("dump", settings)
    encode = msgspec.json.Encoder().encode
    sys.stdout.write(encode(dumping.sums(loaded)).decode() + "\n")
    for row in dumping.rows(loaded):
        sys.stdout.write(encode(row).decode() + "\n")


@app.command()
def inventory(settings: SettingsFile) -> None:
    """Print every account, pool, receipt, entry of the journal and row in SQL as lines of JSON."""
    encode = msgspec.json.Encoder().encode
    for entry in taking.entries(_load("inventory", settings)):
        sys.stdout.write(encode(entry).decode() + "\n")


@app.command()
def reference() -> None:
    """Print the reference of the protocol as Markdown: messages, numbers, routes."""
    sys.stdout.write(protocol_reference.text())


def _raise_limit() -> None:
    """May open as many descriptors as the system lets it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _stopped() -> threading.Event:
    """What SIGTERM sets."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@app.command()
def audit(
    settings: SettingsFile,
    user: Annotated[str | None, typer.Option(help="Whose; without it everybody's.")] = None,
) -> None:
    """Print the audit log as lines of JSON, complete at this moment."""
    for line in audit_dump.lines(_load("audit", settings), user):
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


@app.command()
def status(settings: SettingsFile) -> None:
    """Print how the journal stands as JSON."""
    found = journal_status.status(_load("status", settings))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


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
    protocol = context.get("protocol")
    about = {"origin": Origin(protocol)} if isinstance(protocol, Connection) else None
    _log.error("%s", context.get("message"), exc_info=context.get("exception"), extra=about)


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
