"""`isochrone sql`: promotes a replica, or restores a snapshot, and says what to do next."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from infra.sql_operations import SqlServer, promote, restore
from infra.terminal import ERR, OUT, reported

app: Final = typer.Typer(
    help="Promote or restore a SQL server on AWS.", no_args_is_help=True, add_completion=False
)

Region = Annotated[str, typer.Option(help="The region of the server, such as us-east-1.")]


@app.command("promote")
def promote_command(
    identifier: Annotated[
        str, typer.Argument(help="The replica's identifier, such as isochrone-geo-ii-sql-us-east-1.")
    ],
    region: Region,
    backup_days: Annotated[int, typer.Option(min=1, max=35, help="Days that its backups are kept.")] = 7,
) -> None:
    """Make a replica a master of its own: for when the home region is lost."""
    with reported():
        ERR.print(f"promoting {identifier} in {region}; this takes some minutes", highlight=False)
        server = promote(region, identifier, backup_days=backup_days)
    _say(
        server,
        "It takes writes now and follows nobody. Leave isochrone:home as it is: no `pulumi up` moves a"
        " stack's home, since the provider refuses a new source for the other replicas, and AWS a secret"
        f" whose copy is there. To go on in {region}, make a stack of another name with its home there, and"
        " restore a snapshot of this server into it. If home comes back and its master is the one to keep,"
        " delete this server, run `pulumi refresh` and then `pulumi up`, which makes a replica in its place;"
        " until then run no `pulumi up`. docs/aws.md, step 11, has the commands, and what was never tried.",
    )


@app.command("restore")
def restore_command(
    snapshot: Annotated[str, typer.Argument(help="The snapshot's identifier.")],
    identifier: Annotated[str, typer.Argument(help="The new server's identifier; nothing may have it yet.")],
    region: Region,
    like: Annotated[str, typer.Option(help="The server whose class, network and settings the new one gets.")],
    protect: Annotated[bool, typer.Option(help="Whether it is protected from deletion.")] = True,
) -> None:
    """Make a new server from a snapshot; nothing that exists is changed."""
    with reported():
        ERR.print(f"restoring {snapshot} in {region}; this takes some minutes", highlight=False)
        server = restore(region, snapshot, identifier, like=like, protect=protect)
    _say(
        server,
        "Compare it with the ledger before users do. The stack keeps the old server, whatever the two are"
        " called, since its state knows a server by its resource id; replicas keep following the old one too."
        " To have the stack use the new one: rename the old server, give the new one its identifier, put"
        f" {server.resource_id} in place of the old one's id by `pulumi stack export` and"
        " `pulumi stack import`, run `pulumi refresh`, and replace the replicas.",
    )


def _say(server: SqlServer, then: str) -> None:
    OUT.print(f"{server.identifier} answers at {server.host}:{server.port}", highlight=False, soft_wrap=True)
    OUT.print(then, highlight=False, soft_wrap=True)
