"""`isochrone preview`: what a stack would be, without an account, an engine or a network."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra import strict_yaml
from infra.changes import changes
from infra.cost import estimate
from infra.earlier import earlier_preview
from infra.errors import InfraError
from infra.image_spec import ImageSpec
from infra.preview import Preview, preview_of
from infra.preview_view import rendered, rendered_changes
from infra.prices import PriceList, present_prices, prices_2015
from infra.regions import matrix
from infra.stack_config import described_by, read_config
from infra.terminal import OUT, STACKS, reported

MATRIX: Final = "2024"
"""The round trips by which a preview says who is nearest to whom: the newest that are known."""

ONLY_2015: Final = "only the prices of 2015 are known; today's are not, and none is made up"


class OverrideError(InfraError):
    """An override is not `KEY=VALUE`."""


def preview(
    stack: Annotated[str, typer.Argument(help="A stack: baseline, geo-i, geo-ii, image, ...")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that is known, for programs.")] = False,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", "-c", metavar="KEY=VALUE", help="Configuration over the stack file's own."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="GIT_REF", help="Show what is different from this commit.")
    ] = None,
    stacks: Annotated[Path, typer.Option(help="The directory of the Pulumi.<stack>.yaml files.")] = STACKS,
) -> None:
    """Show what `pulumi up` would make of a stack: resources, data, routing, cost. Needs no account."""
    with reported():
        found = preview_stack(stack, stacks, overrides(config or ()), present_prices(stacks))
        told = found.as_json()
        different = None
        if against is not None:
            different = changes(against, earlier_preview(against, stack, config or (), stacks), told)
    if as_json:
        more = {"changes": different.as_json()} if different else {}
        typer.echo(json.dumps({**told, **more}, indent=2, ensure_ascii=False))
    else:
        OUT.print(rendered(found))
        if different:
            OUT.print(rendered_changes(different))


def overrides(pairs: Sequence[str]) -> Mapping[str, Any]:
    """The configuration that `KEY=VALUE` texts give, values as in a stack file.

    Raises:
        OverrideError: when one is not such a text.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or ":" not in key:
            raise OverrideError(f"--config {pair}: give a key and its value, such as isochrone:zones=3")
        try:
            found[key] = strict_yaml.read(value)
        except strict_yaml.NotYamlError as error:
            raise OverrideError(f"--config {key}: its value is not YAML ({error})") from None
    return found


def overridden(config: Mapping[str, Any], over: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration with some of its values replaced, each by its key or by a path below one.

    Args:
        config: the configuration, by full key.
        over: the values by full key or by path (`isochrone:redis.standbys`).

    Raises:
        OverrideError: when a path leads through something that has no keys.
    """
    found = copy.deepcopy(dict(config))
    for path, value in over.items():
        *parents, last = path.split(".")
        inner: Any = found
        for key in parents:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise OverrideError(f"--config {path}: {key} has no keys below it")
        inner[last] = value
    return found


def preview_stack(
    stack: str, root: Path, over: Mapping[str, Any], prices: PriceList | None = None
) -> Preview:
    """The preview of a stack whose file is in `root`, with some of its configuration overridden.

    Args:
        stack: the stack's name.
        root: where its file is.
        over: the configuration over that of the file.
        prices: today's; without them the cost is at those of 2015, and says so.

    Raises:
        InfraError: when the stack file is wrong, with every mistake, or the program refuses it.
    """
    config = overridden(read_config(stack, root), over)
    described = described_by(stack, config)
    # Half a second that the other commands need not wait for.
    from infra import offline, program  # noqa: PLC0415

    declaration = offline.declare(stack, config, partial(program.run, prices))
    if isinstance(described, ImageSpec):
        return preview_of(stack, f"The machine image {described.image}", declaration)
    cost = estimate(described, prices or prices_2015())
    if prices is None:
        cost = replace(cost, notes=(ONLY_2015, *cost.notes))
    return preview_of(stack, described.title, declaration, described, matrix(MATRIX), cost)
