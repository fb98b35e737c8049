"""A stack that is declared once for all tests of a module, which read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.program import run
from infra.site import Site
from infra.stackfile import parse
from tests.infra.cloud.account import add_images, open_account
from tests.infra.cloud.harness import declare
from tests.infra.cloud.used_account import World, open_world
from tests.infra.cloud.view import View

pytest.register_assert_rewrite(
    *(f"tests.infra.cloud.every_{part}" for part in ("network", "machine", "store", "watch"))
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def view(request: pytest.FixtureRequest) -> Iterator[View]:
    """The stack that the module names as `STACK`: of its file, or of the text `TEXT`."""
    stack: str = request.module.STACK
    text = getattr(request.module, "TEXT", None) or (ROOT / f"Pulumi.{stack}.yaml").read_text(
        encoding="utf-8"
    )
    with open_account() as account:
        add_images(account)
        yield View(Site(parse(stack, text)), declare(stack, text, account, run))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An account that is in use already."""
    with open_world() as world:
        yield world


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A whole stack is declared in the first test of a file, which takes longer than others may."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(240))
