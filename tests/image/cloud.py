"""AWS as far as a booting machine needs it: a moto server, and in it what `pulumi up` would have made."""

from __future__ import annotations

import os
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import boto3
from moto.server import ThreadedMotoServer

from infra.boot import Resolved, boot_settings
from infra.boot_document import BootSettings, to_json
from infra.flows import Role
from infra.secret_names import SECRET_KEYS
from infra.site import Site
from infra.stackfile import load
from tests.image import certificates, group, metadata
from tests.image.guest import ADDRESS, GATEWAY
from tests.image.metadata import Metadata

PORT: Final = 5000
PROJECT: Final = Path(__file__).parents[2]
MOST_PROCESSES: Final = 2

SDK_SETTINGS: Final = f"""[default]
endpoint_url = http://{GATEWAY}:{PORT}
max_attempts = 3
services = stand-ins
[services stand-ins]
auto_scaling =
  endpoint_url = http://{GATEWAY}:{group.PORT}
"""
"""The shared configuration file of AWS's SDKs, by which a guest finds the stand-ins."""

SDK_FILE: Final = "/root/.aws/config"


def sql_host(region: str) -> str:
    """The name of a region's SQL server, as AWS gives it."""
    return f"market.abcdefghijkl.{region}.rds.amazonaws.com"


@dataclass(frozen=True)
class Stack:
    """A stack of which machines are booted: its secrets, and who signs the certificates of its servers."""

    site: Site
    authority: certificates.Authority = field(default_factory=certificates.Authority)
    values: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.update({key: secrets.token_urlsafe(32) for key in SECRET_KEYS})
        play = self.site.play_name
        self.values["tls-certificate"] = self.authority.issue((play, f"*.{play}"))


def stack(name: str, api_processes: int | None = None) -> Stack:
    """A stack of the repository, with so many API processes on a node when that is given."""
    architecture = load(name, PROJECT)
    if api_processes is not None:
        nodes = replace(architecture.nodes, api_processes=api_processes)
        architecture = replace(architecture, nodes=nodes)
    return Stack(Site(architecture))


@dataclass(frozen=True)
class Cloud:
    """A running stand-in, and what the machine said to its group."""

    group: group.Group
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

    def launch(self, region: str, address: str, **tags: str) -> str:
        """An instance that the account has; its id."""
        ec2 = self.client("ec2", region)
        image = ec2.register_image(Name=f"image-{secrets.token_hex(4)}")["ImageId"]
        wanted = [{"Key": f"isochrone:{key}", "Value": value} for key, value in tags.items()]
        found = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            PrivateIpAddress=address,
            TagSpecifications=[{"ResourceType": "instance", "Tags": wanted}],
        )
        return str(found["Instances"][0]["InstanceId"])


@contextmanager
def serving() -> Iterator[Cloud]:
    """A cloud with nothing in it, until the end."""
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", PORT, verbose=False)
    server.start()
    reset = urllib.request.Request(f"http://127.0.0.1:{PORT}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()  # noqa: S310 - the address is above
    try:
        with group.serving() as told:
            yield Cloud(told)
    finally:
        server.stop()


@dataclass(frozen=True)
class Machine:
    """A machine that the cloud knows: what it is told, and who it is."""

    metadata: Metadata
    settings: BootSettings
    stack: Stack
    instance_id: str

    @property
    def values(self) -> Mapping[str, str]:
        """The values of the stack's secrets, by their keys."""
        return self.stack.values

    @property
    def authority(self) -> str:
        """The certificate of who has signed the stack's."""
        return self.stack.authority.pem

    @property
    def name(self) -> str:
        """The name that users connect to."""
        return self.settings.names.play

    @property
    def user_data(self) -> str:
        """What it is told, as the text of its user data."""
        return to_json(self.settings)


def machine(cloud: Cloud, stack: Stack, role: Role, region: str, **changes: Any) -> Machine:
    """A machine of a stack, with its secrets and addresses; `changes` are of what it is told."""
    site = stack.site
    resolved = Resolved({each: sql_host(each) for each in site.regions}, "Z0123456789ABC")
    settings = boot_settings(site, role, region, resolved)
    # The rest is as the stack has it; more processes than this only wait for an emulated processor.
    settings = replace(settings, api_processes=min(settings.api_processes, MOST_PROCESSES), **changes)
    logs = cloud.client("logs", region)
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=settings.reporting.log_group)
    keeper = cloud.client("secretsmanager", region)
    for key, name in settings.secrets.read.items():
        keeper.create_secret(Name=name, SecretString=stack.values[key])
    instance = cloud.launch(region, ADDRESS, stack=settings.stack, role=role)
    if settings.address_pool is not None:
        ec2 = cloud.client("ec2", region)
        for _ in range(2):
            allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
            tag = {"Key": settings.address_pool.tag, "Value": settings.address_pool.value}
            ec2.create_tags(Resources=[allocation], Tags=[tag])
    return Machine(Metadata(instance, region, ADDRESS, to_json(settings)), settings, stack, instance)


@contextmanager
def told(answers: Metadata) -> Iterator[None]:
    """The machine's metadata service, until the end."""
    server = metadata.serve(answers)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
