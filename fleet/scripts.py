"""The shell scripts that machines of a stack run for a benchmark, and what they answer. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from bench.database_counts import DatabaseCounts
from fleet.errors import FleetError
from fleet.job import Keys

PYTHON: Final = "/opt/isochrone/venv/bin/python"
MARKET: Final = "/opt/isochrone/venv/bin/market"
"""The image's Python and the service's command in it."""

STEWARD_SETTINGS: Final = "/etc/isochrone/ledger.toml"
NODE_SETTINGS: Final = "/etc/isochrone/settings.toml"
"""The settings of the ledger, on the machine that runs it, and of the API, on every node."""

_FETCH: Final = (
    "import boto3, sys; boto3.client('s3', region_name=sys.argv[1])"
    ".download_file(sys.argv[2], sys.argv[3], sys.argv[4])"
)
_LEAVE: Final = (
    "import boto3, sys; boto3.client('s3', region_name=sys.argv[1])"
    ".upload_file(sys.argv[4], sys.argv[2], sys.argv[3])"
)
_EPOCH: Final = re.compile(r"in epoch (\d+)")


class Served(Struct, frozen=True):
    """What a Redis has looked up, as `market counters` prints it."""

    hits: int
    misses: int


class Counters(Struct, frozen=True):
    """What `market counters` prints."""

    redis: dict[str, Served]
    sql: dict[str, int]


def crew(bucket: str, region: str, run: str, machine: str, python: str = PYTHON) -> str:
    """Has a load machine fetch the generator and carry out its job."""
    fetch = shlex.join([python, "-c", _FETCH, region, bucket, Keys(run).generator])
    work = shlex.join([python, "-m", "fleet.crew", bucket, region, run, machine])
    return "\n".join(
        (
            "set -eu",
            "directory=$(mktemp -d /var/tmp/isochrone-crew.XXXXXX)",
            "trap 'rm -rf \"$directory\"' EXIT",
            f'{fetch} "$directory/generator.zip"',
            f'PYTHONPATH="$directory/generator.zip" {work}',
        )
    )


def seed(users: int, balance: int) -> str:
    """Replaces what is in Redis by one game, one pool and the users' accounts."""
    return shlex.join(
        [MARKET, "seed", "--settings", STEWARD_SETTINGS, "--users", str(users), "--balance", str(balance)]
    )


def seeded_epoch(said: str) -> int:
    """The epoch that `market seed` says it has begun.

    Raises:
        FleetError: when it does not say.
    """
    found = _EPOCH.search(said)
    if found is None:
        raise FleetError(f"`market seed` does not say which epoch it has begun: {said.strip()[-200:]!r}")
    return int(found[1])


def counters(settings: str) -> str:
    """Prints what the databases of a process have served."""
    return shlex.join([MARKET, "counters", "--settings", settings])


def totals(printed: Mapping[str, str]) -> DatabaseCounts:
    """What all databases have served; one that several machines name counts once.

    Args:
        printed: what `counters` printed, by machine.

    Raises:
        FleetError: when it is not what is expected.
    """
    redis: dict[str, Served] = {}
    sql: dict[str, int] = {}
    for machine, text in printed.items():
        try:
            found = msgspec.json.decode(text.strip().splitlines()[-1] if text.strip() else "", type=Counters)
        except msgspec.DecodeError as error:
            raise FleetError(f"{machine} does not say what its databases have served: {error}") from error
        redis |= {_whose(machine, name): served for name, served in found.redis.items()}
        sql |= {_whose(machine, name): count for name, count in found.sql.items()}
    return DatabaseCounts(
        sum(served.hits for served in redis.values()),
        sum(served.misses for served in redis.values()),
        sum(sql.values()),
    )


def _whose(machine: str, server: str) -> str:
    """A server's name for all machines: one at a machine's own address is that machine's."""
    return f"{machine} {server}" if server.startswith(("127.", "localhost")) else server


def books(bucket: str, region: str, run: str) -> str:
    """Has the machine of the ledger bring the journal to SQL, and leave what the books say in the bucket."""
    drain = shlex.join([MARKET, "ledger", "--settings", STEWARD_SETTINGS, "--drain"])
    dump = shlex.join([MARKET, "dump", "--settings", STEWARD_SETTINGS])
    leave = shlex.join([PYTHON, "-c", _LEAVE, region, bucket, Keys(run).books])
    return "\n".join(
        (
            "set -eu",
            "file=$(mktemp /var/tmp/isochrone-books.XXXXXX)",
            'trap \'rm -f "$file" "$file.gz"; systemctl start market-ledger.service\' EXIT',
            "systemctl stop market-ledger.service",
            drain,
            f'{dump} >"$file"',
            'gzip -f "$file"',
            f'{leave} "$file.gz"',
        )
    )
