"""AWS as far as a booting machine needs it: a moto server, and in it what `pulumi up` would have made."""

from __future__ import annotations

import os
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import boto3
from moto.server import ThreadedMotoServer

from infra.boot import Resolved, boot_settings
from infra.boot_document import BootSettings, to_json
from infra.flows import Role
from infra.site import Site
from infra.stackfile import load
from tests.image import certificates
from tests.image.guest import ADDRESS, GATEWAY
from tests.image.metadata import Metadata

PORT: Final = 5000
PROJECT: Final = Path(__file__).parents[2]
SQL_HOST: Final = GATEWAY
MOST_PROCESSES: Final = 2

SDK_SETTINGS: Final = f"[default]\nendpoint_url = http://{GATEWAY}:{PORT}\nmax_attempts = 3\n"
"""The shared configuration file of AWS's SDKs, by which a guest finds the stand-in."""

SDK_FILE: Final = "/root/.aws/config"


@dataclass(frozen=True)
class Cloud:
    """A running stand-in."""

    endpoint: str = f"http://127.0.0.1:{PORT}"

    def client(self, service: str, region: str) -> Any:
        """A client of a service in a region."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


@contextmanager
def serving() -> Iterator[Cloud]:
    """A cloud with nothing in it, until the end."""
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", PORT, verbose=False)
    server.start()
    reset = urllib.request.Request(f"http://127.0.0.1:{PORT}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()  # noqa: S310 - the address is above
    try:
        yield Cloud()
    finally:
        server.stop()


@dataclass(frozen=True)
class Machine:
    """A machine that the cloud knows: what it is told, and the values of its secrets."""

    metadata: Metadata
    settings: BootSettings
    values: Mapping[str, str]
    authority: str
    instance_id: str


def secret_values(names: tuple[str, ...], authority: certificates.Authority) -> dict[str, str]:
    """A value for each secret, by the end of its name."""
    found = {}
    for name in names:
        key = name.rsplit("/", 1)[-1]
        found[key] = authority.issue(("play.market.example", "*.play.market.example"))
        if key != "tls-certificate":
            found[key] = secrets.token_urlsafe(32)
    return found


def machine(cloud: Cloud, stack: str, role: Role, region: str) -> Machine:
    """A machine of a stack, with what it needs: secrets, a group, public addresses."""
    site = Site(load(stack, PROJECT))
    resolved = Resolved(dict.fromkeys(site.regions, SQL_HOST), "Z0123456789ABC")
    settings = boot_settings(site, role, region, resolved)
    # The rest is as the stack has it; more processes than this only wait for an emulated processor.
    settings = replace(settings, api_processes=min(settings.api_processes, MOST_PROCESSES))
    authority = certificates.Authority()
    values = secret_values(tuple(settings.secrets.read.values()), authority)
    keeper = cloud.client("secretsmanager", region)
    for name in settings.secrets.read.values():
        keeper.create_secret(Name=name, SecretString=values[name.rsplit("/", 1)[-1]])
    ec2 = cloud.client("ec2", region)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    if settings.address_pool is not None:
        for _ in range(2):
            allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
            tag = {"Key": settings.address_pool.tag, "Value": settings.address_pool.value}
            ec2.create_tags(Resources=[allocation], Tags=[tag])
    metadata = Metadata(instance, region, ADDRESS, to_json(settings))
    return Machine(metadata, settings, values, authority.pem, instance)
