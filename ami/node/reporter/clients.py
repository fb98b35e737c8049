"""Clients of AWS, each made once: making one is not safe in several threads at a time."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Final

from ami.node import aws

_making: Final = threading.Lock()
_made: Final = cache(aws.client)


def client(service: str, region: str) -> Any:
    """The client of a service in a region.

    Raises:
        AwsError: when there is no such service or region.
    """
    with _making:
        return _made(service, region)
