"""The resolver: applies what happens in the matches, and pays the pools that are decided.

Whatever it does is a script that takes effect once, so that any number of resolvers may run, and any of them
may die at any moment. An event is applied when it has its turn in its game and stays the first one until all
of it is applied: what it decides is refused to a resolver that comes with a later one. Its work is listed in
Redis (`agenda`); the stream of events only wakes it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final, TypeVar

import redis

from market import administration, keys, match_events, templates
from market.administration import Opening, Outcome
from market.blocking_calls import Master
from market.deciding import decision
from market.match_events import Arrival
from market.protocol import ErrorCode, SetGameStatus
from market.redis_client import check_master, redis_client
from market.resolving import pay, resolve
from market.settings import MarketError, Settings
from market.store import Failure, UnavailableError

_log = logging.getLogger(__name__)

BY: Final = "resolver"
"""Who it is that closes, decides and opens pools, in the journal."""
AGENDA_LIMIT: Final = 16
FAULTY_S: Final = 30.0
"""How long a pool whose payment fails is left alone."""
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
RECHECK_S: Final = 5.0
DRAIN_PATIENCE_S: Final = 60.0

T = TypeVar("T")


class NotDoneError(MarketError):
    """What was asked for could not be done now; it is tried again."""


class FaultError(MarketError):
    """Something cannot be done before somebody has looked at it; it is left alone for a while."""


class Resolver:
    """Works until `stop` is set, or, with `drain`, until nothing is left to do."""

    def __init__(self, settings: Settings, stop: threading.Event, *, drain: bool = False) -> None:
        self._settings = settings
        self._options = settings.resolver
        self._templates = templates.load(settings.resolver.templates)
        self._stop = stop
        self._drain = drain
        self._faulty: dict[str, float] = {}
        self._left = 0
        self._recheck_at_s = 0.0

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            NotDoneError: with `drain`, when the work cannot be done.
        """
        delay_s = BACKOFF_MIN_S
        failing_since_s: float | None = None
        while not self._stop.is_set():
            try:
                with closing(redis_client(self._settings.redis_master, writes=True)) as client:
                    master = Master(client)
                    master.make_group(keys.RESOLVER_GROUP)
                    _log.info("the resolver works as %s", self._settings.node)
                    while not self._stop.is_set():
                        if self.turn(master):
                            delay_s, failing_since_s = BACKOFF_MIN_S, None
                        elif self._drain and self._left == 0:
                            return
                        else:
                            self._recheck(client)
                            master.wait_for_event(
                                keys.RESOLVER_GROUP, self._settings.node, self._options.poll_ms
                            )
            except (redis.RedisError, UnavailableError, NotDoneError, OSError) as error:
                failing_since_s = failing_since_s or time.monotonic()
                if self._drain and time.monotonic() - failing_since_s > DRAIN_PATIENCE_S:
                    raise NotDoneError(f"the resolver could not end its work: {error}") from error
                _log.warning("the resolver waits and connects again: %s", error)
                self._stop.wait(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
                delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    def _recheck(self, client: redis.Redis) -> None:
        """See now and then that the Sentinels still name this master."""
        if time.monotonic() >= self._recheck_at_s:
            check_master(client, self._settings.redis_master)
            self._recheck_at_s = time.monotonic() + RECHECK_S

    def turn(self, master: Master) -> bool:
        """Do what there is to do; whether that was anything.

        Raises:
            NotDoneError: when Redis refuses for now.
            redis.RedisError: when it cannot be asked.
        """
        agenda = _answer(master.ask(match_events.agenda(BY, AGENDA_LIMIT)))
        worked = agenda.closed > 0
        for game in agenda.games:
            worked |= self._unless_faulty(f"the events of {game}", partial(self._apply_all, master, game))
        for pool in agenda.settling:
            worked |= self._unless_faulty(f"the payment of {pool}", partial(self._pay, master, pool))
        self._left = agenda.waiting + len(agenda.settling)
        return worked

    def _unless_faulty(self, what: str, work: Callable[[], bool]) -> bool:
        """Do a work, but for one that failed a moment ago: nobody waits for it."""
        if self._faulty.get(what, 0.0) > time.monotonic():
            return False
        self._faulty.pop(what, None)
        try:
            return work()
        except FaultError as error:
            if self._drain:
                raise NotDoneError(f"{what}: {error}") from error
            _log.error("%s is left alone for %g s: %s", what, FAULTY_S, error)
            self._faulty[what] = time.monotonic() + FAULTY_S
            return False

    def _pay(self, master: Master, pool: str) -> bool:
        if _answer(pay(master, pool, self._stop.is_set)) != "settled":
            return False
        _log.info("paid %s", pool)
        return True

    def _apply_all(self, master: Master, game: str) -> bool:
        """Apply the game's events that have their turn, one after the other."""
        applied = ""
        worked = False
        while not self._stop.is_set():
            call = match_events.following(game, self._options.reorder_window_ms, applied)
            arrival = _answer(master.ask(call))
            if arrival is None or not self._apply(master, arrival):
                break
            applied, worked = arrival.event.id, True
        return worked

    def _apply(self, master: Master, arrival: Arrival) -> bool:
        """Do all that an event brings; False when it is not its turn any more."""
        return (
            self._decide(master, arrival)
            and self._open(master, arrival)
            and self._set_status(master, arrival)
        )

    def _decide(self, master: Master, arrival: Arrival) -> bool:
        event = arrival.event
        for undecided in _answer(master.ask(match_events.undecided(event.game, event.kind))):
            winners = decision(undecided.rule, undecided.lapse, event)
            if winners is None or event.sequence <= undecided.since:
                continue
            outcome = resolve(master, BY, event.game, undecided.pool, winners, event=event.id)
            if outcome is Outcome.OUT_OF_TURN:
                return False
            _check(f"{undecided.pool} is not decided by {event.id}", outcome)
        return True

    def _open(self, master: Master, arrival: Arrival) -> bool:
        event = arrival.event
        questions, said = templates.questions(self._templates, arrival, self._options.takeout)
        for message in said:
            _log.warning("%s", message)
        for question in questions:
            opening = Opening(event.id, event.sequence, question.lapse)
            outcome = master.ask(administration.open_pool(BY, question.request, opening))
            if outcome is Outcome.OUT_OF_TURN:
                return False
            _check(f"{question.request.pool} is not opened by {event.id}", outcome)
        return True

    def _set_status(self, master: Master, arrival: Arrival) -> bool:
        event = arrival.event
        status = self._templates.status.get(event.kind)
        outcome: Outcome | Failure = Outcome.MORE
        while status is not None and outcome is Outcome.MORE:
            outcome = master.ask(administration.set_game_status(BY, SetGameStatus(0, event.game, status)))
        _check(f"{event.game} is not {status} with {event.id}", outcome)
        return True


def _answer(answer: T | Failure) -> T:
    """The answer to what is never refused for its own sake."""
    if isinstance(answer, Failure):
        raise (FaultError if answer.code is ErrorCode.INTERNAL else NotDoneError)(answer.message)
    return answer


def _check(what: str, outcome: Outcome | Failure) -> None:
    """Go on after what cannot be done at all; raise for what can be done later."""
    if isinstance(outcome, Failure):
        if outcome.code in (ErrorCode.UNAVAILABLE, ErrorCode.JOURNAL_FULL, ErrorCode.INTERNAL):
            _answer(outcome)
        _log.warning("%s: %s", what, outcome.message)
