from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.outcome import Prediction
from bench.proof import Row, prove
from bench.result import Ledger


@dataclass(frozen=True)
class Books:
    acknowledged: list[Prediction]
    unanswered: list[Prediction]
    rows: list[Row]
    totals: dict[str, list[int]]
    debited: int

    def prove(self) -> Ledger:
        return prove(self.acknowledged, self.unanswered, self.rows, self.totals, self.debited)

    def with_rows(self, rows: Sequence[Row]) -> Books:
        """The same with other rows, and with pools and accounts that agree with them."""
        totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in rows:
            totals[row.pool][row.option] += row.stake
        return replace(self, rows=list(rows), totals=dict(totals), debited=sum(row.stake for row in rows))


def row(prediction: Prediction) -> Row:
    user, key, pool, option, stake = prediction
    return Row(user, key, pool, option, stake, 1, f"{user}-{key}")


@st.composite
def honest_books(make: st.DrawFn) -> Books:
    """Every acknowledged prediction has its row, and of the unanswered ones some."""
    names = make(
        st.lists(
            st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.sampled_from("123456")),
            unique=True,
            max_size=12,
        )
    )
    sent: list[Prediction] = [
        (
            user,
            key,
            make(st.sampled_from(["winner", "score"])),
            make(st.integers(0, 2)),
            make(st.integers(1, 999)),
        )
        for user, key in names
    ]
    told = make(st.integers(0, len(sent)))
    taken = make(st.integers(told, len(sent)))
    books = Books(sent[:told], sent[told:], [], {}, 0)
    return books.with_rows([row(prediction) for prediction in make(st.permutations(sent[:taken]))])


@given(honest_books())
def test_honest_books_balance(books: Books) -> None:
    ledger = books.prove()
    assert ledger.balanced
    assert (ledger.missing, ledger.duplicate, ledger.unexplained) == (0, 0, 0)
    assert ledger.acknowledged == len(books.acknowledged)
    assert ledger.rows == len(books.rows)
    assert ledger.unanswered == len(books.unanswered)
    assert ledger.unanswered_rows == len(books.rows) - len(books.acknowledged)
    assert ledger.stakes_sql == ledger.stakes_pools == books.debited


@given(honest_books(), st.data())
def test_a_lost_row_is_missing(books: Books, data: st.DataObject) -> None:
    assume(books.acknowledged)
    lost = data.draw(st.sampled_from(books.acknowledged))
    ledger = books.with_rows([kept for kept in books.rows if kept != row(lost)]).prove()
    assert ledger.missing == 1
    assert not ledger.balanced


@given(honest_books(), st.data())
def test_a_row_beyond_the_first_is_a_duplicate_even_under_another_journal_id(
    books: Books, data: st.DataObject
) -> None:
    assume(books.rows)
    again = msgspec.structs.replace(data.draw(st.sampled_from(books.rows)), journal_id="other", epoch=2)
    ledger = books.with_rows([*books.rows, again]).prove()
    assert ledger.duplicate == 1
    assert not ledger.balanced


@given(honest_books())
def test_a_row_that_nobody_sent_is_unexplained(books: Books) -> None:
    ledger = books.with_rows([*books.rows, Row("mallory", "1", "winner", 0, 5, 1, "9")]).prove()
    assert (ledger.unexplained, ledger.missing) == (1, 0)
    assert not ledger.balanced


@given(honest_books(), st.data(), st.sampled_from(["pool", "option", "stake"]))
def test_a_row_that_disagrees_with_what_was_sent_explains_nothing(
    books: Books, data: st.DataObject, field: str
) -> None:
    assume(books.acknowledged)
    wrong = row(data.draw(st.sampled_from(books.acknowledged)))
    value = {"pool": "third", "option": (wrong.option + 1) % 3, "stake": wrong.stake + 1}[field]
    rows = [kept for kept in books.rows if kept != wrong]
    ledger = books.with_rows([*rows, msgspec.structs.replace(wrong, **{field: value})]).prove()
    assert (ledger.missing, ledger.unexplained) == (1, 1)
    assert not ledger.balanced


@given(honest_books())
def test_money_that_left_the_accounts_and_arrived_nowhere_does_not_balance(books: Books) -> None:
    assert not replace(books, debited=books.debited + 1).prove().balanced


@given(honest_books())
def test_pools_that_hold_more_than_the_rows_do_not_balance(books: Books) -> None:
    books = replace(books, totals={**books.totals, "extra": [0, 1]}, debited=books.debited + 1)
    assert not books.prove().balanced


@given(honest_books(), st.data())
def test_stakes_on_the_wrong_option_do_not_balance_though_the_sums_agree(
    books: Books, data: st.DataObject
) -> None:
    assume(books.rows)
    pool = data.draw(st.sampled_from(sorted(books.totals)))
    turned = [*books.totals[pool][1:], books.totals[pool][0]]
    assume(turned != books.totals[pool])
    assert not replace(books, totals={**books.totals, pool: turned}).prove().balanced


def test_a_prediction_that_was_acknowledged_in_the_end_is_not_unanswered() -> None:
    prediction = ("ann", "1", "winner", 0, 5)
    ledger = prove([prediction, prediction], [prediction], [row(prediction)], {"winner": [5, 0, 0]}, 5)
    assert ledger.balanced
    assert (ledger.acknowledged, ledger.unanswered) == (1, 0)


def test_nothing_placed_balances() -> None:
    assert prove([], [], [], {"winner": [0, 0, 0]}, 0).balanced
