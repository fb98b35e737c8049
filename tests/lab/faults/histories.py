"""Makes histories of clients and the books that go with them, for the tests to doctor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st

from lab.faults.history import History
from lab.faults.records import Acknowledged, Joined, Pushed, Sent
from lab.faults.verifier import Books, Pool, Row

EPOCH = 7
OPTIONS = 3
USERS = ("user-0", "user-1", "user-2")
REGIONS = dict(zip(USERS, ("eu-west-1", "sa-east-1", "sa-east-1"), strict=True))


def row(user: str, number: int, option: int, stake: int) -> Row:
    return Row(user, f"k-{number}", "winner", option, stake, EPOCH, f"{1000 + number}-0")


@dataclass
class Market:
    """A market in which all is well: what clients saw, and books that agree with it."""

    rows: list[Row]
    history: History = field(init=False)
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(REGIONS)
        for one in self.rows:
            self.history.add(Sent(1.0, one.user, one.key, one.pool, one.option, one.stake))
            self.history.add(Acknowledged(2.0, one.user, one.key, 1.0, one.epoch, one.journal_id, False))
        self.books = books(self.rows)

    def watched(self, *offsets: int, user: str = USERS[0]) -> Market:
        """The same, in which a user received these pushes from the game's beginning on."""
        self.history.add(Joined(0.0, user, 1, "new", 0, 0))
        for offset in offsets:
            self.push(offset, user=user)
        return self

    def push(self, offset: int, *, user: str = USERS[0], epoch: int = EPOCH, content: str = "") -> None:
        said = content or f"push {epoch} {offset}"
        self.history.add(Pushed(3.0, user, 1, epoch, offset, said))


def books(rows: list[Row]) -> Books:
    """The books of a market that took these predictions, once each."""
    debited: Counter[str] = Counter(dict.fromkeys(USERS, 0))
    totals = [0] * OPTIONS
    for one in rows:
        debited[one.user] += one.stake
        totals[one.option] += one.stake
    return Books(
        rows=list(rows),
        journal=list(rows),
        receipts={one.name: one.place for one in rows},
        debited=dict(debited),
        pools={"winner": Pool(totals, len(rows))},
    )


def predictions(min_size: int = 0) -> st.SearchStrategy[list[Row]]:
    """Predictions of the users, each with a key and a place of its own."""
    one = st.tuples(st.sampled_from(USERS), st.integers(0, OPTIONS - 1), st.integers(1, 10**6))
    return st.lists(one, min_size=min_size, max_size=20).map(
        lambda drawn: [row(user, n, option, stake) for n, (user, option, stake) in enumerate(drawn)]
    )
