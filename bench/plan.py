"""What one load worker has to do: its region, its users, where they connect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.errors import PlanError
from bench.scenario import Scenario

HANDSHAKE_TIMEOUT_S: Final = 30.0
DRAIN_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 3.0
"""How long a worker waits for the server to answer the closes, before it cuts the connections (s)."""
SPARE_DESCRIPTORS: Final = 64
"""The descriptors that a worker needs beside its users' sockets."""


class Plan(Struct, frozen=True):
    """One worker's part of a run.

    Its users are `first_user`, `first_user + stride`, …: with a stride of as many as there are regions, the
    regions take turns in the ramp.

    Args:
        region: where the users are.
        url: where they connect, such as wss://play.example.test/ws.
        ca_file: the certificate authority that the server's certificate is checked against.
        tokens_file: one line per user of the whole run, `user<TAB>token`; line n is user n's.
        outcome_file: where the outcome is written.
        scenario: what all users of the run do.
        first_user: the number of this worker's first user.
        users: how many users this worker has.
        seed: fixes every user's waits, options and stakes.
        handshake_timeout_s: a connection that is not open after this time has failed (s).
        drain_timeout_s: how long answers are waited for after the last prediction (s).
        stride: the distance between this worker's users.
        worker: its name among the run's workers, where a region has several; else the region is its name.
    """

    region: str
    url: str
    ca_file: str
    tokens_file: str
    outcome_file: str
    scenario: Scenario
    first_user: int
    users: int
    seed: int
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    stride: int = 1
    worker: str = ""

    @property
    def name(self) -> str:
        """What sets the worker apart from the others of the run."""
        return self.worker or self.region

    @property
    def members(self) -> range:
        """The numbers of this worker's users."""
        return range(self.first_user, self.first_user + self.users * self.stride, self.stride)

    @property
    def longest_s(self) -> float:
        """The bound on the run time, from the start (s)."""
        return self.scenario.end_s + self.handshake_timeout_s + self.drain_timeout_s + CLOSE_TIMEOUT_S


def divide(
    regions: Sequence[str],
    scenario: Scenario,
    *,
    url: str,
    ca_file: Path,
    tokens_file: Path,
    directory: Path,
    seed: int = 1,
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
    drain_timeout_s: float = DRAIN_TIMEOUT_S,
) -> list[Plan]:
    """One plan per region that has users: spread evenly, and taking turns in the ramp.

    The outcomes go to `directory`. A region without a user (fewer users than regions) gets no plan.
    """
    shares = [range(index, scenario.users, len(regions)) for index in range(len(regions))]
    return [
        Plan(
            region=region,
            url=url,
            ca_file=str(ca_file),
            tokens_file=str(tokens_file),
            outcome_file=str(directory / f"{region}.outcome.json"),
            scenario=scenario,
            first_user=share.start,
            users=len(share),
            seed=seed,
            handshake_timeout_s=handshake_timeout_s,
            drain_timeout_s=drain_timeout_s,
            stride=len(regions),
        )
        for region, share in zip(regions, shares, strict=True)
        if len(share)
    ]


def read(path: Path) -> Plan:
    """The plan in a file.

    Raises:
        PlanError: when the file cannot be read or is no plan.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise PlanError(f"Cannot read the plan {path}: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise PlanError(f"{path} is no plan of a load worker: {error}.") from error


def write(plan: Plan, path: Path) -> None:
    """Write a plan for a worker to read."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))


def tokens(plan: Plan) -> list[tuple[str, str]]:
    """The name and the token of each of the plan's users, in their order.

    Raises:
        PlanError: when the file cannot be read, or has no line for one of the users.
    """
    path = Path(plan.tokens_file)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"Cannot read the tokens {path}: {error}.") from error
    if not plan.users or plan.members[-1] >= len(lines):
        raise PlanError(
            f"{path} has {len(lines)} lines, one per user of the whole run; the users of {plan.region} are "
            f"{plan.users} from {plan.first_user} on in steps of {plan.stride}."
        )
    pairs = []
    for member in plan.members:
        user, tab, token = lines[member].partition("\t")
        if not (user and tab and token):
            raise PlanError(f"{path}, line {member + 1}: it must be a user, a tab and a token.")
        pairs.append((user, token))
    return pairs
