"""Views of one order agree; each way to differ is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.consistency import differences
from market.protocol import Seen, View


def view(process: str, offset: int, *, epoch: int = 7, kept: int = 5) -> View:
    first = max(1, offset - kept + 1)
    pushes = [Seen(number, f"digest-{number}") for number in range(first, offset + 1)]
    return View(1, "match-1", process, "eu-west-1", epoch, offset, pushes)


@given(st.integers(2, 300), st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(1, 256))
def test_processes_at_slightly_different_places_of_one_order_agree(
    offset: int, lags: list[int], kept: int
) -> None:
    assert differences([view(str(n), offset - lag, kept=kept) for n, lag in enumerate(lags)]) == []


def test_nothing_differs_when_nothing_was_sent() -> None:
    assert differences([]) == []
    assert differences([view("a", 0), view("b", 0)]) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (view("odd", 6), "is 4 pushes behind the first"),
        (view("odd", 10, epoch=6), "is in epoch 6 instead of 7"),
        (
            msgspec.structs.replace(view("odd", 10), pushes=[Seen(8, "digest-8"), Seen(10, "digest-10")]),
            "has a gap among its pushes up to 10",
        ),
        (
            msgspec.structs.replace(view("odd", 10), pushes=[Seen(9, "digest-9"), Seen(10, "another")]),
            "has other pushes at the offsets 10",
        ),
    ],
)
def test_a_process_that_differs_is_named_with_its_difference(wrong: View, message: str) -> None:
    found = differences([view("a", 10), wrong, view("b", 9)])
    assert [(difference.process, difference.message) for difference in found] == [("odd", message)]
