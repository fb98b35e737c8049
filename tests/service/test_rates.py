"""Rates by key, addresses as they are counted, and whose connections are whose."""

from __future__ import annotations

import socket
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.addresses import client_address, normalized
from market.rates import Rate
from market.user_connections import UserConnections

STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400)), min_size=1, max_size=60)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Bucket:
    """A token bucket as textbooks have it, in exact numbers."""

    def __init__(self, per_s: int, burst_s: int) -> None:
        self.per_s, self.size = per_s, max(Fraction(per_s * burst_s), Fraction(1))
        self.tokens, self.at = self.size, Fraction(0)

    def take(self, now: Fraction) -> bool:
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 3), STEPS)
def test_a_rate_is_a_token_bucket_for_each_key(
    per_s: int, burst_s: int, steps: list[tuple[str, int]]
) -> None:
    """Times are multiples of 1/64 s, which floats hold exactly."""
    clock, buckets = Clock(), {key: Bucket(per_s, burst_s) for key in "ab"}
    rate, now = Rate(per_s, burst_s, clock), Fraction(0)
    for key, later in steps:
        now += Fraction(later, 64)
        clock.now_s = 1000.0 + float(now)
        assert (rate.take(key) == 0.0) == buckets[key].take(now)


@given(st.sampled_from([1, 3, 10, 7.5]), st.floats(0.01, 5), st.integers(0, 100))
def test_who_waits_as_long_as_told_is_let_through(per_s: float, burst_s: float, often: int) -> None:
    clock = Clock()
    rate = Rate(per_s, burst_s, clock)
    for _ in range(often):
        rate.take("a")
    while wait_s := rate.take("a"):
        assert 0 < wait_s <= 1 / per_s + 1e-6
        clock.now_s += wait_s


def test_a_rate_of_0_is_no_limit_and_remembers_nothing() -> None:
    rate = Rate(0, 10, Clock())
    assert not any(rate.take("a") for _ in range(10_000))
    assert len(rate) == 0


def test_a_key_is_forgotten_when_its_bucket_is_full_again() -> None:
    clock = Clock()
    rate = Rate(1, 10, clock)
    for number in range(1000):
        rate.take(number)
        clock.now_s += 0.1
    assert len(rate) <= 220
    clock.now_s += 10
    rate.take("a")
    clock.now_s += 10
    rate.take("a")
    assert len(rate) == 1


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("unix:", None),
        ("", None),
        ("192.0.2.7, 192.0.2.8", None),
    ],
)
def test_an_address_is_counted_as_what_one_subscriber_has(text: str, counted: str | None) -> None:
    assert normalized(text) == counted


class Transport:
    """What a transport says of its socket."""

    def __init__(self, one: socket.socket, peer: object) -> None:
        self.extra = {"socket": one, "peername": peer}

    def get_extra_info(self, name: str) -> object:
        return self.extra[name]


@pytest.mark.parametrize(
    ("family", "peer", "said", "address"),
    [
        (socket.AF_UNIX, "", ["192.0.2.7"], "192.0.2.7"),
        (socket.AF_UNIX, "", [], None),
        (socket.AF_INET, ("198.51.100.1", 4711), ["192.0.2.7"], "198.51.100.1"),
        (socket.AF_INET6, ("2001:db8::1", 4711, 0, 0), [], "2001:db8::/64"),
    ],
    ids=["nginx", "unix", "tcp", "tcp6"],
)
def test_the_header_is_believed_on_a_unix_socket_only(
    family: socket.AddressFamily, peer: object, said: list[str], address: str | None
) -> None:
    with socket.socket(family) as one:
        transport = Transport(one, peer)
        assert client_address(transport, said) == address  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.booleans()), max_size=40))
def test_a_user_keeps_the_newest_connections_and_is_told_the_oldest(
    steps: list[tuple[str, int, bool]],
) -> None:
    connections: UserConnections[tuple[str, int]] = UserConnections()
    expected: dict[str, list[tuple[str, int]]] = {"a": [], "b": []}
    for user, number, arrives in steps:
        connection, mine = next((c for c in expected[user] if c[1] == number), (user, number)), expected[user]
        if arrives:
            oldest = connections.add(user, connection, 3)
            if connection not in mine:
                assert oldest == (mine.pop(0) if len(mine) == 3 else None)
                mine.append(connection)
        else:
            connections.remove(user, connection)
            expected[user] = [other for other in mine if other != connection]
        assert {u: list(connections.of(u)) for u in "ab"} == expected
        assert len(connections) == sum(map(bool, expected.values()))
