"""A stack with a load fleet in two regions, as AWS would have it: on a moto server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fleet.machines import Machine, running
from fleet.outputs import Outputs
from infra.architecture import LoadFleet
from infra.load_names import bucket_name
from infra.secret_names import secret_name
from infra.site import Site
from infra.stackfile import load
from tests.bench.market_server import certificate as make_certificate

ROOT = Path(__file__).parents[2]
HOME, AWAY = "eu-west-1", "us-east-1"
ACCOUNT = "123456789012"
TOKEN_KEY = "a-key-of-tokens-that-signs-for-tests-only"


def stack(name: str = "baseline", **changes: Any) -> Site:
    """A stack's site with a load fleet at home and away, and nothing protected."""
    fleet = LoadFleet(regions=(HOME, AWAY), per_region=1)
    return Site(replace(load(name, ROOT), load=fleet, protect=False, **changes))


@dataclass(frozen=True)
class Cloud:
    """An account on a moto server, with what a stack has that is up."""

    endpoint: str
    client: Callable[[str, str], Any]

    def start(self, site: Site, role: str, region: str, count: int = 1) -> list[str]:
        """Start machines of a role, tagged as the program tags them."""
        tags = {"isochrone:stack": site.architecture.name, "isochrone:role": role, "Name": f"the-{role}"}
        specification = {
            "ResourceType": "instance",
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        made = self.client("ec2", region).run_instances(
            ImageId="ami-12c6146b", MinCount=count, MaxCount=count, TagSpecifications=[specification]
        )
        return [instance["InstanceId"] for instance in made["Instances"]]

    def up(self, site: Site) -> Outputs:
        """What the program would make: machines, the bucket, the key of the tokens."""
        for region in site.architecture.nodes.regions:
            self.start(site, "node", region)
        for region in (HOME, AWAY):
            self.start(site, "load", region)
        bucket = bucket_name(site, ACCOUNT)
        self.client("s3", HOME).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": HOME}
        )
        self.client("secretsmanager", HOME).create_secret(
            Name=secret_name(site, "token-key"), SecretString=TOKEN_KEY
        )
        return Outputs(f"wss://{site.play_name}/ws", bucket)

    def machines(self, site: Site) -> list[Machine]:
        """The machines of a stack that run."""
        return running(self.client, site.architecture.name, site.regions)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def cloud(moto_server: str) -> Iterator[Cloud]:
    """The account, empty again afterwards."""

    @cache
    def client(service: str, region: str) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=moto_server,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    yield Cloud(moto_server, client)
    with closing(HTTPConnection(moto_server.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == 200


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))
