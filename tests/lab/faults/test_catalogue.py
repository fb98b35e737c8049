"""The list of faults: what it has, where it strikes, and in which order a soak takes it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.regions import matrix
from infra.stackfile import load
from lab.errors import UnknownNameError
from lab.faults import catalogue, places, schedule
from lab.faults.actions import CutOff, Fault, Impair, Kill, SkewClock, Stop
from lab.faults.injection import between_regions, cut_off, lonely, parted
from lab.topology import Topology, topology

PROJECT = Path(__file__).parents[3]
ALL = (*catalogue.FAULTS, *catalogue.STANDBY_FAULTS)
BY_NAME = {fault.name: fault for fault in ALL}


def places_of(stack: str) -> Topology:
    return topology(load(stack, PROJECT), matrix("2017"))


def test_every_fault_has_a_name_of_its_own_and_only_a_kill_may_be_a_moment() -> None:
    assert len(BY_NAME) == len(ALL)
    assert all(fault.lasts_s > 0 or isinstance(fault.action, Kill) for fault in ALL)


def test_geo_ii_has_something_for_every_fault_to_strike() -> None:
    assert catalogue.suite("all", places_of("geo-ii")) == catalogue.FAULTS


def test_the_faults_of_standbys_are_put_on_an_architecture_with_two_and_on_no_other() -> None:
    geo_ii = load("geo-ii", PROJECT)
    assert geo_ii.redis.standbys == 0
    with pytest.raises(UnknownNameError, match="suite ha"):
        catalogue.suite("ha", topology(geo_ii, matrix("2017")))
    there = topology(catalogue.with_standbys(geo_ii), matrix("2017"))
    assert [machine.name for machine in there.sentinels] == ["redis", "redis-1", "redis-2"]
    assert catalogue.suite("ha", there) == catalogue.STANDBY_FAULTS
    one = replace(geo_ii, redis=replace(geo_ii.redis, standbys=1))
    assert catalogue.with_standbys(one) == one


@pytest.mark.parametrize(
    ("suite", "names", "needed"),
    [
        ("ha", [], True),
        ("all", [], False),
        ("short", ["redis-master-parted"], True),
        ("short", ["redis-master-killed", "redis-master-failed-over"], True),
        ("ha", ["redis-master-killed"], False),
    ],
)
def test_standbys_are_there_when_a_fault_needs_them(
    suite: catalogue.Suite, names: list[str], *, needed: bool
) -> None:
    assert catalogue.needs_standbys(suite, names) == needed


def test_the_short_suite_has_a_fault_of_every_kind() -> None:
    short = {type(fault.action) for fault in catalogue.suite("short", places_of("geo-ii"))}
    assert short == {type(fault.action) for fault in catalogue.FAULTS}


def test_what_an_architecture_has_not_is_left_out_of_a_suite_and_refused_by_name() -> None:
    baseline = places_of("baseline")
    names = {fault.name for fault in catalogue.suite("all", baseline)}
    assert names & {"redis-replica-killed", "sql-replica-killed", "region-cut-off"} == set()
    assert "redis-master-killed" in names
    with pytest.raises(UnknownNameError, match="geo-ii"):
        catalogue.named(["redis-replica-killed"], baseline)
    with pytest.raises(UnknownNameError, match="isochrone faults list"):
        catalogue.named(["no-such-fault"], baseline)


@pytest.mark.parametrize(
    ("stack", "name", "machine", "concerned"),
    [
        ("geo-ii", "api-killed", "node-ap-southeast-2", ["ap-southeast-2"]),
        ("geo-ii", "redis-replica-killed", "node-ap-southeast-2", ["ap-southeast-2"]),
        ("geo-ii", "sql-replica-killed", "sql-replica-ap-southeast-1", None),
        ("geo-ii", "redis-master-killed", "redis", None),
        ("geo-ii", "sql-master-killed", "sql", None),
        ("geo-ii", "ledger-killed", "core", None),
        ("geo-ii", "region-cut-off", "node-ap-southeast-2", ["ap-southeast-2"]),
        ("geo-ii", "home-cut-off", "node-eu-west-1", None),
        ("geo-i", "redis-master-killed", "redis", None),
        ("baseline", "api-killed", "node-eu-west-1", None),
        ("baseline", "redis-master-killed", "node-eu-west-1", None),
    ],
)
def test_where_it_strikes_and_who_has_to_be_served_again(
    stack: str, name: str, machine: str, concerned: list[str] | None
) -> None:
    there, fault = places_of(stack), BY_NAME[name]
    assert isinstance(fault.action, Kill | Stop | CutOff | SkewClock)
    assert places.machine(there, fault.action.place).name == machine
    assert list(places.concerned(fault, there)) == (concerned or list(there.resolves_to))


def test_cut_off_lets_nothing_in_or_out_and_all_through_within() -> None:
    there = places_of("geo-ii")
    inside, outside = cut_off(there, "ap-southeast-2")
    assert inside.sources == outside.destinations == ("node-ap-southeast-2", "users-ap-southeast-2")
    assert set(inside.sources) | set(inside.destinations) == set(there.machines)
    assert (inside.loss, outside.loss) == (1.0, 1.0)


def test_a_master_that_is_parted_reaches_all_but_its_standbys_and_a_failed_one_nobody() -> None:
    there = topology(catalogue.with_standbys(load("geo-ii", PROJECT)), matrix("2017"))
    for rules, others in (
        (parted(there, "redis-1"), {"redis", "redis-2"}),
        (lonely(there, "redis-1"), there.machines.keys() - {"redis-1"}),
    ):
        out, back = rules
        assert out.sources == back.destinations == ("redis-1",)
        assert set(out.destinations) == set(back.sources) == others
        assert (out.loss, back.loss) == (1.0, 1.0)


def test_impaired_are_the_ways_between_regions_and_no_others() -> None:
    there = places_of("geo-ii")
    pairs = {
        (source, destination)
        for rule in between_regions(there, 0.1, 20.0, 5.0)
        for source in rule.sources
        for destination in rule.destinations
    }
    machines = there.machines.values()
    assert pairs == {(a.name, b.name) for a in machines for b in machines if a.region != b.region}


class TestSoak:
    FAULTS = tuple(Fault(f"f{n}", "", Impair(loss=0.1), lasts_s=10) for n in range(4))

    @given(st.integers(), st.integers(1, 4))
    def test_takes_all_in_turn_and_none_twice_in_a_row(self, seed: int, count: int) -> None:
        faults = self.FAULTS[:count]
        names = [fault.name for fault in islice(schedule.soak(faults, seed), 5 * count)]
        for first in range(0, len(names), count):
            assert sorted(names[first : first + count]) == sorted(fault.name for fault in faults)
        if count > 1:
            assert all(a != b for a, b in pairwise(names))

    @given(st.integers())
    def test_is_the_same_from_the_same_seed(self, seed: int) -> None:
        runs = [list(islice(schedule.soak(self.FAULTS, seed), 20)) for _ in range(2)]
        assert runs[0] == runs[1]

    @given(st.integers())
    def test_lets_a_fault_last_shorter_or_longer_and_a_moment_be_one(self, seed: int) -> None:
        kill = Fault("kill", "", Kill("redis", "redis master"))
        for fault in islice(schedule.soak((*self.FAULTS, kill), seed), 20):
            least, most = (0, 0) if fault.name == "kill" else (2.5, 20)
            assert least <= fault.lasts_s <= most

    def test_needs_a_fault(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            next(schedule.soak((), 1))


def test_the_table_of_the_documentation_has_every_fault_and_nothing_lost() -> None:
    text = (PROJECT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line
    ]
    found = {cells[0]: cells for cells in rows if re.fullmatch(r"[a-z]+(-[a-z]+)+", cells[0])}
    assert list(found) == [fault.name for fault in ALL]
    for fault in ALL:
        assert found[fault.name][1].startswith(fault.what)
        assert found[fault.name][3:5] == ["0", "0"]
