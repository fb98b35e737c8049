"""The commands of administrators: games, pools and events by hand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import redis
import typer
from msgspec import ValidationError, convert

from market import administration, calls, match_events
from market.acknowledgement import await_standbys
from market.administration import Outcome
from market.blocking_calls import Master
from market.handlers.administration import refusal
from market.protocol import ClosePool, CreateGame, Event, Name, OpenPool, Rule, SetGameStatus
from market.redis_client import redis_client
from market.resolving import resolve
from market.settings import MarketError, Settings, load
from market.store import Failure, UnavailableError

T = TypeVar("T")

app = typer.Typer(
    help="Open and decide pools, begin and end games, tell events by hand.",
    no_args_is_help=True,
    add_completion=False,
)

SettingsFile = Annotated[
    Path, typer.Option("--settings", help="The TOML file that says all a process needs.")
]


class AdministrationError(MarketError):
    """What an administrator asked for was refused."""


def _name(value: str) -> str:
    try:
        return convert(value, Name)
    except ValidationError:
        raise AdministrationError(
            f"--by {value!r}: a name has letters, digits, - and _, 64 at most"
        ) from None


By = Annotated[
    str,
    typer.Option("--by", help="Who does it, for the journal.", envvar="MARKET_ADMIN", callback=_name),
]
Game = Annotated[str, typer.Argument(help="The game.")]
Pool = Annotated[str, typer.Argument(help="The pool.")]


@app.command()
def create_game(
    settings: SettingsFile,
    game: Game,
    title: Annotated[str, typer.Argument(help="What users see.")],
    status: Annotated[str, typer.Option(help="scheduled, live or finished.")] = "scheduled",
    by: By = "operator",
) -> None:
    """Announce a game."""
    request = _made(CreateGame, game=game, title=title, status=status)
    with _master(load(settings)) as master:
        _tell(master.ask(administration.create_game(by, request)))


@app.command()
def set_status(
    settings: SettingsFile,
    game: Game,
    status: Annotated[str, typer.Argument(help="scheduled, live or finished.")],
    by: By = "operator",
) -> None:
    """Begin or end a game; its end closes its open pools."""
    request = _made(SetGameStatus, game=game, status=status)
    with _master(load(settings)) as master:
        outcome: Outcome | Failure = Outcome.MORE
        while outcome is Outcome.MORE:
            outcome = master.ask(administration.set_game_status(by, request))
        _tell(outcome)


@app.command()
def open_pool(
    settings: SettingsFile,
    game: Game,
    pool: Pool,
    question: Annotated[str, typer.Argument(help="What is asked.")],
    option: Annotated[list[str], typer.Option("--option", help="An answer; give two or more.")],
    takeout: Annotated[
        int | None, typer.Option(help="What the house keeps (permille); as the settings say.")
    ] = None,
    grace_ms: Annotated[int, typer.Option(help="How long a prediction may be cancelled (ms).")] = 5000,
    closes_in_s: Annotated[int | None, typer.Option(help="When it closes by itself (s from now).")] = None,
    decided_by: Annotated[str | None, typer.Option(help="The rule that decides it, as JSON.")] = None,
    by: By = "operator",
) -> None:
    """Open a pool."""
    loaded = load(settings)
    request = _made(
        OpenPool,
        game=game,
        pool=pool,
        question=question,
        options=option,
        takeout=loaded.resolver.takeout if takeout is None else takeout,
        grace_ms=grace_ms,
        closes_at_ms=None if closes_in_s is None else int(time.time() * 1000) + closes_in_s * 1000,
        decided_by=None if decided_by is None else _rule(decided_by),
    )
    if (why := refusal(request)) is not None:
        raise AdministrationError(why.message)
    with _master(loaded) as master:
        _tell(master.ask(administration.open_pool(by, request)))


@app.command()
def close_pool(settings: SettingsFile, game: Game, pool: Pool, by: By = "operator") -> None:
    """Take no more predictions of a pool."""
    request = _made(ClosePool, game=game, pool=pool)
    with _master(load(settings)) as master:
        _tell(master.ask(administration.close_pool(by, request)))


@app.command()
def resolve_pool(
    settings: SettingsFile,
    game: Game,
    pool: Pool,
    winner: Annotated[list[int], typer.Option("--winner", min=0, help="A winning option; the first is 0.")],
    by: By = "operator",
) -> None:
    """Name the winners of a pool; a resolver pays them."""
    _resolve(settings, game, pool, winner, by)


@app.command()
def void_pool(settings: SettingsFile, game: Game, pool: Pool, by: By = "operator") -> None:
    """Have a resolver give back every stake of a pool."""
    _resolve(settings, game, pool, [], by)


def _resolve(settings: Path, game: str, pool: str, winners: list[int], by: str) -> None:
    request = _made(ClosePool, game=game, pool=pool)
    with _master(load(settings)) as master:
        _tell(resolve(master, by, request.game, request.pool, winners))


@app.command()
def event(
    settings: SettingsFile,
    game: Game,
    kind: Annotated[str, typer.Argument(help="What happened, e.g. goal.")],
    datum: Annotated[list[str] | None, typer.Option("--data", help="NAME=VALUE, e.g. team=home.")] = None,
    sequence: Annotated[int | None, typer.Option(min=0, help="Its place in the game; the next one.")] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="What makes it unique; of its sequence.")
    ] = None,
    by: By = "operator",
) -> None:
    """Tell what happened in a match; the same id counts once."""
    data = dict(_pair(pair) for pair in datum or [])
    with _master(load(settings)) as master:
        if sequence is None:
            sequence = _answer(master.ask(match_events.received(game))) + 1
        told = _made(
            Event,
            game=game,
            id=identity or f"by-hand-{sequence}",
            sequence=sequence,
            kind=kind,
            at_ms=int(time.time() * 1000),
            data=data,
        )
        _tell(master.ask(match_events.submit(by, told)))


@app.command()
def show(settings: SettingsFile, game: Game) -> None:
    """Print a game's pools as lines of JSON."""
    with _master(load(settings)) as master:
        for pool in _answer(master.ask(calls.pools(game))):
            sys.stdout.write(msgspec.json.encode(pool).decode() + "\n")


@contextmanager
def _master(settings: Settings) -> Iterator[Master]:
    endpoint = settings.redis_master
    try:
        with closing(redis_client(endpoint, writes=True)) as client:
            yield Master(client)
            await_standbys(client, settings)
    except (redis.RedisError, UnavailableError) as error:
        raise AdministrationError(f"{endpoint.title}: {error}") from error


def _made(kind: type[T], /, **values: Any) -> T:
    """A request of a kind, checked as one that comes from outside."""
    numbered = {} if kind is Event else {"id": 0}
    try:
        return msgspec.convert(numbered | values | _tag(kind), kind)
    except msgspec.ValidationError as error:
        raise AdministrationError(str(error)) from error


def _tag(kind: type[Any]) -> dict[str, str]:
    tag = kind.__struct_config__.tag
    return {} if tag is None else {"type": tag}


def _rule(text: str) -> dict[str, Any]:
    try:
        return msgspec.to_builtins(msgspec.json.decode(text, type=Rule))  # type: ignore[no-any-return]
    except msgspec.DecodeError as error:
        raise AdministrationError(f"the rule is wrong: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise AdministrationError(f"{text!r} tells nothing: write NAME=VALUE")
    return name, value


def _answer(answer: T | Failure) -> T:
    if isinstance(answer, Failure):
        raise AdministrationError(answer.message)
    return answer


def _tell(outcome: Outcome | Failure) -> None:
    """Print what became of it: done, or duplicate when it had been done before."""
    sys.stdout.write(f"{_answer(outcome)}\n")
