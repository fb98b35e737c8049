"""The proof after a fault: what agrees passes, and every way of doctoring it is found."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lab.faults.records import Acknowledged, Joined, Pushed, Refused, Sent, StateLost
from lab.faults.verifier import SHOWN, Books, Pool, Verdict, follow, verify
from tests.lab.faults.histories import EPOCH, USERS, Market, predictions, row


def three() -> Market:
    return Market([row(USERS[0], 0, 0, 30), row(USERS[1], 1, 1, 20), row(USERS[0], 2, 2, 50)])


@given(predictions())
def test_books_that_agree_with_all_that_was_told_hold(rows: list) -> None:  # type: ignore[type-arg]
    market = Market(rows).watched(1, 2, 3)
    verdict = verify(market.history, market.books)
    assert verdict == Verdict(len(rows), 0, 0, 0, 0, 0, 0, True)
    assert verdict.holds


def test_a_journal_that_was_trimmed_is_no_loss() -> None:
    market = three()
    assert verify(market.history, replace(market.books, journal=market.books.journal[2:])).holds
    assert verify(market.history, replace(market.books, journal=[])).holds


def test_a_prediction_without_an_answer_may_be_on_record_or_not() -> None:
    market = three()
    asked = row(USERS[2], 3, 0, 10)
    market.history.add(Sent(1.0, asked.user, asked.key, asked.pool, asked.option, asked.stake))
    assert verify(market.history, market.books).holds
    taken = Market([*market.rows, asked]).books
    assert verify(market.history, taken).holds


def lose_row(books: Books) -> Books:
    return replace(books, rows=books.rows[1:])


def lose_receipt(books: Books) -> Books:
    return replace(books, receipts={k: v for k, v in books.receipts.items() if k != (USERS[0], "k-0")})


def lose_entry(books: Books) -> Books:
    return replace(books, journal=[books.journal[0], books.journal[2]])


def move_row(books: Books) -> Books:
    return replace(books, rows=[replace(books.rows[0], journal_id="999-0"), *books.rows[1:]])


def move_receipt(books: Books) -> Books:
    return replace(books, receipts={**books.receipts, (USERS[0], "k-0"): (EPOCH, "999-0")})


def change_row(books: Books) -> Books:
    return replace(books, rows=[replace(books.rows[0], option=1), *books.rows[1:]])


def repeat_row(books: Books) -> Books:
    return replace(books, rows=[*books.rows, books.rows[0]])


def repeat_entry(books: Books) -> Books:
    return replace(books, journal=[*books.journal, replace(books.journal[0], journal_id="2000-0")])


def invent_row(books: Books) -> Books:
    return replace(books, rows=[*books.rows, row(USERS[2], 9, 0, 5)])


@pytest.mark.parametrize(
    ("doctor", "finding"),
    [
        (lose_row, "lost"),
        (lose_receipt, "lost"),
        (lose_entry, "lost"),
        (move_row, "lost"),
        (move_receipt, "lost"),
        (change_row, "lost"),
        (repeat_row, "doubled"),
        (repeat_entry, "doubled"),
        (move_row, "doubled"),
        (move_receipt, "doubled"),
        (invent_row, "unexplained"),
        (change_row, "unexplained"),
    ],
)
def test_doctored_books_are_found_out(doctor: Callable[[Books], Books], finding: str) -> None:
    market = three()
    verdict = verify(market.history, doctor(market.books))
    assert getattr(verdict, finding) == 1
    assert not verdict.holds
    assert any(finding in problem for problem in verdict.problems)


@pytest.mark.parametrize(
    "doctor",
    [
        lambda books: replace(books, debited={**books.debited, USERS[0]: 81}),
        lambda books: replace(books, debited={USERS[0]: 80}),
        lambda books: replace(books, debited={USERS[0]: 20, USERS[1]: 80}),
        lambda books: replace(books, pools={"winner": Pool([30, 20, 49], 3)}),
        lambda books: replace(books, pools={"winner": Pool([20, 30, 50], 3)}),
        lambda books: replace(books, pools={"winner": Pool([30, 20, 50], 4)}),
        lambda books: replace(books, pools={}),
    ],
)
def test_money_that_does_not_add_up_is_found_out(doctor: Callable[[Books], Books]) -> None:
    market = three()
    verdict = verify(market.history, doctor(market.books))
    assert not verdict.conserved
    assert not verdict.holds


def test_one_key_with_two_receipts_was_taken_twice() -> None:
    market = three()
    market.history.add(Acknowledged(5.0, USERS[1], "k-1", 4.0, EPOCH, "3000-0", duplicate=False))
    verdict = verify(market.history, market.books)
    assert (verdict.acknowledged, verdict.doubled) == (3, 1)


def test_a_refused_prediction_must_not_be_on_record() -> None:
    market = three()
    market.history.add(Refused(5.0, USERS[1], "k-1", 4092))
    assert verify(market.history, market.books).unexplained == 1


@given(predictions(min_size=1), st.randoms(use_true_random=False))
def test_whichever_row_is_taken_away_is_missed(rows: list, random: Random) -> None:  # type: ignore[type-arg]
    market = Market(rows)
    kept = [*rows]
    kept.remove(gone := random.choice(rows))
    verdict = verify(market.history, replace(market.books, rows=kept))
    assert verdict.lost == 1
    assert not verdict.conserved
    assert gone.key in verdict.problems[0]


@given(predictions(min_size=1), st.randoms(use_true_random=False), st.integers(1, 1000))
def test_money_that_is_moved_from_one_to_another_is_missed(
    rows: list,  # type: ignore[type-arg]
    random: Random,
    amount: int,
) -> None:
    market = Market(rows)
    giver, taker = random.sample(USERS, 2)
    debited = {**market.books.debited}
    debited[giver] += amount
    debited[taker] -= amount
    assert not verify(market.history, replace(market.books, debited=debited)).conserved


class TestOrder:
    @given(st.integers(1, 100), st.integers(0, 50))
    def test_what_begins_where_the_client_was_told_and_has_no_gap_is_in_order(
        self, first: int, count: int
    ) -> None:
        joined = Joined(0.0, "user-0", 1, "new", EPOCH, first - 1)
        pushes = [Pushed(1.0, "user-0", 1, EPOCH, first + n, "x") for n in range(count)]
        order = follow([joined, *pushes])
        assert (order.disordered, order.skipped, order.missing, order.resets) == ([], [], 0, 0)

    @given(st.integers(2, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
    def test_whichever_push_is_missing_is_noticed(self, drawn: tuple[int, int]) -> None:
        count, gone = drawn
        market = Market([]).watched(*(n for n in range(1, count + 1) if n != gone))
        verdict = verify(market.history, market.books)
        assert (verdict.skipped, verdict.disordered, verdict.holds) == (1, 0, False)

    @given(st.permutations(range(1, 8)))
    def test_only_one_order_is_right(self, offsets: list[int]) -> None:
        market = Market([]).watched(*offsets)
        assert verify(market.history, market.books).holds == (offsets == sorted(offsets))

    def test_the_same_push_twice_is_disorder(self) -> None:
        market = Market([]).watched(1, 2, 2, 3)
        assert verify(market.history, market.books).disordered == 1

    def test_two_clients_that_are_told_different_things_at_one_place(self) -> None:
        market = Market([]).watched(1).watched(1, user=USERS[1])
        market.push(2)
        market.push(2, user=USERS[1], content="something else")
        assert verify(market.history, market.books).disordered == 1

    def test_the_first_push_of_a_game_may_be_of_any_epoch(self) -> None:
        joined = Joined(0.0, "user-0", 1, "new", 0, 0)
        assert follow([joined, Pushed(1.0, "user-0", 1, 9, 1, "x")]).skipped == []

    def test_an_epoch_that_begins_without_a_word_is_noticed(self) -> None:
        market = Market([]).watched(1, 2)
        market.push(1, epoch=EPOCH + 1)
        assert verify(market.history, market.books).skipped == 1

    def test_who_comes_back_goes_on_after_the_last_push(self) -> None:
        market = Market([]).watched(1, 2)
        market.history.add(Joined(4.0, USERS[0], 2, "recovered", EPOCH, 4))
        market.push(3)
        market.push(4)
        assert verify(market.history, market.books) == Verdict(0, 0, 0, 0, 0, 0, 0, conserved=True)

    def test_who_comes_back_as_recovered_and_misses_a_push_is_noticed(self) -> None:
        market = Market([]).watched(1, 2)
        market.history.add(Joined(4.0, USERS[0], 2, "recovered", EPOCH, 4))
        market.push(4)
        assert verify(market.history, market.books).skipped == 1

    @pytest.mark.parametrize(
        "told",
        [
            Joined(4.0, USERS[0], 2, "lost", EPOCH + 1, 5),
            StateLost(4.0, USERS[0], 1, EPOCH + 1, 5),
        ],
    )
    def test_a_client_that_is_told_of_a_loss_goes_on_from_there(self, told: Joined | StateLost) -> None:
        market = Market([]).watched(1, 2)
        market.history.add(told)
        market.push(6, epoch=EPOCH + 1)
        verdict = verify(market.history, market.books)
        assert (verdict.resets, verdict.holds) == (1, True)


def test_a_long_list_of_problems_is_cut() -> None:
    market = Market([row(USERS[0], n, 0, 1) for n in range(100)])
    verdict = verify(market.history, replace(market.books, rows=[]))
    assert verdict.lost == 100
    assert len(verdict.problems) == SHOWN + 1
    assert verdict.problems[-1].startswith("and ")
