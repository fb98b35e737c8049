"""AWS's agent is installed when its signature is of the key on the image, and for no other reason."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from ami.node import session_agent
from ami.node.session_agent import AgentError, SessionAgent, binary_key, bucket, object_key
from ami.node.system import Disk, Done, run
from tests.ami.node_fakes import HOME, Programs, account, disk

ROOTFS = Path(__file__).parents[2] / "ami" / "rootfs"


@dataclass(frozen=True)
class Signer:
    """Makes keys and signatures with the real program."""

    home: Path

    def key(self, name: str, *options: str) -> str:
        self._gpg(*options, "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "1d")
        return self._gpg("--armor", "--export", name)

    def sign(self, name: str, package: bytes, *options: str) -> bytes:
        file = self.home / "package"
        file.write_bytes(package)
        (self.home / "package.sig").unlink(missing_ok=True)
        self._gpg(*options, "--local-user", name, "--detach-sign", str(file))
        return (self.home / "package.sig").read_bytes()

    def _gpg(self, *argv: str) -> str:
        command = ("gpg", "--homedir", str(self.home), "--batch", "--quiet", *argv)
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=50).stdout


LONG_AGO = ("--faked-system-time", "20200101T000000")


@dataclass(frozen=True)
class Keys:
    """A key that holds, one that has expired, and what they have signed."""

    mine: str
    expired: str
    signature: bytes
    expired_signature: bytes
    another_signature: bytes


PACKAGE = b"a package"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    signer = Signer(home)
    mine, expired = signer.key("mine@market.example"), signer.key("old@market.example", *LONG_AGO)
    signer.key("another@market.example")
    yield Keys(
        mine,
        expired,
        signer.sign("mine@market.example", PACKAGE),
        signer.sign("old@market.example", PACKAGE, *LONG_AGO),
        signer.sign("another@market.example", PACKAGE),
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=20)
    shutil.rmtree(home)


@dataclass
class Machine(Programs):
    """A machine that verifies with the real program and installs nothing."""

    def __call__(self, argv: Sequence[str], timeout_s: float = 50) -> Done:
        super().__call__(argv, timeout_s)
        return run(argv, timeout_s) if argv[0] == "gpgv" else Done(0, "")

    @property
    def installed(self) -> bool:
        return any(call.startswith("dpkg --install") for call in self.calls)


@dataclass
class Bucket:
    """AWS's bucket."""

    package: bytes
    signature: bytes
    asked: list[str] = field(default_factory=list)

    def __call__(self, region: str, key: str, into: Path) -> None:
        self.asked.append(key)
        into.write_bytes(self.signature if key.endswith(".sig") else self.package)


def prepared(root: Path, key: str | None) -> Disk:
    made = disk(root)[0]
    made.at(session_agent.KEEPING).mkdir(parents=True)
    if key is not None:
        made.at(session_agent.KEY).parent.mkdir(parents=True)
        made.at(session_agent.KEY).write_text(key)
    return made


def test_a_package_that_the_key_has_signed_is_installed_and_started(tmp_path: Path, keys: Keys) -> None:
    machine = Machine()
    SessionAgent(prepared(tmp_path, keys.mine), machine, Bucket(PACKAGE, keys.signature)).ensure(HOME)
    assert machine.installed
    assert machine.calls[-1] == "systemctl enable --now amazon-ssm-agent.service"
    assert list((tmp_path / "var/tmp").iterdir()) == []


def test_what_the_key_has_not_signed_is_not_installed(tmp_path: Path, keys: Keys) -> None:
    wrong = {
        "another package": (b"another package", keys.signature),
        "another key": (PACKAGE, keys.another_signature),
        "two signatures": (PACKAGE, keys.signature + keys.another_signature),
        "no signature": (PACKAGE, b""),
        "garbage": (PACKAGE, b"\x00garbage"),
    }
    for number, (package, signature) in enumerate(wrong.values()):
        machine = Machine()
        on = prepared(tmp_path / str(number), keys.mine)
        with pytest.raises(AgentError, match="its signature is not of the key on the image"):
            SessionAgent(on, machine, Bucket(package, signature)).ensure(HOME)
        assert not machine.installed


def test_a_key_that_has_expired_verifies_nothing_any_more(tmp_path: Path, keys: Keys) -> None:
    machine = Machine()
    with pytest.raises(AgentError, match="has expired: build an image with AWS's present one"):
        SessionAgent(
            prepared(tmp_path, keys.expired), machine, Bucket(PACKAGE, keys.expired_signature)
        ).ensure(HOME)
    assert not machine.installed


def test_without_a_key_nothing_is_fetched_and_the_log_says_why(
    tmp_path: Path, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    machine, there = Machine(), Bucket(PACKAGE, keys.signature)
    SessionAgent(prepared(tmp_path, None), machine, there).ensure(HOME)
    assert (there.asked, machine.calls) == ([], [])
    assert "Session Manager does not reach this machine" in caplog.text


def test_an_agent_that_is_there_is_not_fetched_again(tmp_path: Path, keys: Keys) -> None:
    machine, there = Machine(), Bucket(PACKAGE, keys.signature)
    on = prepared(tmp_path, keys.mine)
    on.at(session_agent.PROGRAM).parent.mkdir(parents=True)
    on.at(session_agent.PROGRAM).touch()
    SessionAgent(on, machine, there).ensure(HOME)
    assert there.asked == []
    assert machine.calls == ["systemctl enable --now amazon-ssm-agent.service"]


@pytest.mark.parametrize(
    "text", ["", "not a key", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nA$B\n-----END PGP"]
)
def test_a_file_that_is_no_key_is_said_to_be_none(text: str) -> None:
    with pytest.raises(AgentError, match="no public key in ASCII armour"):
        binary_key(text)


def test_the_package_is_read_from_aws_bucket_of_the_region(tmp_path: Path) -> None:
    with account():
        s3 = boto3.client("s3", region_name=HOME)
        s3.create_bucket(Bucket=bucket(HOME), CreateBucketConfiguration={"LocationConstraint": HOME})
        s3.put_object(Bucket=bucket(HOME), Key=object_key(), Body=PACKAGE, ACL="public-read")
        session_agent.fetch(HOME, object_key(), tmp_path / "package")
        assert (tmp_path / "package").read_bytes() == PACKAGE
        with pytest.raises(AgentError, match=r"amazon-ssm-eu-west-1/none cannot be fetched: NoSuchKey"):
            session_agent.fetch(HOME, "none", tmp_path / "none")


def test_a_package_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_agent, "MOST_BYTES", 4)
    with account():
        s3 = boto3.client("s3", region_name=HOME)
        s3.create_bucket(Bucket=bucket(HOME), CreateBucketConfiguration={"LocationConstraint": HOME})
        s3.put_object(Bucket=bucket(HOME), Key=object_key(), Body=PACKAGE, ACL="public-read")
        with pytest.raises(AgentError, match="has more than"):
            session_agent.fetch(HOME, object_key(), tmp_path / "package")


def test_the_key_on_the_image_is_the_one_that_the_documents_name() -> None:
    file = ROOTFS / session_agent.KEY.relative_to("/")
    key = binary_key(file.read_text(encoding="ascii"))
    kind, length = struct.unpack_from(">BH", key)
    assert kind == 0x99, "a public key with a length of two octets (RFC 4880, section 4.2)"
    digits = hashlib.sha1(key[: 3 + length], usedforsecurity=False).hexdigest().upper()
    fingerprint = " ".join(digits[at : at + 4] for at in range(0, 40, 4))
    assert fingerprint in (ROOTFS.parents[1] / "docs/image.md").read_text(encoding="utf-8")
