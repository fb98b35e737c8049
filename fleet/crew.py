"""What runs on a load machine: `python -m fleet.crew BUCKET REGION RUN MACHINE`.

It fetches its job and says that it is ready in the stack's bucket, where it then finds the time to start. It
runs a worker for each plan, and leaves how far it is and what it measured. What is wrong goes to standard
error, and the status is 1.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from bench import coordinator
from bench.errors import BenchError
from bench.events import Progress
from fleet import job as jobs
from fleet.job import Job, Keys

PROGRESS_S: Final = 5.0
"""How often progress is left in the bucket."""

START_TIMEOUT_S: Final = 300.0
"""How long a machine that is ready waits for the others."""

START_POLL_S: Final = 0.5
"""How often it looks for the time to start."""


class Crew:
    """The workers of one machine.

    Args:
        client: boto3's client of S3.
        bucket: the stack's bucket.
        keys: where what belongs to the run is in it.
        machine: the machine's name in the run.
    """

    def __init__(self, client: Any, bucket: str, keys: Keys, machine: str) -> None:
        self._client = client
        self._bucket = bucket
        self._keys = keys
        self._machine = machine
        self._told_at_s = 0.0

    def work(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Carry out the job, with its files in `directory`.

        Raises:
            BenchError: when it cannot be carried out.
            botocore.exceptions.ClientError: and `BotoCoreError`, when the bucket cannot be used.
        """
        job = self._job()
        (directory / Path(self._keys.tokens).name).write_bytes(self._get(self._keys.tokens))

        def report(progress: Progress) -> None:
            if clock() - self._told_at_s >= PROGRESS_S:
                self._told_at_s = clock()
                self._put(self._keys.progress(self._machine), msgspec.json.encode(progress))

        measured = asyncio.run(
            coordinator.measure(
                job.placed(directory),
                coordinator.spawn_here,
                directory,
                report,
                self._agree,
            )
        )
        self._put(self._keys.measured(self._machine), gzip.compress(msgspec.json.encode(measured)))

    async def _agree(self) -> float:
        """Say that this machine is ready, and wait until it is known when all start."""
        self._put(self._keys.ready(self._machine), b"")
        until_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                return float(self._get(self._keys.start))
            except ClientError as error:
                # Without the right to list a bucket, what is not there is not to be had.
                if error.response["Error"]["Code"] not in ("NoSuchKey", "AccessDenied"):
                    raise
            if time.monotonic() > until_s:
                raise BenchError(f"The start did not come within {START_TIMEOUT_S:.0f} s of being ready.")
            await asyncio.sleep(START_POLL_S)

    def _job(self) -> Job:
        key = self._keys.job(self._machine)
        try:
            return jobs.decode(self._get(key))
        except msgspec.DecodeError as error:
            raise BenchError(f"{key} is no job of this version: {error}.") from error

    def _get(self, key: str) -> bytes:
        return bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def _put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body)


def main() -> int:
    """The command; its status is 0, or 1 with a message on standard error."""
    if len(sys.argv) != 5:
        sys.stderr.write("usage: python -m fleet.crew BUCKET REGION RUN MACHINE\n")
        return 2
    bucket, region, run, machine = sys.argv[1:]
    try:
        with TemporaryDirectory(prefix="isochrone-load-", dir="/var/tmp") as directory:
            client = boto3.client("s3", region_name=region)
            Crew(client, bucket, Keys(run), machine).work(Path(directory))
    except (BenchError, BotoCoreError, ClientError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
