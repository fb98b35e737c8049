"""The lab's certificate authority and the certificate of its nodes (ECDSA P-256), made by `openssl`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import MachineError
from lab.files import make_directory
from lab.requirements import program

_DAYS: Final = "30"
_OPENSSL_TIMEOUT_S: Final = 30.0
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """The authority that clients trust, and the nodes' certificate and key."""

    ca_file: Path
    certificate: Path
    certificate_key: Path


def create(directory: Path, names: Sequence[str]) -> Certificates:
    """Makes an authority and a certificate for `names`; the authority's key is thrown away.

    Raises:
        MachineError: when `openssl` fails.
    """
    make_directory(directory)
    made = Certificates(directory / "ca.pem", directory / "node.pem", directory / "node.key")
    authority_key = directory / "ca.key"
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-keyout", str(authority_key), "-out", str(made.ca_file)),
        *("-days", _DAYS, "-subj", "/CN=Isochrone lab CA"),
        *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-CA", str(made.ca_file), "-CAkey", str(authority_key)),
        *("-keyout", str(made.certificate_key), "-out", str(made.certificate)),
        *("-days", _DAYS, "-subj", "/CN=Isochrone lab node"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "keyUsage=critical,digitalSignature"),
        *("-addext", "extendedKeyUsage=serverAuth"),
        *("-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)),
    )
    authority_key.unlink()
    made.certificate_key.chmod(0o600)
    return made


def _openssl(*arguments: str) -> None:
    done = subprocess.run(
        [program("openssl"), *arguments],
        capture_output=True,
        text=True,
        timeout=_OPENSSL_TIMEOUT_S,
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise MachineError(f"`openssl {arguments[0]}` failed: {done.stderr.strip()}")
