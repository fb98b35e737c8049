"""A certificate with its key: taken apart, checked, and made when there is none yet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ami.errors import AmiError
from ami.node.paths import CERTIFICATE
from ami.node.system import File

SELF_SIGNED_DAYS: Final = 30
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


class CertificateError(AmiError):
    """A certificate cannot be used; the message says why and has nothing of the key."""


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key, both as PEM.

    Args:
        chain: the certificate first, then those that lead to an authority.
        key: its key.
        expires: until when it holds.
        names: the names that it is for.
        signed: whether another has signed it.
    """

    chain: str
    key: str = field(repr=False)
    expires: datetime
    names: tuple[str, ...]
    signed: bool

    @property
    def pem(self) -> str:
        """Both in one text, as the secret and nginx have them."""
        return self.chain + self.key


def certificate_file(pair: Pair) -> File:
    """The file of nginx's certificate, which its master process alone can read."""
    return File(CERTIFICATE, pair.pem, 0o600)


def parse(pem: str) -> Pair:
    """The certificate and the key in a text of PEM blocks, in any order.

    Raises:
        CertificateError: when one of them is missing or unreadable, they do not belong together, or the key
            is none that nginx is told to use (ECDSA).
    """
    blocks = [(match.group(1), match.group(0)) for match in _BLOCK.finditer(pem)]
    keys = [text for kind, text in blocks if kind.endswith("PRIVATE KEY")]
    chain = [text for kind, text in blocks if kind == "CERTIFICATE"]
    if len(keys) != 1 or not chain:
        raise CertificateError(
            f"the certificate has {len(keys)} keys and {len(chain)} certificates as PEM;"
            " put one key, its certificate and the chain into the secret"
        )
    try:
        key = serialization.load_pem_private_key(keys[0].encode(), password=None)
        certificates = [x509.load_pem_x509_certificate(text.encode()) for text in chain]
    except (ValueError, TypeError):
        raise CertificateError("the certificate or its key is damaged or encrypted; put it anew") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(
            "the certificate's key is not ECDSA, which is what nginx here speaks; use P-256"
        )
    own = [index for index, found in enumerate(certificates) if found.public_key() == key.public_key()]
    if not own:
        raise CertificateError("the key is not that of any certificate beside it; put both anew")
    leaf = certificates[own[0]]
    order = [own[0], *(index for index in range(len(chain)) if index != own[0])]
    return Pair(
        "".join(f"{chain[index]}\n" for index in order),
        f"{keys[0]}\n",
        leaf.not_valid_after_utc,
        _names(leaf),
        leaf.issuer != leaf.subject,
    )


def self_signed(names: Sequence[str], now: datetime | None = None) -> Pair:
    """A certificate that nobody has signed, ECDSA P-256: until there is one that users trust."""
    begin = now or datetime.now(UTC)
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Isochrone, not signed yet")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - timedelta(hours=1))
        .not_valid_after(begin + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return parse(certificate.public_bytes(serialization.Encoding.PEM).decode() + key_pem(key))


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new key of a certificate (P-256)."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))
