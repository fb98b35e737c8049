"""`isochrone image`: publishes the machine image's disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from ami.errors import AmiError
from ami.publish.bar import Bar
from ami.publish.blocks import BLOCK
from ami.publish.errors import PublishInterruptedError
from ami.publish.publication import PARALLEL, Published, publish

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)

OUT: Final = Console(emoji=False)
ERR: Final = Console(stderr=True, emoji=False)


@app.callback()
def _image() -> None:
    """Publish the machine image."""


@app.command("publish")
def publish_command(
    disk: Annotated[Path, typer.Argument(help="The raw disk image that `make image` built.")],
    *,
    region: Annotated[str, typer.Option(help="The home region of the image stack.")] = "eu-west-1",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Blocks that are sent at a time.")] = PARALLEL,
    state: Annotated[
        Path | None, typer.Option(help="Where to keep how far it has come; beside the disk unless told.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False,
) -> None:
    """Upload a disk as an encrypted EBS snapshot; a second run sends only what is missing."""
    with _reported(), Bar(ERR) as bar:
        published = publish(disk, region, state_file=state, parallel=parallel, progress=bar)
    if as_json:
        typer.echo(json.dumps({**asdict(published), "then": then(published)}, indent=2))
    else:
        OUT.print(told(published), highlight=False, soft_wrap=True, markup=False)


KEEP: Final = (
    "pulumi config set --path 'isochrone:previous[0].snapshot'"
    ' "$(pulumi config get isochrone:snapshot -s image)" -s image',
    "pulumi config set --path 'isochrone:previous[0].image' before -s image",
    "pulumi config set --path 'isochrone:previous[0].tested' true -s image",
)
"""The commands by which the image stack keeps the image that it has, before it gets the next one."""


def then(published: Published) -> list[str]:
    """The commands by which the image stack gets a published disk."""
    return [
        f"pulumi config set isochrone:snapshot {published.snapshot} -s image",
        "pulumi up -s image",
    ]


def told(published: Published) -> str:
    """What is published, and what to do next, as text."""
    mib = published.blocks * BLOCK // 1024**2
    return "\n".join(
        [
            f"{published.snapshot} in {published.region} is the disk: {published.size_gib} GiB, of which"
            f" {published.blocks} blocks ({mib} MiB) are not empty; {published.sent} were sent now.",
            "",
            "Until a stack is upped it starts machines from the image that is registered now. Keep it:",
            *(f"  {command}" for command in KEEP),
            "",
            "Register the new one and copy it to every region:",
            *(f"  {command}" for command in then(published)),
            "",
            f"isochrone:size-gib has to be {published.size_gib} or more. No stack uses the image before this"
            " snapshot is said to be tested:",
            f"  pulumi config set isochrone:tested {published.snapshot} -s image && pulumi up -s image",
            "",
            "When every stack was upped with it, the earlier image may go:",
            "  pulumi config rm --path 'isochrone:previous[0]' -s image && pulumi up -s image",
        ]
    )


@contextmanager
def _reported() -> Iterator[None]:
    """Turns the errors of `ami` into a message and a status, never a traceback."""
    try:
        yield
    except PublishInterruptedError as error:
        ERR.print(escape(str(error)), highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None
    except AmiError as error:
        ERR.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
