"""How a new certificate reaches nginx: the secret is looked at, and nginx reads its file again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ami.errors import AmiError
from ami.node import secret_store
from ami.node.certificates import CertificateError, certificate_file, parse
from ami.node.document import Document
from ami.node.paths import CERTIFICATE
from ami.node.plan import UNIT_OF
from ami.node.system import Disk, Run, must

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 600.0
"""How often the secret is looked at; a certificate is renewed weeks before it ends."""

FIRST_INTERVAL_S: Final = 30.0
"""How often while there is none yet, as users wait for it."""

SHORT: Final = timedelta(days=14)
"""A certificate that ends sooner is late in its renewal."""


@dataclass
class CertificateWatch:
    """Looks after the certificate of a machine that runs nginx."""

    document: Document
    disk: Disk
    run: Run
    _stale: bool = field(default=False, init=False)
    """Whether nginx has not read the file since it changed."""

    def first_look_s(self) -> float:
        """Seconds until the first look: the boot has just read the secret.

        When nginx has a certificate that nobody signed, there was none then.
        """
        try:
            signed = parse(self.disk.at(CERTIFICATE).read_text(encoding="utf-8")).signed
        except (OSError, CertificateError):
            return 0.0
        return INTERVAL_S if signed else FIRST_INTERVAL_S

    def look(self) -> float:
        """Look once; seconds until the next look.

        nginx starts new workers with the new certificate; those that have connections keep them until the
        last has ended. A certificate that cannot be used leaves the present one in place.
        """
        try:
            pem = secret_store.certificate(self.document)
            if pem is None:
                return FIRST_INTERVAL_S
            pair = parse(pem)
            file = certificate_file(pair)
            path = self.disk.at(CERTIFICATE)
            if not path.exists() or path.read_text(encoding="utf-8") != file.text:
                self.disk.write(file)
                self._stale = True
            if self._stale:
                must(self.run, ["systemctl", "reload", UNIT_OF["nginx"]])
                self._stale = False
                _log.info("nginx has a new certificate, good until %s", pair.expires.isoformat())
            if pair.expires - datetime.now(UTC) < SHORT:
                _log.warning("the certificate ends at %s: renew it", pair.expires.isoformat())
        except AmiError as error:
            _log.error("the certificate stays as it is: %s", error)
        return INTERVAL_S
