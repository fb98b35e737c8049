"""The commands of the service, a module for those that load the same."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from market.log import set_up
from market.settings import Settings, load

SettingsFile = Annotated[
    Path, typer.Option("--settings", help="The TOML file that says all a process needs.")
]


def loaded(process: str, path: Path) -> Settings:
    """The settings of a process, which logs under its name from now on."""
    settings = load(path)
    set_up(process, region=settings.region, node=settings.node)
    return settings


def stopped() -> threading.Event:
    """What SIGTERM sets."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
