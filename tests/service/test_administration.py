"""The scripts by which games and pools begin and end: once each, journalled and sent to everybody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from market import administration, keys, limits
from market.administration import Outcome
from market.blocking_calls import Master
from market.calls import place, pools
from market.protocol import (
    ClosePool,
    CreateGame,
    ErrorCode,
    Game,
    GameChanged,
    GameStatus,
    OpenPool,
    PoolChanged,
    Rule,
    SetGameStatus,
)
from market.resolving import resolve
from market.settlement import Totals, terms
from tests.service.administering import (
    BY,
    GAME,
    OPTIONS,
    everything,
    fields,
    journal,
    opened,
    pool,
    pushes,
    refused,
    staked,
    status,
)
from tests.service.client import prediction
from tests.service.conftest import Client


@pytest.fixture
def store(market: Client) -> Master:
    return Master(market)


def create(
    store: Master, game: str = "final", title: str = 'The "final"', status: GameStatus = "scheduled"
) -> Any:
    return store.ask(administration.create_game(BY, CreateGame(1, game, title, status)))


def set_status(store: Master, status: GameStatus, game: str = GAME) -> Any:
    return store.ask(administration.set_game_status(BY, SetGameStatus(1, game, status)))


def open_(store: Master, request: OpenPool) -> Any:
    return store.ask(administration.open_pool(BY, request))


def close(store: Master, name: str = "next", game: str = GAME) -> Any:
    return store.ask(administration.close_pool(BY, ClosePool(1, game, name)))


def test_a_game_is_announced_once(store: Master, market: Client) -> None:
    assert create(store) is Outcome.DONE
    shown = Game("final", 'The "final"', "scheduled")
    assert json.loads(market.hget(keys.GAMES, "final")) == {
        "id": "final",
        "title": shown.title,
        "status": shown.status,
    }
    (sent,) = pushes(market, "final")
    assert isinstance(sent, GameChanged)
    assert (sent.title, sent.status, sent.offset) == ('The "final"', "scheduled", 1)
    assert journal(market, "game") == [
        {"kind": "game", "game": "final", "body": {"title": 'The "final"', "status": "scheduled", "by": BY}}
    ]
    before = everything(market)
    assert create(store) is Outcome.DUPLICATE
    assert refused(create(store, title="Another")) is ErrorCode.EXISTS
    assert refused(create(store, status="live")) is ErrorCode.EXISTS
    assert everything(market) == before


def test_the_announcement_of_a_game_that_has_begun_is_the_same_still(store: Master, market: Client) -> None:
    create(store)
    assert set_status(store, "live", "final") is Outcome.DONE
    assert create(store) is Outcome.DUPLICATE


def test_a_game_goes_forward_only(store: Master, market: Client) -> None:
    create(store)
    assert refused(set_status(store, "live", "nowhere")) is ErrorCode.NO_SUCH_GAME
    assert set_status(store, "live", "final") is Outcome.DONE
    assert set_status(store, "live", "final") is Outcome.DUPLICATE
    assert refused(set_status(store, "scheduled", "final")) is ErrorCode.CONFLICT
    assert set_status(store, "finished", "final") is Outcome.DONE
    assert refused(set_status(store, "live", "final")) is ErrorCode.CONFLICT
    assert [sent.status for sent in pushes(market, "final")] == ["scheduled", "live", "finished"]


def test_the_end_of_a_game_closes_its_open_pools_part_by_part(store: Master, market: Client) -> None:
    names = [f"pool-{number}" for number in range(administration.CLOSE_CHUNK + 3)]
    for name in names:
        opened(store, name)
    assert set_status(store, "finished") is Outcome.MORE
    assert json.loads(market.hget(keys.GAMES, GAME))["status"] == "live"
    assert set_status(store, "finished") is Outcome.DONE
    assert {status(market, name) for name in [*names, "winner"]} == {"closed"}
    last = pushes(market)[-1]
    assert (last.status, last.pool) == ("finished", "")
    assert refused(open_(store, pool("late"))) is ErrorCode.CONFLICT


CHANGES: list[dict[str, Any]] = [
    {"question": "?"},
    {"options": ["a", "b"]},
    {"takeout": 1},
    {"grace_ms": 1},
    {"decided_by": None},
    {"closes_at_ms": None},
]


def test_a_pool_is_opened_once(store: Master, market: Client) -> None:
    rule = Rule("goal", "team", {"home": 0, "away": 2}, otherwise=1)
    closes_ms = int(time.time() * 1000) + 60_000
    request = pool(
        question='Who is "next"?', takeout=50, grace_ms=100, closes_at_ms=closes_ms, decided_by=rule
    )
    assert open_(store, request) is Outcome.DONE
    (_, listed) = store.ask(pools(GAME))  # type: ignore[misc]
    assert (listed.id, listed.question, listed.status) == ("next", 'Who is "next"?', "open")
    assert (listed.options, listed.totals, listed.closes_at_ms) == (OPTIONS, [0, 0, 0], closes_ms)
    (sent,) = pushes(market)
    assert isinstance(sent, PoolChanged)
    assert (sent.pool, sent.status, sent.question) == ("next", "open", 'Who is "next"?')
    assert (sent.options, sent.totals, sent.predictions, sent.winners) == (OPTIONS, [0, 0, 0], 0, [])
    assert (listed.epoch, listed.offset) == (sent.epoch, sent.offset)
    (entry,) = journal(market, "pool")
    assert entry["body"] == {
        "status": "open", "question": 'Who is "next"?', "options": OPTIONS, "takeout": 50, "by": BY
    }  # fmt: skip
    before = everything(market)
    assert open_(store, request) is Outcome.DUPLICATE
    for change in CHANGES:
        changed = msgspec.structs.replace(request, **change)
        assert refused(open_(store, changed)) is ErrorCode.EXISTS
    assert everything(market) == before


def test_a_pool_needs_its_game_and_a_time_to_come(store: Master, market: Client) -> None:
    before = everything(market)
    assert refused(open_(store, pool(game="nowhere"))) is ErrorCode.NO_SUCH_GAME
    assert refused(open_(store, pool(closes_at_ms=1000))) is ErrorCode.CONFLICT
    assert everything(market) == before
    opened(store)
    create(store)
    assert refused(open_(store, pool(game="final"))) is ErrorCode.EXISTS


def test_a_game_has_so_many_pools_at_most(store: Master, market: Client) -> None:
    market.zadd(keys.pools(GAME), {f"p{number}": 0 for number in range(limits.MAX_POOLS_PER_GAME)})
    assert refused(open_(store, pool())) is ErrorCode.CONFLICT


def test_a_closed_pool_takes_nothing_and_says_its_last_totals(store: Master, market: Client) -> None:
    opened(store)
    staked(store, 1, 2, 40)
    assert market.zrange(keys.DUE, 0, -1) == [b"next"]
    assert close(store) is Outcome.DONE
    assert market.zrange(keys.DUE, 0, -1) == []
    sent = pushes(market)[-1]
    assert (sent.status, sent.totals, sent.predictions) == ("closed", [0, 0, 40], 1)
    assert refused(store.ask(place("user-2", prediction(2, pool="next"), 300))) is ErrorCode.POOL_CLOSED
    assert journal(market, "pool")[-1]["body"] == {"status": "closed", "by": BY}
    before = everything(market)
    assert close(store) is Outcome.DUPLICATE
    assert refused(close(store, "nowhere")) is ErrorCode.NO_SUCH_POOL
    assert refused(close(store, "next", "nowhere")) is ErrorCode.NO_SUCH_GAME
    assert everything(market) == before


def test_an_outcome_is_fixed_once(store: Master, market: Client) -> None:
    opened(store, takeout=100)
    staked(store, 1, 0, 60)
    staked(store, 2, 2, 40)
    assert resolve(store, BY, GAME, "next", [2, 0, 2]) is Outcome.DONE
    assert status(market) == "resolving"
    settled = {name: fields(market)[name] for name in ("winners", "pays", "net", "taken", "paid", "cursor")}
    assert settled == {
        "winners": "[0,2]",
        "pays": "winnings",
        "net": "90",
        "taken": "10",
        "paid": "0",
        "cursor": "0",
    }
    assert [entry["body"]["status"] for entry in journal(market, "pool")] == ["open", "closed", "resolving"]
    assert [sent.status for sent in pushes(market)] == ["open", "closed"]
    before = everything(market)
    assert resolve(store, BY, GAME, "next", [0, 2]) is Outcome.DUPLICATE
    assert refused(resolve(store, BY, GAME, "next", [0])) is ErrorCode.CONFLICT
    assert refused(resolve(store, BY, GAME, "next", [])) is ErrorCode.CONFLICT
    assert everything(market) == before


def test_what_cannot_win_does_not_close_a_pool(store: Master, market: Client) -> None:
    opened(store)
    before = everything(market)
    assert refused(resolve(store, BY, GAME, "next", [3])) is ErrorCode.NO_SUCH_OPTION
    assert refused(resolve(store, BY, GAME, "nowhere", [0])) is ErrorCode.NO_SUCH_POOL
    assert refused(resolve(store, BY, "nowhere", "next", [0])) is ErrorCode.NO_SUCH_GAME
    assert everything(market) == before


def test_an_outcome_is_not_fixed_with_totals_that_are_not_those_of_the_pool(
    store: Master, market: Client
) -> None:
    opened(store)
    staked(store, 1, 0, 60)
    wrong = Totals(61, 60, 0)
    answer = store.ask(administration.resolve(BY, GAME, "next", [0], known=(wrong, terms(wrong))))
    assert answer == Totals(60, 60, 0)
    assert status(market) == "closed"


@pytest.mark.parametrize("change", ["create", "status", "open", "close", "resolve"])
def test_a_full_journal_refuses_before_anything_changed(store: Master, market: Client, change: str) -> None:
    opened(store)
    market.set(keys.JOURNAL_LIMIT, 1)
    before = everything(market)
    changes: dict[str, Callable[[], Any]] = {
        "create": lambda: create(store),
        "status": lambda: set_status(store, "finished"),
        "open": lambda: open_(store, pool("other")),
        "close": lambda: close(store),
        "resolve": lambda: resolve(store, BY, GAME, "next", [0]),
    }
    assert refused(changes[change]()) is ErrorCode.JOURNAL_FULL
    assert everything(market) == before


def test_what_is_among_friends_is_sent_to_nobody(store: Master, market: Client) -> None:
    opened(store)
    market.hset(keys.pool("next"), "audience", "friends")
    sent = len(pushes(market))
    close(store)
    assert len(pushes(market)) == sent
    assert status(market) == "closed"
