"""A machine to boot in a test: its documents, its metadata service, its disk and its programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws

from ami.node.document import Document, decode
from ami.node.machine import Machine
from ami.node.secret_store import SecretValues
from ami.node.system import Disk, Done
from infra.boot import Resolved, boot_settings
from infra.boot_document import to_json
from infra.flows import Role, places
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
STACKS = ("baseline", "geo-i", "geo-ii")
HOME = "eu-west-1"
INSTANCE = "i-0123456789abcdef0"
SECRETS = {
    "redis-password": "redis-secret",
    "sql-admin": "admin-secret",
    "sql-ledger": "ledger-secret",
    "sql-reader": "reader-secret",
    "token-key": "token-secret",
}


def text(stack: str, role: Role, region: str = HOME, **changes: Any) -> str:
    """The user data of a machine as the stack writes it; `changes` replace parts, by key."""
    architecture = load(stack, ROOT)
    hosts = {p.region: f"sql.{p.region}.rds.amazonaws.com" for p in places(architecture)}
    told = boot_settings(Site(architecture), role, region, Resolved(hosts, "Z0123456789ABC"))
    return json.dumps(json.loads(to_json(told)) | {k.replace("_", "-"): v for k, v in changes.items()})


def document(stack: str, role: Role, region: str = HOME, **changes: Any) -> Document:
    return decode(text(stack, role, region, **changes))


def machine(**changes: Any) -> Machine:
    values: dict[str, Any] = {
        "instance_id": INSTANCE,
        "region": HOME,
        "address": "10.4.0.77",
        "cores": 4,
        "memory_mib": 15_360,
    }
    return Machine(**values | changes)


def secrets(**more: str) -> SecretValues:
    return SecretValues(SECRETS | {key.replace("_", "-"): value for key, value in more.items()})


def disk(root: Path) -> tuple[Disk, dict[Path, tuple[str, str]]]:
    """A disk below a directory, and who was given what; temporary names are those of the file."""
    given: dict[Path, tuple[str, str]] = {}

    def give(path: Path, owner: str, group: str) -> None:
        name = path.name
        if name.startswith("."):
            name = name[1:].rpartition(".")[0]
        given[Path("/") / path.with_name(name).relative_to(root)] = (owner, group)

    return Disk(root, give), given


@dataclass
class Programs:
    """Runs nothing; remembers what was asked, and answers as it is told, by the beginning of a command."""

    answers: Mapping[str, Done] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], timeout_s: float = 0) -> Done:
        command = " ".join(argv)
        self.calls.append(command)
        for beginning, done in self.answers.items():
            if command.startswith(beginning):
                return done
        if command.startswith("findmnt"):
            return Done(0, "tmpfs")
        return Done(0, "")

    def started(self) -> list[str]:
        """The units that were started."""
        return [
            unit
            for call in self.calls
            if call.startswith("systemctl start")
            for unit in call.split()[2:]
            if not unit.startswith("-")
        ]


class Clock:
    """A time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@dataclass
class Metadata:
    """What a metadata service has, and what it was asked."""

    values: dict[str, str]
    refuse: int = 0
    tokens: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def metadata(values: Mapping[str, str]) -> Iterator[tuple[str, Metadata]]:
    """A metadata service of version 2: where it is, and what it does."""
    state = Metadata(dict(values))

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if self.path != "/latest/api/token" or not self.headers["X-aws-ec2-metadata-token-ttl-seconds"]:
                self._answer(400, "")
                return
            state.tokens += 1
            self._answer(200, f"token-{state.tokens}")

        def do_GET(self) -> None:
            path = self.path.removeprefix("/latest/")
            state.asked.append(path)
            if state.refuse:
                state.refuse -= 1
                self._answer(503, "")
            elif self.headers["X-aws-ec2-metadata-token"] != f"token-{state.tokens}":
                self._answer(401, "")
            elif path in state.values:
                self._answer(200, state.values[path])
            else:
                self._answer(404, "")

        def _answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", state
        finally:
            server.shutdown()
            thread.join()


def facts(user_data: str, region: str = HOME) -> dict[str, str]:
    """What the metadata service of a machine has."""
    return {
        "meta-data/instance-id": INSTANCE,
        "meta-data/placement/region": region,
        "meta-data/local-ipv4": "10.4.0.77",
        "user-data": user_data,
    }


@contextmanager
def account() -> Iterator[None]:
    """An AWS account of moto's, with nothing in it."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with mock.patch.dict(os.environ, dict.fromkeys(names, "testing")), mock_aws():
        yield


def put_secrets(told: Document, **more: str) -> None:
    """The secrets that a machine reads, with their values; the certificate has none unless it is given."""
    client = boto3.client("secretsmanager", told.region)
    values = SECRETS | {key.replace("_", "-"): value for key, value in more.items()}
    for key, name in told.secrets.read.items():
        value = {"SecretString": values[key]} if key in values else {}
        client.create_secret(Name=name, **value)


def put_pool(told: Document, addresses: int, *numbers: int) -> list[str]:
    """The addresses of a machine's pool, the first with these numbers in their names, and one of another.

    Returns:
        Their ids, without that of the other pool.
    """
    ec2 = boto3.client("ec2", told.region)
    assert told.address_pool is not None
    made: list[str] = []
    for value in [told.address_pool.value] * addresses + ["another"]:
        allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.create_tags(Resources=[allocation], Tags=[{"Key": told.address_pool.tag, "Value": value}])
        if len(made) < len(numbers):
            name = f"isochrone-geo-i-node-{told.region}-{numbers[len(made)]}"
            ec2.create_tags(Resources=[allocation], Tags=[{"Key": "Name", "Value": name}])
        made.append(allocation)
    return made[:-1]


def launch(region: str = HOME, **tags: str) -> str:
    """A running instance; its id."""
    ec2 = boto3.client("ec2", region)
    specification = [
        {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    ]
    found = ec2.run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        **({"TagSpecifications": specification} if tags else {}),
    )
    return str(found["Instances"][0]["InstanceId"])


def bare_document(metrics_port: int) -> dict[str, Any]:
    """What a machine is told that runs nothing but its reporter, as its user data has it."""
    return {
        "schema": 1,
        "stack": "geo-ii",
        "role": "core",
        "region": HOME,
        "home": HOME,
        "services": [],
        "api-processes": 0,
        "names": {"domain": "a.example", "play": "play.a.example", "regional": "eu.play.a.example"},
        "redis": None,
        "sql": None,
        "secrets": {"read": {}, "write": {}},
        "certificate": None,
        "group": None,
        "address-pool": None,
        "data-device": None,
        "reporting": {
            "namespace": "Isochrone",
            "dimension": "Machine",
            "dimension-value": "one",
            "metrics-port": metrics_port,
            "log-group": "/isochrone/geo-ii/core",
        },
        "listing": None,
        "scraping": None,
    }
