"""What one load machine is told, and where what belongs to a run is in the stack's bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.plan import Plan

SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""The certificate authorities of Debian, by which the image trusts the stack's certificate."""


class Job(Struct, frozen=True):
    """One machine's part of a run.

    Args:
        run: the run's name.
        machine: the machine's name in the run.
        plans: what its workers do; their files are named without a folder.
    """

    run: str
    machine: str
    plans: list[Plan]

    def placed(self, directory: Path) -> list[Plan]:
        """The plans with their files in a folder."""
        return [
            msgspec.structs.replace(
                plan,
                tokens_file=str(directory / plan.tokens_file),
                outcome_file=str(directory / plan.outcome_file),
            )
            for plan in self.plans
        ]


@dataclass(frozen=True)
class Keys:
    """Where what belongs to a run is in the bucket.

    The first folders are those to which the stack's roles have access (`infra.load_names`).
    """

    run: str

    @property
    def jobs(self) -> str:
        """What load machines fetch."""
        return f"jobs/{self.run}/"

    @property
    def generator(self) -> str:
        """The load generator, a zip of Python modules."""
        return f"{self.jobs}generator.zip"

    @property
    def tokens(self) -> str:
        """The tokens of all users."""
        return f"{self.jobs}tokens.tsv"

    @property
    def start(self) -> str:
        """When all machines start (s since 1970, as text): it is there when all of them are ready."""
        return f"{self.jobs}start"

    def job(self, machine: str) -> str:
        """What a machine is told."""
        return f"{self.jobs}{machine}.json"

    @property
    def results(self) -> str:
        """What load machines leave."""
        return f"results/{self.run}/"

    def ready(self, machine: str) -> str:
        """Is there when a machine waits for the start."""
        return f"{self.results}{machine}.ready"

    def progress(self, machine: str) -> str:
        """How far a machine is."""
        return f"{self.results}{machine}.progress.json"

    def measured(self, machine: str) -> str:
        """What a machine measured."""
        return f"{self.results}{machine}.measured.json.gz"

    @property
    def books(self) -> str:
        """What the pools and the SQL master say was staked."""
        return f"books/{self.run}.jsonl.gz"


def encode(job: Job) -> bytes:
    """The job as JSON."""
    return msgspec.json.encode(job)


def decode(text: bytes) -> Job:
    """The job in a JSON text; raises `msgspec.DecodeError` when it is none."""
    return msgspec.json.decode(text, type=Job)
