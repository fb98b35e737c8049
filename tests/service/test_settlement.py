"""The arithmetic of a settlement: every unit is paid, taken or stated as the remainder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.settlement import Stake, Terms, Totals, payments, terms

MAX_MONEY = 2**53 - 1

stakes = st.lists(st.none() | st.builds(Stake, st.integers(0, 3), st.integers(1, 10**12)), max_size=60)


def totals(book: list[Stake | None], winners: set[int], takeout: int) -> Totals:
    placed = [stake for stake in book if stake is not None]
    return Totals(
        sum(stake.amount for stake in placed),
        sum(stake.amount for stake in placed if stake.option in winners),
        takeout,
    )


@given(stakes, st.sets(st.integers(0, 3)), st.integers(0, 1000))
def test_stakes_are_winnings_takeout_and_a_remainder_below_a_unit_per_winner(
    book: list[Stake | None], winners: set[int], takeout: int
) -> None:
    pool = totals(book, winners, takeout)
    agreed = terms(pool)
    paid = payments(agreed, winners, book)
    remainder = pool.total - agreed.taken - sum(amount or 0 for amount in paid)
    winning = [stake for stake in book if stake is not None and stake.option in winners]
    assert 0 <= remainder <= max(0, len(winning) - 1)
    assert agreed.net + agreed.taken == pool.total
    if not winning:
        assert (agreed.pays, agreed.taken, remainder) == ("refund", 0, 0)


@given(stakes, st.sets(st.integers(0, 3), min_size=1), st.integers(0, 500))
def test_nobody_who_lost_is_paid_and_equal_stakes_are_paid_equally(
    book: list[Stake | None], winners: set[int], takeout: int
) -> None:
    agreed = terms(totals(book, winners, takeout))
    shares: dict[int, set[int | None]] = {}
    for stake, amount in zip(book, payments(agreed, winners, book), strict=True):
        if stake is None:
            assert amount is None
        elif agreed.pays == "refund":
            assert amount == stake.amount
        elif stake.option not in winners:
            assert amount == 0
        else:
            shares.setdefault(stake.amount, set()).add(amount)
    assert all(len(amounts) == 1 for amounts in shares.values())


@given(stakes, st.sets(st.integers(0, 3), min_size=1))
def test_without_a_takeout_no_winner_is_paid_less_than_the_stake(
    book: list[Stake | None], winners: set[int]
) -> None:
    agreed = terms(totals(book, winners, 0))
    for stake, amount in zip(book, payments(agreed, winners, book), strict=True):
        if stake is not None and stake.option in winners:
            assert amount is not None
            assert amount >= stake.amount


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (Totals(1000, 300, 50), Terms("winnings", 300, 950, 50)),
        (Totals(999, 1, 1), Terms("winnings", 1, 999, 0)),
        (Totals(1000, 0, 50), Terms("refund", 0, 1000, 0)),
        (Totals(0, 0, 50), Terms("refund", 0, 0, 0)),
        (
            Totals(MAX_MONEY, 7, 333),
            Terms("winnings", 7, 6007801902912241, 2999397351828750),
        ),
    ],
)
def test_terms(pool: Totals, expected: Terms) -> None:
    assert terms(pool) == expected


def test_a_share_is_exact_where_a_float_is_not() -> None:
    agreed = Terms("winnings", 5, MAX_MONEY, 0)
    (amount,) = payments(agreed, {0}, [Stake(0, 4)])
    assert amount == 4 * MAX_MONEY // 5
    assert amount != int(4 / 5 * MAX_MONEY)
