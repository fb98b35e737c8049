"""What the lab's commands share: their options, errors as messages, signals as interruptions."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from bench.errors import BenchError
from infra.errors import InfraError
from infra.terminal import ERR
from lab.errors import LabError

Name = Annotated[str, typer.Option("--name", help="The lab's name; several may run beside one another.")]
Root = Annotated[Path, typer.Option("--state-dir", help="Where labs keep their state.")]
Stacks = Annotated[Path, typer.Option("--stacks", help="The directory of the Pulumi.<stack>.yaml files.")]


@contextmanager
def reported(status: int = 1) -> Iterator[None]:
    """Turns the project's errors into a message and this exit status, never a traceback."""
    try:
        yield
    except (LabError, InfraError, BenchError, OSError) as error:
        ERR.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(status) from None
    except KeyboardInterrupt:
        ERR.print("interrupted")
        raise typer.Exit(130) from None


@contextmanager
def terminable() -> Iterator[None]:
    """Has SIGTERM and SIGHUP interrupt as Ctrl-C does, so that they clean up too."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
