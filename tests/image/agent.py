"""AWS's bucket with a Systems Manager agent in it: a package of the test's, signed by a key of the test's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.node.session_agent import KEY, UNIT, bucket, object_key
from tests.image.cloud import Cloud

KEY_FILE: Final = str(KEY)

_CONTROL: Final = """Package: amazon-ssm-agent
Version: 3.3.0.0-1
Architecture: amd64
Maintainer: a test <test@market.example>
Description: a stand-in for the agent
"""
_UNIT: Final = """[Unit]
Description=a stand-in for the agent
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Published:
    """A package, its signature, and the key to verify it with (as text)."""

    package: bytes
    signature: bytes
    key: str


def make(directory: Path) -> Published:
    """Build and sign a package."""
    tree = directory / "tree"
    for path, text in (("DEBIAN/control", _CONTROL), (f"lib/systemd/system/{UNIT}", _UNIT)):
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    package = directory / "agent.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(package))
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "")
    try:
        _run(*gpg, "--quick-generate-key", "test@market.example", "ed25519", "sign", "1d")
        _run(*gpg, "--detach-sign", str(package))
        key = _run(*gpg, "--armor", "--export")
    finally:
        _run("gpgconf", "--homedir", str(home), "--kill", "all")
    return Published(package.read_bytes(), package.with_name("agent.deb.sig").read_bytes(), key)


def publish(aws: Cloud, region: str, directory: Path) -> Published:
    """Put a package where AWS has its own."""
    made = make(directory)
    s3 = aws.client("s3", region)
    s3.create_bucket(Bucket=bucket(region), CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_object(Bucket=bucket(region), Key=object_key(), Body=made.package, ACL="public-read")
    s3.put_object(Bucket=bucket(region), Key=object_key() + ".sig", Body=made.signature, ACL="public-read")
    return made


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
