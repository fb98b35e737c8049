"""Every user is on one machine, and the regions take turns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scenario import Scenario
from fleet import job
from fleet.errors import FleetError
from fleet.job import Job, Keys
from fleet.machines import Machine, load_machines
from fleet.workload import Workload, in_turns
from infra import load_names
from tests.fleet.conftest import AWAY, HOME, Cloud, stack


def machines(**counts: int) -> list[Machine]:
    return [
        Machine(region.replace("_", "-"), "load", f"i-{number}")
        for region, count in counts.items()
        for number in range(count)
    ]


def workload(users: int, workers: int = 1) -> Workload:
    return Workload("run", "wss://play.example/ws", "ca.pem", Scenario(users, 10, 10), workers)


@given(users=st.integers(1, 500), here=st.integers(1, 4), there=st.integers(1, 4), workers=st.integers(1, 4))
def test_every_user_has_one_worker_and_workers_have_equally_many(
    users: int, here: int, there: int, workers: int
) -> None:
    jobs = workload(users, workers).jobs(machines(eu_west_1=here, us_east_1=there))
    plans = [plan for each in jobs for plan in each.plans]
    assert sorted(number for plan in plans for number in plan.members) == list(range(users))
    sizes = [plan.users for plan in plans]
    assert max(sizes) - min(sizes) <= 1
    assert len({plan.name for plan in plans}) == len({plan.outcome_file for plan in plans}) == len(plans)
    assert len(jobs) == min(users, here + there)


def test_regions_take_turns_in_the_ramp() -> None:
    jobs = workload(6).jobs(machines(eu_west_1=2, us_east_1=1))
    of_user = {number: plan.region for each in jobs for plan in each.plans for number in plan.members}
    assert [of_user[number] for number in range(3)] == ["eu-west-1", "us-east-1", "eu-west-1"]


def test_a_region_with_more_machines_comes_again_when_the_others_have_no_more() -> None:
    found = Counter(machine.region for machine in in_turns(machines(eu_west_1=3, us_east_1=1)))
    assert found == {"eu-west-1": 3, "us-east-1": 1}


def test_a_job_says_where_its_files_are_only_on_the_machine() -> None:
    (told, _) = workload(5).jobs(machines(eu_west_1=1, us_east_1=1))
    again: Job = job.decode(job.encode(told))
    assert again == told
    (plan,) = again.placed(Path("/a/folder"))
    assert plan.tokens_file == "/a/folder/tokens.tsv"
    assert plan.outcome_file == f"/a/folder/{plan.name}.outcome.json"


def test_a_machine_may_read_and_write_where_a_run_has_it_do_so() -> None:
    keys = Keys("run")
    read = (keys.generator, keys.tokens, keys.start, keys.job("m"))
    written = (keys.ready("m"), keys.progress("m"), keys.measured("m"))
    assert all(key.startswith(load_names.JOBS) for key in read)
    assert all(key.startswith(load_names.RESULTS) for key in written)
    assert keys.books.startswith(load_names.BOOKS)


class TestLoadMachines:
    def test_all_of_them_are_found_by_their_tags(self, cloud: Cloud) -> None:
        site = stack()
        started = cloud.start(site, "load", HOME) + cloud.start(site, "load", AWAY)
        cloud.start(stack("geo-i"), "load", HOME)
        cloud.start(site, "node", HOME)
        found = load_machines(cloud.machines(site), site.architecture)
        assert [machine.instance_id for machine in found] == started

    def test_one_that_does_not_run_is_missed(self, cloud: Cloud) -> None:
        site = stack()
        cloud.start(site, "load", HOME)
        (gone,) = cloud.start(site, "load", AWAY)
        cloud.client("ec2", AWAY).terminate_instances(InstanceIds=[gone])
        with pytest.raises(FleetError, match="not all load machines run: 0 of 1 in us-east-1"):
            load_machines(cloud.machines(site), site.architecture)

    def test_a_stack_without_a_fleet_says_how_to_have_one(self, cloud: Cloud) -> None:
        without = replace(stack().architecture, load=None)
        with pytest.raises(FleetError, match=r"isochrone:load\.per-region 1 -s baseline && pulumi up"):
            load_machines([], without)
