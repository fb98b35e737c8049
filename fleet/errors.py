"""What can go wrong with a load fleet, under one root."""

from __future__ import annotations


class FleetError(Exception):
    """The root of the fleet's errors; the message says what to do."""
