"""A certificate from an ACME authority, by a TXT record that only the owner of the names can write (DNS-01).

Every order has an account of its own, so that there is no account key to keep: an order every two months is
far from what authorities allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final, Protocol

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from ami.errors import AmiError
from ami.node.certificates import Pair, key_pem, new_key, parse

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
PATIENCE: Final = timedelta(minutes=5)
"""How long the authority may take to look at the record and to sign."""

TIMEOUT_S: Final = 30


class AcmeError(AmiError):
    """The authority did not issue a certificate; the message has its reason."""


class Challenge(Protocol):
    """Makes values answer as the TXT record of the challenge while the context lasts."""

    def __call__(self, values: Sequence[str]) -> AbstractContextManager[None]:
        """The context; once it is entered the record is on every name server."""


def order(
    names: Sequence[str], challenge: Challenge, *, directory: str = LETS_ENCRYPT, verify: bool = True
) -> Pair:
    """Order a certificate for names, with a new key (ECDSA P-256).

    Args:
        names: the names, all of which the one record stands for.
        challenge: how the record is written.
        directory: the authority's directory.
        verify: whether its own certificate has to be trusted; only a test's is not.

    Raises:
        AcmeError: when the authority refuses, does not answer, or does not see the record.
    """
    try:
        return _order(names, challenge, directory, verify)
    except errors.ValidationError as error:
        raise AcmeError(f"{directory} could not check {', '.join(names)}: {_failed(error)}") from error
    except (errors.Error, messages.Error, JoseError, requests.RequestException) as error:
        raise AcmeError(
            f"{directory} issued no certificate for {', '.join(names)}: {error or type(error).__name__}"
        ) from error


def _order(names: Sequence[str], challenge: Challenge, directory: str, verify: bool) -> Pair:
    net = client.ClientNetwork(
        JWKEC(key=new_key()),
        alg=ES256,
        verify_ssl=verify,
        user_agent="isochrone",
        timeout=TIMEOUT_S,
    )
    authority = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    authority.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    key = new_key()
    placed = authority.new_order(_request(names, key_pem(key)))
    asked = [_dns(authorization) for authorization in placed.authorizations if not _valid(authorization)]
    with challenge([body.chall.validation(net.key) for body in asked]):
        for body in asked:
            authority.answer_challenge(body, body.chall.response(net.key))
        # acme's deadlines are local times without a zone.
        done = authority.poll_and_finalize(placed, datetime.now() + PATIENCE)
    return parse(done.fullchain_pem + key_pem(key))


def _request(names: Sequence[str], key: str) -> bytes:
    """The request for the names; without a common name, which would hold no name of over 64 characters."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    private = serialization.load_pem_private_key(key.encode(), password=None)
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def _valid(authorization: messages.AuthorizationResource) -> bool:
    return bool(authorization.body.status == messages.STATUS_VALID)


def _dns(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for body in authorization.body.challenges:
        if isinstance(body.chall, challenges.DNS01):
            return body
    raise AcmeError(f"the authority does not check {authorization.body.identifier.value} by DNS")


def _failed(error: errors.ValidationError) -> str:
    reasons = [
        str(body.error.detail)
        for authorization in error.failed_authzrs
        for body in authorization.body.challenges
        if body.error is not None
    ]
    return "; ".join(dict.fromkeys(reasons)) or "it does not say why"
