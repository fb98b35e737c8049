"""The eight regions, and the measured round trips between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from infra.errors import InfraError

REGIONS: Final[Mapping[str, str]] = {
    "us-east-1": "N. Virginia",
    "us-west-1": "N. California",
    "us-west-2": "Oregon",
    "eu-west-1": "Ireland",
    "ap-southeast-1": "Singapore",
    "ap-southeast-2": "Sydney",
    "ap-northeast-1": "Tokyo",
    "sa-east-1": "São Paulo",
}
"""The regions of the comparison, by code."""


class UnknownMatrixError(InfraError):
    """There is no matrix of round trips of that name."""


@dataclass(frozen=True)
class RttMatrix:
    """Round trips between regions in milliseconds, with the measurement's source."""

    name: str
    source: str
    rtt_ms: Mapping[tuple[str, str], float]

    def one_way_ms(self, a: str, b: str) -> float:
        """Half the round trip that was measured from `a` to `b`."""
        return self.rtt_ms[a, b] / 2


@cache
def matrices() -> Mapping[str, RttMatrix]:
    """The matrices of `data/rtt.json`, by name (the year)."""
    data = json.loads(resources.files("infra").joinpath("data/rtt.json").read_text(encoding="utf-8"))
    regions = data["regions"]
    return {
        name: RttMatrix(
            name,
            m["source"],
            {(a, b): float(m["rtt"][i][j]) for i, a in enumerate(regions) for j, b in enumerate(regions)},
        )
        for name, m in data["matrices"].items()
    }


def matrix(name: str) -> RttMatrix:
    """The matrix of that name.

    Raises:
        UnknownMatrixError: when there is none; the message names those that there are.
    """
    try:
        return matrices()[name]
    except KeyError:
        raise UnknownMatrixError(
            f"there is no matrix {name!r}; choose one of {', '.join(matrices())}"
        ) from None
