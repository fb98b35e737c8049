"""Money is conserved and every write is journalled once, whatever users do in whatever order.

A state machine drives the real scripts beside a model of what they are to do.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from market import calls, keys
from market.calls import accounts, orders
from market.protocol import (
    CancelOrder,
    CancelPrediction,
    Condition,
    Deposit,
    ErrorCode,
    PlaceOrder,
    PlacePrediction,
)
from market.seed import seed
from market.settings import Settings
from market.store import Call, Failure, Receipt
from tests.service.asking import ask
from tests.service.conftest import Client, RedisServer

USERS = ("user-0", "user-1", "newcomer")
OPTIONS = 3
POOL = keys.pool("winner")

users = st.sampled_from([*USERS, *USERS[:2] * 2])
actions = st.sampled_from(
    ["place"] * 6
    + ["order"] * 4
    + ["cancel"] * 3
    + ["deposit", "cancel_order", "close_or_open"]
    + ["flush"] * 2
)
choices = st.integers(0, 99)
"""Which key: a new one mostly, else one that was used before."""
options = st.sampled_from([*range(OPTIONS)] * 4 + [OPTIONS])
stakes = st.integers(1, 150) | st.integers(1, 1200)
conditions = st.builds(
    Condition,
    options,
    st.sampled_from([0, 1, 333, 334, 500, 900, 1000]),
    st.sampled_from(["at_least", "at_most"]),
)


class Write(Struct):
    """What a key was used for: `content` as asked, `state`, and its receipt."""

    content: tuple[Any, ...]
    state: str
    receipt: tuple[str, int] | None = None


class Market(RuleBasedStateMachine):
    """The market as its users change it, and beside it what it should be."""

    settings: Settings
    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        seed(self.settings, users=2, balance=1000)
        self.client: Client = self.server.client()
        self.balances = {"user-0": 1000, "user-1": 1000}
        self.deposited = 2000
        self.book: list[tuple[str, str, int, int] | None] = []
        self.places: dict[tuple[str, str], int] = {}
        self.moved = 0
        """How many of the book were there when orders were set off last."""
        self.writes: dict[tuple[str, str], Write] = {}
        self.journal: list[tuple[str, str, str, int | None]] = []
        self.is_open = True
        self.has_changed = False

    def teardown(self) -> None:
        entries = [
            tuple(fields.get(name, b"").decode() for name in (b"kind", b"user", b"key", b"balance"))
            for _, fields in self.client.xrange(keys.JOURNAL)
        ]
        assert entries == [(*entry[:3], "" if entry[3] is None else str(entry[3])) for entry in self.journal]
        self.client.close()

    @rule(what=actions, user=users, choice=choices, option=options, stake=stakes, when=conditions)
    def act(self, what: str, user: str, choice: int, option: int, stake: int, when: Condition) -> None:
        """One thing that happens; a rule of its own for each would leave most of them out of most runs."""
        match what:
            case "place":
                self.place(user, choice, option, stake)
            case "order":
                self.order(user, choice, option, stake, when)
            case "deposit":
                self.deposit(user, choice, stake)
            case "cancel":
                self.cancel(choice)
            case "cancel_order":
                self.cancel_order(choice)
            case "flush":
                self.flush()
            case _:
                self.close_or_open()

    def place(self, user: str, choice: int, option: int, stake: int) -> None:
        key = self._key(user, choice)
        call = calls.place(user, PlacePrediction(0, "match-1", "winner", option, stake, key), 0)
        content = ("prediction", option, stake)
        write = self.writes.get((user, key))
        if write is not None:
            is_same = write.content[:3] == content and write.state == "placed"
            self._repeated(call, write if is_same else None)
        elif code := self._refusal(user, option, stake):
            self._refused(call, code)
        else:
            self._predict(user, key, option, stake, content)
            self._written(call, user, key)

    def cancel(self, choice: int) -> None:
        user, key = self._used(choice, "placed")
        call = accounts.cancel(user, CancelPrediction(0, "match-1", "winner", key), 0)
        write = self.writes.get((user, key))
        if write is None or write.state not in ("placed", "cancelled") or write.content[0] != "prediction":
            self._refused(call, ErrorCode.NO_SUCH_PREDICTION)
        elif write.state == "cancelled":
            self._repeated(call, write)
        elif not self.is_open:
            self._refused(call, ErrorCode.POOL_CLOSED)
        elif self.places[user, key] < self.moved:
            self._refused(call, ErrorCode.TOO_LATE)
        else:
            place = self.places.pop((user, key))
            row = self.book[place]
            assert row is not None
            self.book[place] = None
            self.balances[user] += row[3]
            self.has_changed = True
            self.journal.append(("cancellation", user, key, self.balances[user]))
            write.state = "cancelled"
            self._written(call, user, key)

    def deposit(self, user: str, choice: int, amount: int) -> None:
        key = self._key(user, choice)
        call = accounts.deposit(user, Deposit(0, amount, key))
        content, write = ("deposit", amount), self.writes.get((user, key))
        if write is not None:
            self._repeated(call, write if write.content == content else None)
        else:
            self.balances[user] = self.balances.get(user, 0) + amount
            self.deposited += amount
            self.writes[user, key] = Write(content, "deposited")
            self.journal.append(("deposit", user, key, self.balances[user]))
            self._written(call, user, key)

    def order(self, user: str, choice: int, option: int, stake: int, when: Condition) -> None:
        key = self._key(user, choice)
        call = orders.place(user, PlaceOrder(0, "match-1", "winner", option, stake, key, when), 0)
        content = ("prediction", option, stake, when)
        write = self.writes.get((user, key))
        if write is not None:
            if write.content == content and write.state in ("waiting", "placed"):
                result = ask(self.client, call)
                assert not isinstance(result, Failure)
                assert result.duplicate
            else:
                self._refused(call, ErrorCode.KEY_REUSED)
        elif code := self._refusal(user, option, stake):
            self._refused(call, code)
        elif when.option >= OPTIONS:
            self._refused(call, ErrorCode.NO_SUCH_OPTION)
        else:
            result = ask(self.client, call)
            assert not isinstance(result, Failure)
            self.has_changed = self.has_changed or self._is_met(when)
            assert (result.duplicate, result.due_in_ms >= 0) == (False, self._is_met(when))
            self.writes[user, key] = Write(content, "waiting")
            self.journal.append(("order", user, key, None))

    def cancel_order(self, choice: int) -> None:
        user, key = self._used(choice, "waiting")
        call = orders.cancel(user, CancelOrder(0, "winner", key))
        write = self.writes.get((user, key))
        if write is None or write.state not in ("waiting", "withdrawn"):
            self._refused(call, ErrorCode.NO_SUCH_ORDER)
        else:
            assert ask(self.client, call) is (write.state == "withdrawn")
            if write.state == "waiting":
                write.state = "withdrawn"
                self.journal.append(("order_cancelled", user, key, None))

    def flush(self) -> None:
        """Flush until nothing is left to do, as the API processes do."""
        rounds = 0
        while ask(self.client, calls.flush("winner", 0)) != 0 or self.client.zcard(keys.DUE):
            rounds += 1
            assert rounds < 100
        if not self.is_open:
            self._end_orders()
        while self.has_changed:
            self.has_changed = False
            self._carry_out()

    def close_or_open(self) -> None:
        self.is_open = not self.is_open
        self.client.hset(POOL, "status", "open" if self.is_open else "closed")
        self.flush()

    @invariant()
    def money_is_conserved_and_nothing_is_forgotten(self) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for user in USERS:
            pipeline.hmget(keys.account(user), "opening", "balance")
            pipeline.scard(keys.orders_of(user))
        pipeline.get(keys.MONEY)
        pipeline.lrange(keys.book("winner"), 0, -1)
        pipeline.hgetall(POOL)
        pipeline.hkeys(keys.orders("winner"))
        for passes in ("at_least", "at_most"):
            for option in range(OPTIONS):
                pipeline.zcard(f"{keys.orders('winner')}:{passes}:{option}")
        *of_users, money, book, pool, waiting = (replies := pipeline.execute())[: 2 * len(USERS) + 4]

        openings, balances = zip(*((int(o or 0), int(b or 0)) for o, b in of_users[::2]), strict=True)
        assert balances == tuple(self.balances.get(user, 0) for user in USERS)
        assert sum(balances) + sum(self._totals()) == sum(openings) == int(money) == self.deposited
        assert min(balances) >= 0

        rows = [row.decode().split(" ")[:4] for row in book]
        assert rows == [[""] if row is None else [str(field) for field in row] for row in self.book]
        assert [int(pool[f"total:{option}".encode()]) for option in range(OPTIONS)] == self._totals()
        assert int(pool[b"predictions"]) == len(self.places)

        expected = {" ".join(at) for at, write in self.writes.items() if write.state == "waiting"}
        assert {name.decode() for name in waiting} == expected
        assert sum(of_users[1::2]) == sum(replies[2 * len(USERS) + 4 :]) == len(expected)

    def _key(self, user: str, choice: int) -> str:
        used = [key for owner, key in self.writes if owner == user]
        return used[choice % len(used)] if used and choice >= 80 else f"k{len(self.writes)}"

    def _used(self, choice: int, state: str) -> tuple[str, str]:
        """Mostly one whose use is in that state, else any, or one that nobody used."""
        fitting = [at for at, write in self.writes.items() if write.state == state]
        all_of_them = [*self.writes, ("user-0", "unused")]
        some = fitting if fitting and choice < 80 else all_of_them
        return some[choice % len(some)]

    def _end_orders(self) -> None:
        """All orders lapse; the script takes them in no order."""
        lapsed = sorted(at for at, write in self.writes.items() if write.state == "waiting")
        found = self.client.xrevrange(keys.JOURNAL, count=len(lapsed)) if lapsed else []
        for _, entry in reversed(found):
            at = (entry[b"user"].decode(), entry[b"key"].decode())
            lapsed.remove(at)
            self.writes[at].state = "failed"
            self.journal.append(("order_failed", *at, None))
        assert lapsed == []

    def _carry_out(self) -> None:
        waiting = [(at, write.content[3]) for at, write in self.writes.items() if write.state == "waiting"]
        met = [(when, " ".join(at), at) for at, when in waiting if self._is_met(when)]
        chosen: list[tuple[str, str]] = []
        for option in range(OPTIONS):
            for passes in ("at_least", "at_most"):
                marks = [
                    (w.share, name, at) for w, name, at in met if (w.option, w.passes) == (option, passes)
                ]
                chosen += [at for *_, at in sorted(marks, reverse=passes == "at_most")]
        self.moved = len(self.book) if chosen else self.moved
        for user, key in chosen:
            write = self.writes[user, key]
            _, option, stake, _ = write.content
            if self._refusal(user, option, stake):
                write.state = "failed"
                self.journal.append(("order_failed", user, key, None))
            else:
                self._predict(user, key, option, stake, write.content)

    def _predict(self, user: str, key: str, option: int, stake: int, content: tuple[Any, ...]) -> None:
        self.balances[user] -= stake
        self.places[user, key] = len(self.book)
        self.book.append((user, key, option, stake))
        self.writes[user, key] = Write(content, "placed")
        self.journal.append(("prediction", user, key, self.balances[user]))
        self.has_changed = True

    def _refusal(self, user: str, option: int, stake: int) -> ErrorCode | None:
        if not self.is_open:
            return ErrorCode.POOL_CLOSED
        if option >= OPTIONS:
            return ErrorCode.NO_SUCH_OPTION
        if user not in self.balances:
            return ErrorCode.NO_SUCH_ACCOUNT
        return ErrorCode.INSUFFICIENT_FUNDS if self.balances[user] < stake else None

    def _totals(self) -> list[int]:
        return [sum(row[3] for row in self.book if row and row[2] == option) for option in range(OPTIONS)]

    def _is_met(self, when: Condition) -> bool:
        totals = self._totals()
        if not any(totals):
            return False
        share, mark = Fraction(totals[when.option], sum(totals)), Fraction(when.share, 1000)
        return share >= mark if when.passes == "at_least" else share <= mark

    def _written(self, call: Call[Receipt], user: str, key: str) -> None:
        result = ask(self.client, call)
        assert isinstance(result, Receipt), result
        assert (result.duplicate, result.balance) == (False, self.balances[user])
        self.writes[user, key].receipt = (result.journal_id, result.balance)

    def _repeated(self, call: Call[Receipt], first: Write | None) -> None:
        if first is None:
            self._refused(call, ErrorCode.KEY_REUSED)
            return
        result = ask(self.client, call)
        assert isinstance(result, Receipt), result
        assert result.duplicate
        assert first.receipt is None or (result.journal_id, result.balance) == first.receipt

    def _refused(self, call: Call[Any], code: ErrorCode) -> None:
        result = ask(self.client, call)
        assert isinstance(result, Failure), result
        assert result.code is code


@pytest.fixture
def machine(settings: Settings, master: RedisServer) -> type[Market]:
    return type("SeededMarket", (Market,), {"settings": settings, "server": master})


def test_money_is_conserved_whatever_users_do(machine: type[Market]) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),  # to shrink takes minutes
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )
