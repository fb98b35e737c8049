"""The command line of the service."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Final

from market.command_group import group
from market.settings import MarketError

COMMANDS: Final[Mapping[str, str]] = {
    "api": "market.commands.serving:api",
    "feed": "market.commands.serving:feed",
    "resolver": "market.commands.resolver:resolver",
    "ledger": "market.commands.ledger:ledger",
    "follow": "market.commands.follow:follow",
    "migrate": "market.commands.migrate:migrate",
    "seed": "market.commands.seed:seed",
    "replay": "market.commands.replay:replay",
    "tokens": "market.commands.tokens:tokens",
    "token": "market.commands.tokens:token",
    "revoke": "market.commands.revoke:revoke",
    "admin": "market.commands.admin:app",
    "dump": "market.commands.printing:dump",
    "inventory": "market.commands.printing:inventory",
    "audit": "market.commands.printing:audit",
    "status": "market.commands.printing:status",
    "counters": "market.commands.printing:counters",
    "reference": "market.commands.reference:reference",
}
"""Each command, or group of commands, and where it is."""

app: Final = group("market", COMMANDS, "A parimutuel prediction market over WebSockets.")


def main() -> None:
    """Run a command; an error is one line on standard error and status 1."""
    try:
        app()
    except MarketError as error:
        sys.stderr.write(f"market: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
