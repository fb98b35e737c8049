"""`isochrone lab`: bring an architecture up, look at it, talk to it, take it down."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from infra.regions import REGIONS, matrix
from infra.stackfile import load
from infra.terminal import ERR, OUT, STACKS
from lab import client, hosts, lab, processes, states, world
from lab.errors import LabError, LabInUseError
from lab.site import DataPath
from lab.states import State
from lab.terminal import Name, Root, Stacks, reported, terminable

app = typer.Typer(
    help="Run an architecture on this machine, each region a network namespace.", no_args_is_help=True
)


@app.command()
def up(
    architecture: Annotated[str, typer.Argument(help="A stack: baseline, geo-i, geo-ii, ...")],
    *,
    matrix_name: Annotated[str, typer.Option("--matrix", help="The round trips: 2017 or 2024.")] = "2017",
    data_path: Annotated[
        Literal["async", "blocking"], typer.Option(help="blocking: the thesis's blocking database calls.")
    ] = "async",
    users: Annotated[int, typer.Option(min=1, help="Accounts and tokens to make.")] = 1200,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
    stacks: Stacks = STACKS,
) -> None:
    """Bring an architecture up and leave it running."""
    with reported(), terminable():
        declared, delays = load(architecture, stacks), matrix(matrix_name)
        path: DataPath = data_path
        with ERR.status(f"bringing {architecture} up") as status:

            def show(step: str) -> None:
                status.update(f"bringing {architecture} up: {step}")

            running = lab.Lab.up(
                declared,
                delays,
                name=name,
                root=root,
                data_path=path,
                users=users,
                kept=True,
                on_step=show,
            )
        OUT.print(f"{declared.title} ({declared.name}) runs; it took {running.startup_s:.1f} s.")
        _print_access(running.state, root)


@app.command()
def status(name: Name = lab.NAME, root: Root = lab.ROOT) -> None:
    """List what runs: regions, machines and their processes."""
    with reported():
        state, seen = states.read(name, root), world.status(name, root)
        if state is None and not seen.hosts and not seen.processes:
            others = world.list_labs(root)
            OUT.print(f"There is no lab {name}." + (f" There are: {', '.join(others)}." if others else ""))
            raise typer.Exit(1)
        if state is None:
            OUT.print(
                f"The lab {name} is being brought up, or was left behind: `isochrone lab down` removes it."
            )
        else:
            OUT.print(
                f"{state.title} ({state.architecture}), matrix {state.matrix}, data path {state.data_path}, "
                f"{state.users} accounts, up since {state.started_at}."
            )
        OUT.print(_machines(seen))
        missing = _missing(seen, root)
        for process in missing:
            ERR.print(f"[red]{process} has ended[/red]")
        if state is not None:
            _print_access(state, root)
        if missing:
            raise typer.Exit(1)


@app.command()
def down(
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
    every: Annotated[bool, typer.Option("--all", help="Every lab in the state directory.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that a running command uses, which fails then.")
    ] = False,
) -> None:
    """End every process of a lab and remove all that it made."""
    refusals = []
    with reported():
        for each in world.list_labs(root) if every else [name]:
            try:
                states.destroy(each, root, force=force)
            except LabInUseError as refusal:
                refusals.append(str(refusal))
        if refusals:
            raise LabInUseError("; ".join(refusals))


@app.command("connect")
def connect(
    region: Annotated[str, typer.Argument(help="Where the user is, for instance sa-east-1.")],
    user: Annotated[int, typer.Option(min=0, help="Which of the accounts.")] = 0,
    name: Name = lab.NAME,
    root: Root = lab.ROOT,
) -> None:
    """Be a user in a region: send what is typed (JSON), print what comes, with the time that it took."""
    with reported():
        hosts.check_root()
        state = states.read(name, root)
        if state is None:
            raise LabError(f"there is no lab {name}: bring one up with `isochrone lab up geo-ii`")
        if region not in REGIONS:
            raise LabError(f"there is no region {region}; choose one of {', '.join(REGIONS)}")
        argv = client.argv(state, region, user)
        os.execvp(argv[0], argv)  # noqa: S606


def _print_access(state: State, root: Path) -> None:
    options = ("" if state.name == lab.NAME else f" --name {state.name}") + (
        "" if root == lab.ROOT else f" --state-dir {root}"
    )
    OUT.print(
        f"\n  address     {state.url}  (inside the lab)\n  authority   {state.ca_file}"
        f"\n  tokens      {state.tokens_file}\n  data, logs  {state.ca_file.parents[1] / 'machines'}\n"
        "\nBe a user in São Paulo:\n"
        f"  isochrone lab connect sa-east-1{options}\n"
        "A shell there, whose programs find the service by its name:\n"
        f"  ip netns exec {state.name}.users-sa-east-1 bash\n"
        "Take it down:\n"
        f"  isochrone lab down{options}",
        highlight=False,
        soft_wrap=True,
    )


def _machines(seen: world.Status) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("machine", "region", "address"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    table.add_column("processes")
    by_host: dict[str, Counter[str]] = {}
    for process in seen.processes:
        by_host.setdefault(process.host, Counter())[process.process.partition("-")[0]] += 1
    for host in seen.hosts:
        table.add_row(
            host.name,
            REGIONS.get(host.region, host.region),
            host.address,
            ", ".join(f"{count} {name}" for name, count in by_host.get(host.name, Counter()).items()) or "-",
        )
    return table


def _missing(seen: world.Status, root: Path) -> list[str]:
    """The processes on record of which none is left."""
    alive = {process.pid for process in seen.processes}
    return [
        f"{process.process} on {process.host} (process {process.pid})"
        for process in processes.recorded(root.absolute() / seen.lab)
        if process.pid not in alive
    ]
