"""The proof after a fault: what the clients were told against what the market's books say. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from lab.faults.history import History, Name
from lab.faults.records import Joined, Pushed, StateLost

Place = tuple[int, str]
"""Of a prediction in the journal: the epoch and the entry's id."""

SHOWN: Final = 20
"""Problems that are spelled out."""


class Row(Struct, frozen=True, array_like=True):
    """A prediction, as a row of the SQL master or an entry of the journal."""

    user: str
    key: str
    pool: str
    option: int
    stake: int
    epoch: int
    journal_id: str

    @property
    def name(self) -> Name:
        """Whose prediction it is, and its key."""
        return self.user, self.key

    @property
    def place(self) -> Place:
        """Where it is in the journal."""
        return self.epoch, self.journal_id


class Pool(Struct, frozen=True):
    """The stakes on each option of a pool, and the number of its predictions."""

    totals: list[int]
    predictions: int


class Books(Struct, frozen=True):
    """What the market has on record after a drain; amounts in minor units.

    Args:
        rows: those of the SQL master.
        journal: what is left of the journal, oldest first; the ledger trims what has become a row.
        receipts: by name, the place that the Redis master would answer a repeated key with.
        debited: by user, what was taken from the account.
        pools: by name, the sums in the Redis master.
    """

    rows: Sequence[Row]
    journal: Sequence[Row]
    receipts: Mapping[Name, Place]
    debited: Mapping[str, int]
    pools: Mapping[str, Pool]


class Verdict(Struct, frozen=True):
    """What the proof found; it holds when all but `acknowledged` and `resets` is zero and money is conserved.

    `acknowledged` predictions were answered with a receipt; `lost` of them are not in SQL, in the receipts or
    in the part of the journal that is there still; `doubled` were taken more than once; `unexplained` rows
    were never sent so, or were refused. `disordered` pushes came after a later one of their game, or say
    another thing than the same push said to another client; `skipped` ones never came although later ones
    did and the client was not told. `resets` counts how often a client was told that pushes are gone.
    """

    acknowledged: int
    lost: int
    doubled: int
    unexplained: int
    disordered: int
    skipped: int
    resets: int
    conserved: bool
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled, invented, reordered or skipped, and money is conserved."""
        wrong = self.lost, self.doubled, self.unexplained, self.disordered, self.skipped
        return self.conserved and not any(wrong)


def verify(history: History, books: Books) -> Verdict:
    """Compares the clients' records with the books; both are from the beginning of the lab."""
    lost = list(_lost(history, books))
    doubled = list(_doubled(history, books))
    unexplained = list(_unexplained(history, books))
    orders = [follow(received) for received in history.received.values()]
    disordered = [problem for order in orders for problem in order.disordered]
    disordered += _contradictions(history)
    skipped = [problem for order in orders for problem in order.skipped]
    unbalanced = list(_unbalanced(books))
    problems = [*lost, *doubled, *unexplained, *disordered, *skipped, *unbalanced]
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], f"and {len(problems) - SHOWN} more"]
    return Verdict(
        acknowledged=len({(receipt.user, receipt.key) for receipt in history.acknowledged}),
        lost=len(lost),
        doubled=len(doubled),
        unexplained=len(unexplained),
        disordered=len(disordered),
        skipped=sum(order.missing for order in orders),
        resets=sum(order.resets for order in orders),
        conserved=not unbalanced,
        problems=problems,
    )


@dataclasses.dataclass
class Order:
    """What is wrong with the order in which one client received a game's pushes.

    `missing` pushes were skipped; `resets` counts the times that the client was told so.
    """

    disordered: list[str] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    missing: int = 0
    resets: int = 0


def follow(received: Sequence[Joined | StateLost | Pushed]) -> Order:
    """Follows what one client received: each push has to be the next one after where the client stands.

    It stands where the first answer to its joining says; then at its last push, over all its connections,
    unless the server says that pushes are gone.
    """
    order = Order()
    here: tuple[int, int] | None = None
    for record in received:
        there = record.epoch, record.offset
        match record:
            case Joined(state="recovered") if here is not None:
                pass
            case Joined() | StateLost():
                order.resets += here is not None
                here = there
            case Pushed():
                if here is not None and there <= here:
                    order.disordered.append(f"order: {record.user} received {there} after {here}")
                    continue
                if not (here and _next_to(here, there)):
                    order.skipped.append(f"order: {record.user} received {there} after {here}")
                    before = here[1] if here and here[0] == there[0] else 0
                    order.missing += max(1, there[1] - before - 1)
                here = there
    return order


def _next_to(here: tuple[int, int], there: tuple[int, int]) -> bool:
    """Whether a push is the next one; a game of which nothing was sent yet stands at (0, 0)."""
    return there[1] == here[1] + 1 and (there[0] == here[0] or here == (0, 0))


def _lost(history: History, books: Books) -> Iterator[str]:
    """Acknowledged predictions that are not on record where their receipt says, or not as they were sent."""
    rows = {row.name: row for row in books.rows}
    journal = {row.place: row for row in books.journal}
    oldest = _order(books.journal[0].place) if books.journal else None
    told = {(receipt.user, receipt.key): receipt for receipt in history.acknowledged}
    for name, receipt in told.items():
        sent, place = history.sent[name], (receipt.epoch, receipt.journal_id)
        what = f"{name[1]} of {name[0]}, acknowledged at {place[0]}/{place[1]}"
        expected = Row(sent.user, sent.key, sent.pool, sent.option, sent.stake, *place)
        if rows.get(name) != expected:
            yield f"lost: {what}, is in SQL {_shown(rows.get(name))}"
        elif books.receipts.get(name) != place:
            yield f"lost: {what}, has the receipt {books.receipts.get(name)}"
        elif oldest and _order(place) >= oldest and journal.get(place) != expected:
            yield f"lost: {what}, is in the journal {_shown(journal.get(place))}"


def _doubled(history: History, books: Books) -> Iterator[str]:
    """Predictions that are on record, or were acknowledged, at more than one place."""
    places: defaultdict[Name, set[Place]] = defaultdict(set)
    for receipt in history.acknowledged:
        places[receipt.user, receipt.key].add((receipt.epoch, receipt.journal_id))
    for row in (*books.rows, *books.journal):
        places[row.name].add(row.place)
    for name, place in books.receipts.items():
        places[name].add(place)
    twice = Counter(row.name for row in books.rows)
    for name, found in places.items():
        if len(found) > 1 or twice[name] > 1:
            where = ", ".join(f"{epoch}/{entry}" for epoch, entry in sorted(found))
            yield f"doubled: {name[1]} of {name[0]} is at {where}"


def _unexplained(history: History, books: Books) -> Iterator[str]:
    for row in books.rows:
        sent = history.sent.get(row.name)
        if sent is None or (sent.pool, sent.option, sent.stake) != (row.pool, row.option, row.stake):
            yield f"unexplained: nobody sent {_shown(row)}"
        elif row.name in history.refused:
            yield f"unexplained: {_shown(row)} was refused with {history.refused[row.name]}"


def _unbalanced(books: Books) -> Iterator[str]:
    """Users, and options of pools, whose money is not that of the rows."""
    staked: Counter[str] = Counter()
    options: Counter[tuple[str, int]] = Counter()
    counts: Counter[str] = Counter()
    for row in books.rows:
        staked[row.user] += row.stake
        options[row.pool, row.option] += row.stake
        counts[row.pool] += 1
    for user in sorted(staked.keys() | books.debited.keys()):
        if staked[user] != books.debited.get(user, 0):
            yield f"money: {user} staked {staked[user]} and paid {books.debited.get(user, 0)}"
    for name, pool in books.pools.items():
        if counts[name] != pool.predictions:
            yield f"money: the pool {name} counts {pool.predictions} predictions and has {counts[name]} rows"
        for option, total in enumerate(pool.totals):
            if options[name, option] != total:
                yield f"money: option {option} of {name} has {total}, and its rows {options[name, option]}"
    for name, _ in options.keys() - {(n, o) for n, p in books.pools.items() for o in range(len(p.totals))}:
        yield f"money: there is no such option of {name}"


def _contradictions(history: History) -> Iterator[str]:
    """Pushes that do not say the same to all clients."""
    said: dict[tuple[int, int], str] = {}
    for user, received in history.received.items():
        for record in received:
            place = record.epoch, record.offset
            if isinstance(record, Pushed) and said.setdefault(place, record.content) != record.content:
                yield f"order: {place} says one thing to {user} and another to others"


def _order(place: Place) -> tuple[int, int, int]:
    time_ms, _, sequence = place[1].partition("-")
    return place[0], int(time_ms), int(sequence)


def _shown(row: Row | None) -> str:
    if row is None:
        return "not at all"
    return (
        f"{row.key} of {row.user}: {row.stake} on {row.option} of {row.pool} at {row.epoch}/{row.journal_id}"
    )
