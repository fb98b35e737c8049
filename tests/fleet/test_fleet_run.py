"""A whole run: real load workers on two machines against a real WebSocket server, the rest on moto."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.result import ArchitectureResult
from bench.scenario import Scenario, Uniform
from fleet import scripts
from fleet.board import Telling
from fleet.errors import FleetError
from fleet.job import Keys
from fleet.machines import Machine
from fleet.outputs import Outputs
from fleet.run import Edges, FleetRun, run
from fleet.ssm import Answer, Sent
from infra.prices import prices_2015
from infra.regions import matrix
from market.protocol import PlacePrediction
from market.tokens import Signer
from tests.bench.market_server import Market, market_server
from tests.fleet.conftest import AWAY, HOME, ROOT, TOKEN_KEY, Cloud, stack

SCENARIO = Scenario(
    users=6,
    ramp_s=0.2,
    duration_s=2.0,
    join_wait_s=Uniform(0, 0.1),
    place_wait_s=Uniform(0.1, 0.2),
    linger_s=0,
)
EPOCH = 1


@dataclass
class Machines:
    """Stands in for Systems Manager and the machines behind it.

    A load machine's script runs here, as a process of its own. What the other machines would do with the
    service's databases is done from what the server was told.
    """

    cloud: Cloud
    bucket: str
    market: Market
    counted: int = 0
    crews: dict[Sent, subprocess.Popen[str]] = field(default_factory=dict)
    scripts: list[tuple[str, str]] = field(default_factory=list)
    fails: str = ""

    def send(self, machine: Machine, script: str, bound_s: float, comment: str) -> Sent:
        sent = Sent(machine, f"command-{len(self.scripts)}", bound_s)
        self.scripts.append((machine.role, script))
        if machine.role == "load":
            environment = {
                **os.environ,
                "AWS_ENDPOINT_URL": self.cloud.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
            self.crews[sent] = subprocess.Popen(
                ["sh", "-c", script], env=environment, text=True, cwd="/", stderr=subprocess.PIPE
            )
        return sent

    def answer(self, sent: Sent) -> Answer:
        if sent in self.crews:
            crew = self.crews[sent]
            if crew.poll() is None:
                return Answer("running")
            assert crew.stderr
            return Answer("done" if crew.returncode == 0 else "failed", "", crew.stderr.read())
        _, script = self.scripts[int(sent.command_id.removeprefix("command-"))]
        words = shlex.split(script)
        if self.fails and self.fails in words:
            return Answer("failed", "", "it cannot be done")
        if "seed" in words:
            return Answer("done", "", f'{{"event": "seeded {SCENARIO.users} accounts in epoch {EPOCH}"}}')
        if "counters" in words:
            self.counted += 100
            server = {"127.0.0.1:6379": {"hits": self.counted, "misses": 1}}
            return Answer("done", json.dumps({"redis": server, "sql": {"127.0.0.1:3306": self.counted}}))
        lines = "\n".join(map(json.dumps, self.books()))
        key = Keys(words[-2].removeprefix("books/").removesuffix(".jsonl.gz")).books
        self.cloud.client("s3", HOME).put_object(
            Bucket=self.bucket, Key=key, Body=gzip.compress(lines.encode())
        )
        return Answer("done")

    def cancel(self, sent: Sent) -> None:
        if sent in self.crews:
            self.crews[sent].kill()

    def books(self) -> list[Any]:
        rows, totals = [], Counter[int]()
        for number, (user, placed) in enumerate(self.placed()):
            rows.append([user, placed.key, placed.pool, placed.option, placed.stake, EPOCH, f"{number}-0"])
            totals[placed.option] += placed.stake
        pools = {"winner": {"totals": [totals[option] for option in range(3)], "predictions": len(rows)}}
        earlier = ["user-0", "of-another-run", "winner", 0, 100, EPOCH - 1, "0-1"]
        return [{"pools": pools, "accounts_debited": totals.total()}, earlier, *rows]

    def placed(self) -> Sequence[tuple[str, PlacePrediction]]:
        signer = Signer(TOKEN_KEY)
        return [
            (signer.verify(header.removeprefix("Bearer ")).user, placed)
            for header, placed in self.market.placed
        ]


@dataclass
class Ran:
    """A run that has ended, and what it left."""

    result: ArchitectureResult
    steps: list[str]
    transport: Machines
    keys: set[str]
    outputs: Outputs


def carried_out(
    cloud: Cloud, certificate: tuple[Path, Path], *, fails: str = "", ca_file: str | None = None
) -> Ran:
    site = stack()
    outputs = cloud.up(site)
    steps: list[str] = []

    async def whole() -> Ran:
        async with market_server(certificate) as market:
            transport = Machines(cloud, outputs.load_bucket, market, fails=fails)
            what = FleetRun(
                site=site,
                outputs=msgspec.structs.replace(outputs, url=market.url),
                scenario=SCENARIO,
                prices=prices_2015(),
                matrix=matrix("2024"),
                name="first",
                ca_file=ca_file or str(market.ca_file),
                python=sys.executable,
                lead_s=1.0,
            )
            edges = Edges(cloud.client, transport, lambda _: _pause())
            try:
                found = await asyncio.to_thread(run, what, edges, Telling(steps.append))
            finally:
                for crew in transport.crews.values():
                    crew.kill()
                    crew.communicate()
            return Ran(found, steps, transport, left(cloud, outputs.load_bucket), outputs)

    return asyncio.run(whole())


def _pause() -> None:
    """Between two looks at processes, which tell nobody that they have ended."""
    time.sleep(0.1)


def left(cloud: Cloud, bucket: str) -> set[str]:
    found = cloud.client("s3", HOME).list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"] for each in found}


@pytest.mark.timeout(120)
def test_machines_in_two_regions_load_one_server_and_the_money_is_proven(
    cloud: Cloud, certificate: tuple[Path, Path]
) -> None:
    ran = carried_out(cloud, certificate)
    result = ran.result
    assert (result.users.requested, result.users.connected, result.users.lost) == (6, 6, 0)
    assert set(result.latency_ms["prediction"].by_region) == {HOME, AWAY}
    assert result.latency_ms["handshake"].all.count == 6
    assert result.broadcasts.received > 0
    assert result.ledger.balanced
    assert result.ledger.acknowledged == result.ledger.rows == len(ran.transport.market.placed) > 0
    # All began at one time, after the last machine was ready.
    assert any("2 of 2 machines are ready" in step for step in ran.steps)
    # What databases served is what was counted after, less what was counted before.
    slm: Mapping[str, Any] = result.meter_inputs["slm"]  # type: ignore[assignment]
    assert (slm["redis_hits"], slm["mysql_queries"], slm["connections"]) == (100, 100, 6)
    assert result.cost_per_hour == pytest.approx(2.3518)
    assert result.regions["sa-east-1"].resolves_to == HOME
    # A run of less than a minute has no minute of CloudWatch's.
    assert result.meters.crum.avg is None
    # The tokens are gone; what was measured stays.
    assert not [key for key in ran.keys if key.startswith("jobs/")]
    assert len([key for key in ran.keys if key.endswith(".measured.json.gz")]) == 2
    assert [role for role, _ in ran.transport.scripts] == ["node", "node", "load", "load", "node", "node"]


@pytest.mark.timeout(120)
def test_a_machine_that_fails_ends_the_run_in_its_words_and_no_token_stays(
    cloud: Cloud, certificate: tuple[Path, Path]
) -> None:
    with pytest.raises(FleetError, match=r"load in .* failed: .*/no/authority"):
        carried_out(cloud, certificate, ca_file="/no/authority")
    assert not [key for key in left(cloud, _bucket(cloud)) if key.startswith("jobs/")]


def test_a_market_that_cannot_be_filled_is_not_loaded(cloud: Cloud, certificate: tuple[Path, Path]) -> None:
    with pytest.raises(FleetError, match=r"node in eu-west-1\) failed: it cannot be done"):
        carried_out(cloud, certificate, fails="seed")
    assert left(cloud, _bucket(cloud)) == set()


def _bucket(cloud: Cloud) -> str:
    (bucket,) = cloud.client("s3", HOME).list_buckets()["Buckets"]
    name: str = bucket["Name"]
    return name


def test_the_scripts_name_what_is_on_the_image() -> None:
    provision = (ROOT / "ami" / "provision" / "20-python.sh").read_text(encoding="utf-8")
    assert f"venv={scripts.PYTHON.removesuffix('/bin/python')}" in provision
    paths = (ROOT / "ami" / "node" / "paths.py").read_text(encoding="utf-8")
    assert all(f'"{Path(path).name}"' in paths for path in (scripts.NODE_SETTINGS, scripts.STEWARD_SETTINGS))
    unit = ROOT / "ami" / "rootfs" / "etc" / "systemd" / "system" / "market-ledger.service"
    assert unit.name in scripts.books("b", "r", "n")
    assert unit.exists()
