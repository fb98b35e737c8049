"""How the steward keeps the certificate: it has a new one issued in time and puts it into the secret."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from ami.errors import AmiError
from ami.node import acme_order, aws, secret_store
from ami.node.acme_order import Challenge
from ami.node.certificates import Pair, parse
from ami.node.dns_challenge import answered
from ami.node.document import Certificate, Document
from ami.node.fellows import running

_log = logging.getLogger(__name__)

EARLY: Final = timedelta(days=30)
"""How long before its end a certificate is renewed: a third of the 90 days that Let's Encrypt gives."""

INTERVAL_S: Final = 6 * 3600.0
RETRY_S: Final = 1200.0
"""After a failure, such as a zone that is not delegated yet. Let's Encrypt allows five an hour."""

Order = Callable[[Sequence[str], Challenge], Pair]


class StandbyError(AmiError):
    """The machines of this one's kind could not be looked up."""


@dataclass(frozen=True)
class CertificateIssue:
    """Looks after the certificate in the secret.

    Args:
        document: what the machine was told.
        wanted: the names of the certificate, and where the challenge is answered.
        instance_id: the machine's id.
        order: how a certificate is ordered.
    """

    document: Document
    wanted: Certificate
    instance_id: str
    order: Order = acme_order.order

    def look(self) -> float:
        """Look once; seconds until the next look.

        Of several stewards the one with the lowest id works, so that two do not write the same record.
        """
        try:
            why = self._due()
            if why is None or not self._first():
                return INTERVAL_S * random.uniform(0.9, 1.1)  # noqa: S311
            _log.info("ordering a certificate for %s: %s", ", ".join(self.wanted.names), why)
            pair = self.order(self.wanted.names, self._challenge)
            self._put(pair)
            _log.info("the secret has a new certificate, good until %s", pair.expires.isoformat())
            return INTERVAL_S
        except AmiError as error:
            _log.error("the certificate is not renewed: %s", error)
            return RETRY_S

    def _due(self) -> str | None:
        """Why a new certificate is needed, None while the present one will do."""
        pem = secret_store.certificate(self.document)
        if pem is None:
            return "there is none yet"
        try:
            pair = parse(pem)
        except AmiError as error:
            return str(error)
        if missing := [name for name in self.wanted.names if name not in pair.names]:
            return f"the present one is not for {', '.join(missing)}"
        if pair.expires - datetime.now(UTC) < EARLY:
            return f"the present one ends at {pair.expires.isoformat()}"
        return None

    def _first(self) -> bool:
        listing = self.document.listing
        if listing is None:
            return True
        try:
            stewards = [f.instance_id for f in running(self.document.region, listing, self.document.role)]
        except aws.REFUSALS as error:
            raise StandbyError(f"the other stewards cannot be looked up: {aws.reason(error)}") from error
        return min([*stewards, self.instance_id]) == self.instance_id

    @property
    def _challenge(self) -> Challenge:
        region = self.document.region
        return partial(_answer, self.wanted, region)

    def _put(self, pair: Pair) -> None:
        name = self.document.secrets.write[secret_store.CERTIFICATE]
        secrets_manager: Any = aws.client("secretsmanager", self.document.home)
        try:
            secrets_manager.put_secret_value(SecretId=name, SecretString=pair.pem)
        except aws.REFUSALS as error:
            raise secret_store.SecretError(f"{name} cannot be written: {aws.reason(error)}") from error


def _answer(wanted: Certificate, region: str, values: Sequence[str]) -> Any:
    return answered(wanted.zone_id, wanted.challenge, values, region)
