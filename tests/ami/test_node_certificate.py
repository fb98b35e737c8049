"""A certificate is checked before nginx gets it, and a new one reaches users without ending a connection."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.client import connect
from websockets.sync.server import unix_serve

from ami import render
from ami.node import paths
from ami.node.certificate_watch import FIRST_INTERVAL_S, INTERVAL_S, CertificateWatch
from ami.node.certificates import (
    CertificateError,
    Pair,
    certificate_file,
    key_pem,
    new_key,
    parse,
    self_signed,
)
from ami.node.system import Done
from lab.requirements import program
from lab.waiting import until
from tests.ami.node_fakes import Programs, account, disk, document, put_secrets
from tests.image.certificates import Authority

NAME = "play.market.example"


def pair(*names: str) -> Pair:
    return self_signed(names or (NAME,))


def test_one_that_nobody_signed_is_for_the_names_and_a_month() -> None:
    made = self_signed((NAME, f"eu.{NAME}"), datetime(2030, 1, 1, tzinfo=UTC))
    assert made.names == (NAME, f"eu.{NAME}")
    assert made.expires == datetime(2030, 1, 31, tzinfo=UTC)
    leaf = x509.load_pem_x509_certificate(made.chain.encode())
    assert leaf.signature_hash_algorithm is not None
    assert leaf.public_key().curve.name == "secp256r1"  # type: ignore[union-attr]


def test_the_certificate_of_the_key_comes_first_in_whatever_order_they_were_given() -> None:
    own, other = pair(), pair("ca.example")
    for given in (own.key + own.chain + other.chain, other.chain + own.chain + own.key):
        found = parse(given)
        assert found.chain == own.chain + other.chain
        assert found.key == own.key
        assert parse(found.pem) == found


def rsa_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("", "has 0 keys and 0 certificates"),
        (pair().chain, "has 0 keys and 1 certificates"),
        (pair().pem + key_pem(new_key()), "has 2 keys"),
        (pair().chain + key_pem(new_key()), "is not that of any certificate"),
        (pair().chain + rsa_key(), "is not ECDSA"),
        (pair().pem.replace("MII", "XII", 1), "is damaged"),
    ],
)
def test_what_nginx_could_not_use_is_refused_and_not_told(pem: str, message: str) -> None:
    with pytest.raises(CertificateError, match=message) as refused:
        parse(pem)
    assert "PRIVATE" not in str(refused.value)


def test_a_key_is_in_no_representation() -> None:
    assert "PRIVATE" not in repr(pair())


class Watched:
    """A node whose certificate is a secret in an account of moto's."""

    def __init__(self, root: Path) -> None:
        self.document = document("geo-i", "node")
        self.disk = disk(root)[0]
        self.run = Programs()
        self.watch = CertificateWatch(self.document, self.disk, self.run)
        self.first = pair()
        self.disk.write(certificate_file(self.first))

    def put(self, pem: str) -> None:
        client = boto3.client("secretsmanager", self.document.region)
        client.put_secret_value(SecretId=self.document.secrets.read["tls-certificate"], SecretString=pem)

    def served(self) -> str:
        return self.disk.at(paths.CERTIFICATE).read_text()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with account():
        node = Watched(tmp_path)
        put_secrets(node.document)
        yield node


def test_until_there_is_one_it_is_looked_for_often(watched: Watched) -> None:
    assert watched.watch.look() == FIRST_INTERVAL_S
    assert watched.served() == watched.first.pem
    assert watched.run.calls == []


def test_it_is_looked_for_first_when_what_the_boot_has_just_read_may_have_changed(
    watched: Watched,
) -> None:
    assert watched.watch.first_look_s() == FIRST_INTERVAL_S
    watched.disk.write(certificate_file(parse(Authority().issue((NAME,)))))
    assert watched.watch.first_look_s() == INTERVAL_S
    watched.disk.at(paths.CERTIFICATE).unlink()
    assert watched.watch.first_look_s() == 0


def test_a_new_one_is_served_once_it_is_there(watched: Watched) -> None:
    new = pair()
    watched.put(new.pem)
    assert watched.watch.look() == INTERVAL_S
    assert watched.served() == new.pem
    assert watched.watch.look() == INTERVAL_S
    assert watched.run.calls == ["systemctl reload nginx.service"]
    assert watched.disk.at(paths.CERTIFICATE).stat().st_mode & 0o777 == 0o600


def test_one_that_cannot_be_used_changes_nothing(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.put(pair().chain)
    assert watched.watch.look() == INTERVAL_S
    assert watched.served() == watched.first.pem
    assert watched.run.calls == []
    assert "the certificate stays as it is: the certificate has 0 keys" in caplog.text


def test_a_reload_that_failed_is_tried_again(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.put(pair().pem)
    watched.run.answers = {"systemctl reload": Done(1, "no")}
    watched.watch.look()
    assert "failed (1): no" in caplog.text
    watched.run.answers = {}
    watched.watch.look()
    assert watched.run.calls == ["systemctl reload nginx.service"] * 2


def test_one_that_ends_soon_is_told_of(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    old = self_signed((NAME,), datetime(2020, 1, 1, tzinfo=UTC))
    watched.put(old.pem)
    watched.watch.look()
    assert "renew it" in caplog.text


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="isochrone-node-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def echo(connection: Any) -> None:
    for message in connection:
        connection.send(message)


def context() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def served(port: int) -> bytes:
    """The certificate that a new connection gets."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as raw,
        context().wrap_socket(raw, server_hostname=NAME) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def der(made: Pair) -> bytes:
    return x509.load_pem_x509_certificate(made.chain.encode()).public_bytes(serialization.Encoding.DER)


def health(port: int) -> bytes:
    return ask(port, "/healthz")


def ask(port: int, path: str) -> bytes:
    """The first line of an answer over a new connection."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as raw,
        context().wrap_socket(raw, server_hostname=NAME) as connection,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        return connection.makefile("rb").readline()


def test_nginx_takes_the_new_one_keeps_its_users_leaves_dns_when_told_and_stems_a_flood(home: Path) -> None:
    first, second = pair(), pair()
    port, upstream, tls, draining = free_port(), home / "api-0.sock", home / "tls.pem", home / "draining"
    tls.write_text(first.pem)
    config = render.Nginx(
        server_names=(NAME,),
        address="127.0.0.1",
        upstreams=[upstream],
        certificate=tls,
        certificate_key=tls,
        directory=home,
        draining=draining,
        error_log=home / "error.log",
        handshakes_per_s=1,
        handshakes_burst=1,
        worker_processes=2,
        worker_connections=256,
        http_port=free_port(),
        https_port=port,
    )
    path = home / "nginx.conf"
    path.write_text(config.render())
    with unix_serve(
        echo,
        str(upstream),
        process_request=lambda c, r: c.respond(200, "ok") if r.path == "/healthz" else None,
    ) as server:
        upstream.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        nginx = subprocess.Popen([program("nginx"), "-e", home / "error.log", "-c", path])
        try:
            until("nginx", lambda: served(port) == der(first), timeout_s=20, process=nginx)

            async def stay() -> None:
                async with connect(
                    f"wss://{NAME}:{port}/ws", ssl=context(), host="127.0.0.1", port=port
                ) as user:
                    tls.write_text(second.pem)
                    nginx.send_signal(signal.SIGHUP)
                    until("the new one", lambda: served(port) == der(second) or None, timeout_s=20)
                    await user.send("still here")
                    assert await user.recv() == "still here"
                    assert b" 200 " in health(port)
                    draining.touch()
                    assert b" 503 " in health(port)
                    await user.send("and here")
                    assert await user.recv() == "and here"
                    draining.unlink()
                    assert b" 200 " in health(port)
                    assert any(b" 429 " in ask(port, "/ws") for _ in range(4))

            asyncio.run(asyncio.wait_for(stay(), 60))
        finally:
            nginx.terminate()
            nginx.wait(10)
            server.shutdown()
            thread.join()
