"""The rates of `connection_settings.Limits`, counted for this process."""

from __future__ import annotations

import math
import time

from market.connection_settings import Limits
from market.rates import Rate
from market.tokens import Identity


class Limiter:
    """What users and addresses may still do; every question counts when the answer is yes."""

    def __init__(self, limits: Limits) -> None:
        def rate(per_s: float) -> Rate:
            return Rate(per_s, limits.burst_s, time.monotonic)

        self._requests_by_user = rate(limits.requests_per_user_per_s)
        self._requests_by_address = rate(limits.requests_per_address_per_s)
        self._connections_by_user = rate(limits.connections_per_user_per_s)
        self._connections_by_address = rate(limits.connections_per_address_per_s)

    def request(self, identity: Identity | None, address: str | None) -> float:
        """0.0 when a request is let through, else in how many seconds it will be."""
        wait_s = self._requests_by_user.take(identity.user) if identity is not None else 0.0
        if not wait_s and address is not None:
            wait_s = self._requests_by_address.take(address)
        return wait_s

    def connection_of_user(self, user: str) -> float:
        """0.0 when a user's new connection is let through, else in how many seconds it will be."""
        return self._connections_by_user.take(user)

    def connection_from(self, address: str | None) -> float:
        """0.0 when a new connection from an address is let through, else in how many seconds it will be."""
        return self._connections_by_address.take(address) if address is not None else 0.0


def in_ms(wait_s: float) -> int:
    """A time to wait as clients are told, never too short."""
    return math.ceil(wait_s * 1000)
