"""Faults for real: a lab under load is broken, comes back by itself, and nothing is lost; nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.regions import REGIONS, matrix
from infra.stackfile import load
from lab import mounts, namespaces
from lab.faults import catalogue, records
from lab.faults.actions import Fault
from lab.faults.records import Acknowledged
from lab.faults.run import Drill, run
from lab.states import destroy
from tests.lab.worlds import lab_name

PROJECT = Path(__file__).parents[3]


def fault(name: str) -> Fault:
    return next(fault for fault in catalogue.FAULTS if fault.name == name)


@pytest.mark.timeout(180)
def test_nothing_is_lost_when_the_redis_master_is_killed(root: Path) -> None:
    name = lab_name()
    drill = Drill(
        architecture=load("baseline", PROJECT),
        matrix=matrix("2017"),
        users=16,
        every_s=0.5,
        seed=1,
        directory=root / "out",
        command="",
        name=name,
        root=root,
    )
    try:
        found = run(drill, [fault("redis-master-killed")])
        (killed,) = found.outcomes
        assert killed.problem is None
        assert killed.verdict is not None
        assert killed.verdict.problems == []
        assert found.passed
        assert killed.verdict.acknowledged > killed.acknowledged > 0
        assert killed.connected_after_s is not None
        assert set(killed.served_after_s) == set(REGIONS)
        written = (root / "out" / "records-0.jsonl").read_bytes().splitlines()
        receipts = [r for r in map(records.decode, written) if isinstance(r, Acknowledged)]
        assert len({(r.user, r.key) for r in receipts}) >= killed.verdict.acknowledged
        assert namespaces.existing(f"{name}.") == []
        assert mounts.below(root) == []
    finally:
        destroy(name, root)
