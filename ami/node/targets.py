"""What Prometheus scrapes: asked of the machine that lists all others, which is found by its tags."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from ami.node import aws
from ami.node.document import Scraping
from ami.node.fellows import running
from ami.node.paths import TARGETS
from ami.node.system import Disk, File

_log = logging.getLogger(__name__)

INTERVAL_S: Final = 60.0
TIMEOUT_S: Final = 5.0


class TargetGroup(Struct, frozen=True):
    """Addresses with their labels, as Prometheus's service discovery has them."""

    targets: list[str]
    labels: dict[str, str] = {}


Ask = Callable[[str], bytes]


def ask(url: str) -> bytes:
    """What a machine of the stack answers by HTTP; raises `OSError`."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - addresses from EC2
        return bytes(answer.read())


def refresh(scraping: Scraping, disk: Disk, ask: Ask = ask) -> bool:
    """Write the present targets for Prometheus; whether there were any to be had. Earlier ones stay else."""
    why = "no machine lists the others yet"
    try:
        for address in _listers(scraping):
            url = f"http://{address}:{scraping.port}{scraping.path}"
            try:
                groups = msgspec.json.decode(ask(url), type=list[TargetGroup])
            except (OSError, msgspec.MsgspecError) as error:
                why = f"{url}: {error}"
                continue
            disk.write(File(TARGETS, msgspec.json.encode(groups).decode()))
            return True
    except aws.REFUSALS as error:
        why = aws.reason(error)
    _log.warning("the machines to scrape stay as they are: %s", why)
    return False


def _listers(scraping: Scraping) -> Iterator[str]:
    for region in scraping.finding.regions:
        yield from (fellow.address for fellow in running(region, scraping.finding, scraping.listed_by))
