"""Where in the world users are, for records that answer by it: continents, countries, states of the US.

Every location names the region that is nearest of the eight. Where an architecture has no nodes there, the
node region with the smallest measured round trip from it answers. A location has a record of its own only
where its answer differs from that of the larger one around it; `EVERYWHERE` answers for all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra.architecture import Architecture
from infra.regions import matrix

_MATRIX: Final = "2024"
"""The round trips that stand in for distance where there are no nodes in the nearest region."""


@dataclass(frozen=True, order=True)
class Location:
    """A place as Route53 knows it: a continent's code, a country's (ISO 3166), a state's of the US."""

    continent: str
    country: str | None = None
    state: str | None = None

    @property
    def code(self) -> str:
        """The codes from the largest to the smallest, as in `NA-US-OR`."""
        return "-".join(part for part in (self.continent, self.country, self.state) if part)

    def around(self) -> Iterator[Location]:
        """This location and those that contain it, the smallest first: the order in which Route53 looks."""
        if self.state:
            yield self
        if self.country:
            yield Location(self.continent, self.country)
        yield Location(self.continent)
        yield EVERYWHERE


EVERYWHERE: Final = Location("*")
"""The default, also for addresses that Route53 cannot place."""


def _table() -> Mapping[Location, str]:
    continents = {
        "AF": "eu-west-1",
        "AS": "ap-southeast-1",
        "EU": "eu-west-1",
        "NA": "us-east-1",
        "OC": "ap-southeast-2",
        "SA": "sa-east-1",
    }
    countries = {
        ("AS", "ap-northeast-1"): "CN JP KR MN TW",
        ("AS", "eu-west-1"): "AE AM AZ BH GE IL IQ IR JO KW LB OM PS QA SA SY TR YE",
        ("SA", "us-east-1"): "CO EC VE",
    }
    states = {
        "us-west-1": "AZ CA HI NM NV UT",
        "us-west-2": "AK ID MT OR WA WY",
    }
    table = {Location(continent): region for continent, region in continents.items()}
    for (continent, region), codes in countries.items():
        table |= {Location(continent, country): region for country in codes.split()}
    for region, codes in states.items():
        table |= {Location("NA", "US", state): region for state in codes.split()}
    return table


NEAREST: Final = _table()
"""The nearest of the eight regions for each location that has one of its own, larger locations first.

East Asia is nearer to Tokyo than to Singapore, the Middle East to Ireland by today's cables, the north of
South America to Virginia, the western states to California and Oregon.
"""

USERS_IN: Final[Mapping[str, Location]] = {
    "us-east-1": Location("NA", "US", "VA"),
    "us-west-1": Location("NA", "US", "CA"),
    "us-west-2": Location("NA", "US", "OR"),
    "eu-west-1": Location("EU", "IE"),
    "ap-southeast-1": Location("AS", "SG"),
    "ap-southeast-2": Location("OC", "AU"),
    "ap-northeast-1": Location("AS", "JP"),
    "sa-east-1": Location("SA", "BR"),
}
"""Where the users of each region of the comparison are."""


def answers(architecture: Architecture) -> Mapping[Location, str]:
    """The node region that each geolocation record of an architecture answers with, the default first.

    The default is home, or the first node region where home has no nodes.
    """
    nodes = architecture.nodes.regions
    found = {EVERYWHERE: architecture.home if architecture.home in nodes else nodes[0]}
    for location, nearest in NEAREST.items():
        region = _node_near(nearest, nodes)
        if region != answer_for(location, found):
            found[location] = region
    return found


def answer_for(location: Location, records: Mapping[Location, str]) -> str:
    """What users at a location are answered: the record of the smallest location around them."""
    return next(records[larger] for larger in location.around() if larger in records)


def _node_near(nearest: str, nodes: Sequence[str]) -> str:
    rtt_ms = matrix(_MATRIX).rtt_ms
    return min(nodes, key=lambda node: rtt_ms[nearest, node])
