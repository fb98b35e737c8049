"""What a load machine does when its job, or the start, is not what it should be."""

from __future__ import annotations

import asyncio
import time
import zipfile
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from bench.errors import BenchError
from fleet import bundle, crew
from fleet.crew import Crew
from fleet.job import Keys
from tests.fleet.conftest import HOME, Cloud

BUCKET = "the-bucket"
KEYS = Keys("run")


@pytest.fixture
def machine(cloud: Cloud) -> Crew:
    s3 = cloud.client("s3", HOME)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": HOME})
    return Crew(s3, BUCKET, KEYS, "m")


def put(cloud: Cloud, key: str, body: bytes) -> None:
    cloud.client("s3", HOME).put_object(Bucket=BUCKET, Key=key, Body=body)


def test_a_machine_without_a_job_does_nothing(machine: Crew, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        machine.work(tmp_path)


def test_a_job_of_another_version_is_refused(machine: Crew, cloud: Cloud, tmp_path: Path) -> None:
    put(cloud, KEYS.job("m"), b'{"run": "run"}')
    with pytest.raises(BenchError, match=r"jobs/run/m\.json is no job of this version"):
        machine.work(tmp_path)


def test_a_machine_says_that_it_is_ready_and_takes_the_start_when_it_is_there(
    machine: Crew, cloud: Cloud
) -> None:
    async def agreed() -> float:
        waiting = asyncio.create_task(machine._agree())
        await asyncio.sleep(0)
        put(cloud, KEYS.start, b"1790000000.250")
        return await waiting

    assert asyncio.run(agreed()) == 1790000000.25
    assert cloud.client("s3", HOME).head_object(Bucket=BUCKET, Key=KEYS.ready("m"))


def test_a_start_that_does_not_come_is_not_waited_for_without_end(machine: Crew) -> None:
    began = time.monotonic()
    with (
        patch.object(crew, "START_TIMEOUT_S", 0.0),
        patch.object(crew, "START_POLL_S", 0.0),
        pytest.raises(BenchError, match="The start did not come within 0 s of being ready"),
    ):
        asyncio.run(machine._agree())
    assert time.monotonic() - began < 30


def test_the_generator_has_all_that_it_imports_of_ours_and_is_the_same_each_time() -> None:
    made = bundle.generator_zip()
    assert made == bundle.generator_zip()
    names = zipfile.ZipFile(BytesIO(made)).namelist()
    assert {"bench/worker.py", "bench/coordinator.py", "fleet/__init__.py", "fleet/crew.py"} <= set(names)
    assert not [name for name in names if name.startswith(("infra/", "lab/", "market/", "tests/"))]
