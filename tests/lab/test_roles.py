"""The small parts that the roles share: files, waiting, programs, secrets, certificates."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from lab import certificates, credentials, files, requirements
from lab.errors import MachineError
from lab.waiting import NotReadyError, until


def test_a_secret_is_its_owners_alone_from_the_start_and_when_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    files.write_secret(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("length", "fits"), [(107, True), (108, False)])
def test_a_sockets_path_has_an_end(length: int, fits: bool) -> None:
    path = Path("/" + "x" * (length - 1))
    if fits:
        assert files.socket_path(path) == path
    else:
        with pytest.raises(MachineError, match="shorter"):
            files.socket_path(path)


def test_an_unknown_user_is_a_missing_package(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no user nobody-of-that-name"):
        files.make_directory(tmp_path / "home", user="nobody-of-that-name")


def test_missing_programs_are_named_in_one_command() -> None:
    packages = {"no-such-program": "package-a", "nor-this-one": "package-b", "sh": "dash"}
    with pytest.raises(MachineError, match=r"apt-get install package-a package-b$"):
        requirements.check(packages)


def test_waiting_returns_the_first_answer() -> None:
    answers = iter([None, None, "served"])
    assert until("it", lambda: next(answers), timeout_s=10) == "served"


def test_waiting_ends_with_the_process_and_shows_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", "print('no such option'); exit(3)"], stdout=output
        ) as process,
        pytest.raises(NotReadyError, match=r"(?s)ended with status 3.*no such option"),
    ):
        until("it", lambda: None, timeout_s=30, process=process, log=log)


def test_waiting_ends_in_time_with_the_last_reason() -> None:
    def refused() -> bool:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(NotReadyError, match=r"not ready after 0\.1 s: nobody listens"):
        until("it", refused, timeout_s=0.1)


def test_every_lab_has_secrets_of_its_own(tmp_path: Path) -> None:
    labs = [credentials.create(tmp_path / name) for name in ("a", "b")]
    found = [path.read_text().strip() for lab in labs for path in lab.directory.iterdir()]
    assert (
        len(found)
        == len(set(found))
        == 2 * (2 + len(credentials.SQL_ACCOUNTS) + len(credentials.REDIS_ACCOUNTS))
    )
    assert all(len(secret) == 64 for secret in found)
    assert labs[0].directory.stat().st_mode & 0o777 == 0o700


def test_the_certificate_is_trusted_for_its_names_and_the_authoritys_key_is_gone(tmp_path: Path) -> None:
    tls = certificates.create(tmp_path / "tls", ["play.market.example", "*.play.market.example"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.certificate_key)
    for name in ("play.market.example", "sa-east-1.play.market.example"):
        handshake(server, ssl.create_default_context(cafile=str(tls.ca_file)), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cafile=str(tls.ca_file)), "other.example")
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.pem", "node.key", "node.pem"]
    assert tls.certificate_key.stat().st_mode & 0o777 == 0o600


def handshake(server_context: ssl.SSLContext, client_context: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
