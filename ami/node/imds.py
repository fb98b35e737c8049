"""The instance metadata service, version 2: who and where this machine is, and what it is told.

Nothing is kept: two machines from one image, or one machine after another boot, each ask for themselves.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ami.errors import AmiError

ENDPOINT: Final = "http://169.254.169.254"
ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
"""The environment variable by which the AWS SDKs, and this, are sent to a stand-in."""

TOKEN_TTL_S: Final = 21_600
"""How long a token holds: the longest that the service gives."""

TIMEOUT_S: Final = 2.0
"""Of one request: the service is on the machine's own host."""

PATIENCE_S: Final = 60.0
"""How long the service may be out of reach, as it is until the network is up."""

PAUSE_S: Final = 1.0

_TOKEN_HEADER: Final = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_TTL_HEADER: Final = "X-aws-ec2-metadata-token-ttl-seconds"


class MetadataError(AmiError):
    """The metadata service does not answer, or not with what every machine has."""


@dataclass
class Imds:
    """A client of the metadata service.

    Args:
        endpoint: where it is.
        patience_s: seconds for which a request is tried again.
        sleep: how to wait between two attempts.
    """

    endpoint: str = field(default_factory=lambda: os.environ.get(ENDPOINT_VARIABLE) or ENDPOINT)
    patience_s: float = PATIENCE_S
    sleep: Callable[[float], None] = time.sleep
    _token: str | None = field(default=None, repr=False)

    def instance_id(self) -> str:
        """The id of this machine."""
        return self._required("meta-data/instance-id")

    def region(self) -> str:
        """The region of this machine."""
        return self._required("meta-data/placement/region")

    def address(self) -> str:
        """The private address of this machine."""
        return self._required("meta-data/local-ipv4")

    def user_data(self) -> str:
        """What the machine is told at boot.

        Raises:
            MetadataError: when it is told nothing.
        """
        text = self.get("user-data")
        if not text or not text.strip():
            raise MetadataError(
                "this machine has no user data; start it from a stack, which tells it its role"
            )
        return text

    def leaving(self) -> str | None:
        """Why this machine is to go, None when it is to stay."""
        if self.get("meta-data/autoscaling/target-lifecycle-state") == "Terminated":
            return "its group ends it"
        if self.get("meta-data/spot/instance-action") is not None:
            return "AWS takes the spot machine back"
        return None

    def get(self, path: str) -> str | None:
        """What the service answers for a path; None when it has nothing there.

        Raises:
            MetadataError: when it does not answer in time.
        """
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return self._get(path)
            except (OSError, http.client.HTTPException, _RefusedError) as error:
                if time.monotonic() >= deadline:
                    raise MetadataError(
                        f"the metadata service at {self.endpoint} does not answer for {path}:"
                        f" {str(error) or type(error).__name__}; is this a machine on AWS?"
                    ) from error
            self.sleep(PAUSE_S)

    def _required(self, path: str) -> str:
        text = self.get(path)
        if not text:
            raise MetadataError(f"the metadata service has no {path}")
        return text.strip()

    def _get(self, path: str) -> str | None:
        if self._token is None:
            status, text = self._request("PUT", "api/token", {_TTL_HEADER: str(TOKEN_TTL_S)})
            if status != http.HTTPStatus.OK:
                raise _RefusedError(f"it gives no token ({status})")
            self._token = text
        status, text = self._request("GET", path, {_TOKEN_HEADER: self._token})
        if status == http.HTTPStatus.OK:
            return text
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        self._token = None
        raise _RefusedError(f"it answers {status}")

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        where = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=TIMEOUT_S)
        try:
            connection.request(method, f"/latest/{path}", headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", errors="replace")
        finally:
            connection.close()


class _RefusedError(Exception):
    """One attempt had no answer to use."""
