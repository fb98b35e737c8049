"""The process beside a replica."""

from __future__ import annotations

from market.commands import SettingsFile, loaded, stopped
from market.follow import Follower


def follow(settings: SettingsFile) -> None:
    """Keep the replica that is read from hung to a standby at home until SIGTERM."""
    Follower(loaded("follow", settings), stopped()).run()
