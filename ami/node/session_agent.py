"""AWS's Systems Manager agent, by which an engineer gets onto a machine: only AWS delivers it.

It is fetched at the first boot from AWS's own bucket of the region, and installed only when its signature is
one of the key on the image. The bucket is reached without a public address and without permissions.
"""

from __future__ import annotations

import base64
import binascii
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from ami.errors import AmiError
from ami.node import aws
from ami.node.system import Disk, Run, must

_log = logging.getLogger(__name__)

KEY: Final = Path("/usr/share/isochrone/ssm-agent.asc")
"""AWS's public key in ASCII armour; docs/image.md says how it comes there."""

PROGRAM: Final = Path("/usr/bin/amazon-ssm-agent")
UNIT: Final = "amazon-ssm-agent.service"
KEEPING: Final = Path("/var/tmp")  # noqa: S108 - the directory in it has a name of its own
MOST_BYTES: Final = 256 << 20
"""The package has some 35 MiB."""

_PART_BYTES: Final = 1 << 20
INSTALL_S: Final = 300.0
_GOOD: Final = "[GNUPG:] GOODSIG "


class AgentError(AmiError):
    """The agent is not on this machine and could not be had; it is tried again."""


class Fetch(Protocol):
    """Brings an object of AWS's bucket into a file."""

    def __call__(self, region: str, key: str, into: Path) -> None:
        """Raises `AgentError` when it cannot be had."""


def bucket(region: str) -> str:
    """AWS's bucket of a region.

    Source: the Systems Manager user guide, "Verifying the signature of SSM Agent".
    """
    return f"amazon-ssm-{region}"


def object_key() -> str:
    """The package in it; its signature has `.sig` behind it."""
    return "latest/debian_amd64/amazon-ssm-agent.deb"


def fetch(region: str, key: str, into: Path) -> None:
    """See `Fetch`; anybody may read there, so that the request is not signed."""
    try:
        answer: Any = aws.client("s3", region, signed=False).get_object(Bucket=bucket(region), Key=key)
        size = 0
        with into.open("wb") as stream:
            for part in answer["Body"].iter_chunks(_PART_BYTES):
                size += len(part)
                if size > MOST_BYTES:
                    raise AgentError(f"{bucket(region)}/{key} has more than {MOST_BYTES >> 20} MiB")
                stream.write(part)
    except (*aws.REFUSALS, OSError) as error:
        why = aws.reason(error) if isinstance(error, aws.REFUSALS) else str(error)
        raise AgentError(f"{bucket(region)}/{key} cannot be fetched: {why}") from error


@dataclass(frozen=True)
class SessionAgent:
    """What the installation needs.

    Args:
        disk: where the key is, and the package is kept for a moment.
        run: how programs are run.
        fetch: how AWS's bucket is read.
    """

    disk: Disk
    run: Run
    fetch: Fetch = fetch

    def ensure(self, region: str) -> None:
        """Install the agent unless it is there, and start it.

        Without a key nothing is fetched: what could not be verified is not installed.

        Raises:
            AgentError: when it cannot be fetched, or its signature is not one to trust.
            ProgramError: when it cannot be installed.
        """
        if not self.disk.at(PROGRAM).exists():
            key = self.disk.at(KEY)
            if not key.exists():
                _log.warning(
                    "Session Manager does not reach this machine: the image has no key of AWS's to verify the"
                    " agent with (%s)",
                    KEY,
                )
                return
            with tempfile.TemporaryDirectory(prefix="session-agent-", dir=self.disk.at(KEEPING)) as name:
                self._install(region, Path(name), key.read_text(encoding="ascii", errors="replace"))
        must(self.run, ["systemctl", "enable", "--now", UNIT])
        _log.info("Session Manager reaches this machine")

    def _install(self, region: str, directory: Path, key: str) -> None:
        package, signature, keyring = (directory / name for name in ("agent.deb", "agent.sig", "key.gpg"))
        keyring.write_bytes(binary_key(key))
        self.fetch(region, object_key() + ".sig", signature)
        self.fetch(region, object_key(), package)
        argv = ["gpgv", "--status-fd", "1", "--keyring", str(keyring), str(signature), str(package)]
        refuse(self.run(argv).output)
        must(self.run, ["dpkg", "--install", str(package)], INSTALL_S)


def refuse(status: str) -> None:
    """Refuse a package by what `gpgv --status-fd` says of its signature.

    The status of the program itself does not do: it is 0 also for a key that has expired.

    Raises:
        AgentError: unless there is one signature, and it is good and of a key that still holds.
    """
    lines = status.splitlines()
    verdicts = [line for line in lines if line.startswith("[GNUPG:] NEWSIG")]
    if len(verdicts) == 1 and any(line.startswith(_GOOD) for line in lines):
        return
    if any(line.startswith("[GNUPG:] EXPKEYSIG") for line in lines):
        why = f"the key in {KEY} has expired: build an image with AWS's present one"
    else:
        why = "its signature is not of the key on the image"
    raise AgentError(f"Systems Manager's agent is not installed: {why}")


def binary_key(armoured: str) -> bytes:
    """The bytes of a key in ASCII armour, which is what gpgv reads (RFC 4880, section 6.2).

    Raises:
        AgentError: when it is none.
    """
    lines = [line.strip() for line in armoured.strip().splitlines()]
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    try:
        block = lines[lines.index(begin) + 1 : lines.index(end)]
        body = block[block.index("") + 1 :]
        return base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
    except (ValueError, binascii.Error):
        raise AgentError(f"{KEY} has no public key in ASCII armour; build the image with AWS's") from None
