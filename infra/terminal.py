"""What commands share: their consoles, where the stack files are, and errors of `infra` as messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from infra.errors import InfraError

# Keys have colons, which would make emoji of some.
OUT: Final = Console(emoji=False)
ERR: Final = Console(stderr=True, emoji=False)

STACKS: Final = Path() if any(Path().glob("Pulumi.*.yaml")) else Path(__file__).parents[1]
"""Where the stack files are unless told: the working directory, or else the checkout that this is part of."""


@contextmanager
def reported() -> Iterator[None]:
    """Turns the errors of `infra` into a message and status 1, never a traceback."""
    try:
        yield
    except InfraError as error:
        ERR.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        ERR.print("interrupted; what AWS has begun goes on", highlight=False)
        raise typer.Exit(130) from None
