"""Whether a certificate that the configuration gives can be served, looked at before anything is declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

_KEY: Final = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


def mistakes(pem: str, names: Sequence[str], now: datetime | None = None) -> Iterator[str]:
    """What is wrong with a certificate, its chain and its key in one text of PEM; nothing of the key is said.

    Every regional name has to be there: Route53's health checks ask each region by its own, and where the
    certificate is not for it ask again without a name
    (`EnableSNI` of https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html), which
    nginx refuses. All regions then count as failed while users connect as if nothing were wrong.

    Args:
        pem: the text.
        names: the names that users and health checks ask for.
        now: when it has to hold; by default the present.
    """
    keys = [match.group(0) for match in _KEY.finditer(pem)]
    try:
        (key,) = (serialization.load_pem_private_key(text.encode(), password=None) for text in keys)
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, TypeError):
        yield (
            "has to be one key that is not encrypted, its certificate and the chain, all as PEM;"
            f" it has {len(keys)} keys, or one of them cannot be read"
        )
        return
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        yield "has a key that is not ECDSA, which is what nginx here speaks; order one with P-256"
    own = [found for found in certificates if found.public_key() == key.public_key()]
    if not own:
        yield "has a key that is not that of any certificate beside it"
        return
    leaf = own[0]
    if leaf.not_valid_after_utc <= (now or datetime.now(UTC)):
        yield f"expired at {leaf.not_valid_after_utc.isoformat()}"
    held = _names(leaf)
    if lacking := [name for name in names if not held & {name, _wildcard(name)}]:
        yield f"is not for {', '.join(lacking)}; order one for {names[0]} and *.{names[0]}"


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {name.lower() for name in found.value.get_values_for_type(x509.DNSName)}


def _wildcard(name: str) -> str:
    return f"*.{name.partition('.')[2]}"
