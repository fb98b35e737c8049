"""Where the regions are, for the report's map: the name of the place, latitude and longitude in degrees.

The coordinates are those of the cities or states that the regions are named after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Place:
    """A region's name, and where to draw it (degrees; north and east are positive)."""

    name: str
    latitude: float
    longitude: float


PLACES: Final[Mapping[str, Place]] = {
    "us-east-1": Place("N. Virginia", 39.0, -77.5),
    "us-west-1": Place("N. California", 37.4, -122.0),
    "us-west-2": Place("Oregon", 45.8, -119.7),
    "eu-west-1": Place("Ireland", 53.3, -6.3),
    "ap-southeast-1": Place("Singapore", 1.35, 103.8),
    "ap-southeast-2": Place("Sydney", -33.9, 151.2),
    "ap-northeast-1": Place("Tokyo", 35.7, 139.7),
    "sa-east-1": Place("São Paulo", -23.5, -46.6),
}
"""The eight regions of the comparison."""


def name_of(region: str) -> str:
    """The name of a region's place; its code when it is not one of the eight."""
    place = PLACES.get(region)
    return place.name if place else region
