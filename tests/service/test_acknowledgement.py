"""Who has to have a write before it is acknowledged, whom a replica follows, and whom the Sentinels name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.acknowledgement import EXCUSE_S, Replicas, Standbys, read_role
from market.follow import Role, choose
from market.redis_server import Server, server
from market.sentinels import elect
from market.store import UnavailableError

MASTER, LEFT, RIGHT, ELSEWHERE = (f"10.4.{number}.10:6379" for number in range(4))
HOME = (MASTER, LEFT, RIGHT)

offsets = st.integers(0, 100)


def seen(
    standbys: Standbys, acknowledged: dict[str, int], asked_for: int = 50, now_s: float = 0.0
) -> Standbys:
    standbys.see(Replicas(100, {server(a): o for a, o in acknowledged.items()}), asked_for, now_s)
    return standbys


@given(st.dictionaries(st.sampled_from((LEFT, RIGHT, ELSEWHERE, MASTER)), offsets), offsets)
def test_a_write_is_acknowledged_when_all_standbys_have_it_and_never_by_anyone_else(
    acknowledged: dict[str, int], asked_for: int
) -> None:
    standbys = seen(Standbys(HOME, server(MASTER)), acknowledged, asked_for)
    assert standbys.acknowledged == min(acknowledged.get(LEFT, -1), acknowledged.get(RIGHT, -1))


@given(st.sets(st.sampled_from((LEFT, RIGHT, ELSEWHERE))), offsets)
def test_one_that_is_down_is_not_waited_for_but_one_has_to_be_left(down: set[str], offset: int) -> None:
    standbys = Standbys(HOME, server(MASTER))
    standbys.excuse({server(address) for address in down}, 0.0)
    there = {address: offset for address in HOME if address not in down}
    seen(standbys, there, asked_for=offset)
    left = {LEFT, RIGHT} - down
    assert standbys.acknowledged == (offset if left else -1)
    assert standbys.deserted == (not left)
    assert not left or standbys.expected == len(left)


def test_an_excuse_ends_by_itself_and_with_the_return_of_the_excused() -> None:
    standbys = Standbys(HOME, server(MASTER))
    standbys.excuse([server(RIGHT)], 0.0)
    assert seen(standbys, {LEFT: 60}).acknowledged == 60
    assert seen(standbys, {LEFT: 60}, now_s=EXCUSE_S).acknowledged == -1
    standbys.excuse([server(RIGHT)], 10.0)
    assert seen(standbys, {LEFT: 60, RIGHT: 50}, now_s=10.0).acknowledged == 50
    assert standbys.excused == frozenset()


def test_a_wait_that_a_replica_elsewhere_satisfied_is_for_one_more_the_next_time() -> None:
    standbys = Standbys(HOME, server(MASTER))
    assert seen(standbys, {LEFT: 60, RIGHT: 40, ELSEWHERE: 60}).expected == 3
    assert seen(standbys, {LEFT: 60, RIGHT: 60, ELSEWHERE: 60}).expected == 2


def test_what_a_master_says_of_its_replicas_and_what_is_no_master() -> None:
    reply = [b"master", 70, [[b"10.4.1.10", b"6379", b"60"]]]
    assert read_role(reply) == Replicas(70, {server(LEFT): 60})
    with pytest.raises(UnavailableError, match="no master"):
        read_role([b"slave", b"10.4.0.10", 6379, b"connected", 70])


@dataclass(frozen=True)
class Look:
    roles: dict[Server, Role]
    current: Server | None
    deserted: bool


servers = st.sampled_from([server(address) for address in HOME])
roles = st.builds(Role, follows=st.none() | servers, connected=st.booleans())
looks = st.builds(
    Look, roles=st.dictionaries(servers, roles), current=st.none() | servers, deserted=st.booleans()
)


@given(looks, st.text(max_size=5))
def test_a_replica_follows_a_standby_in_sync_and_the_master_only_when_all_have_deserted_it(
    look: Look, node: str
) -> None:
    master = server(MASTER)
    chosen = choose(master, look.roles, look.current, node, look.deserted)
    in_sync = {
        where
        for where, role in look.roles.items()
        if where != master and role == Role(master, connected=True)
    }
    if in_sync:
        assert chosen in in_sync
        assert look.current not in in_sync or chosen == look.current
    else:
        assert chosen == (master if look.deserted else None)


@given(st.lists(st.none() | servers))
def test_the_master_is_the_server_that_most_sentinels_name(answers: list[Server | None]) -> None:
    named = [answer for answer in answers if answer is not None]
    elected = elect(answers)
    assert (elected is None) == (not named)
    if elected is not None:
        assert all(named.count(elected) >= named.count(other) for other in named)
