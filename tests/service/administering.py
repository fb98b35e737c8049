"""What tests of games, pools and their settlement have in common: requests, answers, and sums of money."""

from __future__ import annotations

import json
from typing import Any

from market import administration, keys, match_events
from market.administration import Outcome
from market.blocking_calls import Master
from market.calls import place
from market.protocol import Event, OpenPool, decode_push
from market.store import Failure, Receipt
from tests.service.client import prediction
from tests.service.conftest import Client

GAME = "match-1"
BY = "admin-1"
OPTIONS = ["home", "draw", "away"]


def pool(name: str = "next", **changes: Any) -> OpenPool:
    """A correct request for a pool."""
    fields: dict[str, Any] = {
        "id": 1,
        "game": GAME,
        "pool": name,
        "question": "Who is next?",
        "options": OPTIONS,
    }
    return OpenPool(**(fields | changes))


def event(sequence: int, kind: str = "goal", **data: str) -> Event:
    return Event(GAME, f"e{sequence}", sequence, kind, 1_700_000_000_000 + sequence, data)


def opened(master: Master, name: str = "next", **changes: Any) -> None:
    assert master.ask(administration.open_pool(BY, pool(name, **changes))) is Outcome.DONE


def submitted(master: Master, *events: Event) -> None:
    for each in events:
        assert master.ask(match_events.submit("feed-1", each)) is Outcome.DONE


def staked(
    master: Master, user: int, option: int, stake: int, *, key: str = "", name: str = "next"
) -> Receipt:
    request = prediction(
        0, pool=name, option=option, stake=stake, key=key or f"{name}-{user}-{option}-{stake}"
    )
    receipt = master.ask(place(f"user-{user}", request, 300))
    assert isinstance(receipt, Receipt), receipt
    return receipt


def refused(answer: Any) -> Any:
    """The code of a failure."""
    assert isinstance(answer, Failure), answer
    return answer.code


def balance(client: Client, user: int) -> int:
    return int(client.hget(keys.account(f"user-{user}"), "balance"))


def balances(client: Client) -> int:
    """All that accounts have."""
    names = list(client.scan_iter(match=f"{keys.ACCOUNT}*", count=1000))
    return sum(int(client.hget(name, "balance")) for name in names)


def status(client: Client, name: str = "next") -> str:
    return str(client.hget(keys.pool(name), "status").decode())


def fields(client: Client, name: str = "next") -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in client.hgetall(keys.pool(name)).items()}


def journal(client: Client, *kinds: str) -> list[dict[str, Any]]:
    """The journal's entries of these kinds, without their epoch; bodies as values."""
    entries = []
    for _, raw in client.xrange(keys.JOURNAL):
        entry: dict[str, Any] = {name.decode(): value.decode() for name, value in raw.items()}
        del entry["epoch"]
        if "body" in entry:
            entry["body"] = json.loads(entry["body"])
        if not kinds or entry["kind"] in kinds:
            entries.append(entry)
    return entries


def pushes(client: Client, game: str = GAME) -> list[Any]:
    """What was sent on a game's channel."""
    return [decode_push(push) for push in client.lrange(keys.history(game), 0, -1)]


def everything(client: Client) -> dict[bytes, Any]:
    """All that Redis has of the market."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda name: client.lrange(name, 0, -1),
        b"zset": lambda name: client.zrange(name, 0, -1, withscores=True),
        b"set": client.smembers,
        b"stream": client.xrange,
    }
    return {name: read[client.type(name)](name) for name in client.scan_iter(match=f"{keys.PREFIX}*")}
