"""Helps the tests of whole labs: labs with few users, and proof that nothing of one is left."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from infra.regions import matrix
from infra.stackfile import load
from lab import namespaces, world
from lab.lab import Lab

PROJECT = Path(__file__).parents[2]
USERS = 5
FEW = 2
"""API processes of the baseline in the stack files of the fixture `few`; its own has 16."""


def new_name() -> str:
    return f"t{secrets.token_hex(3)}"


def bring_up(
    stack: str, root: Path, name: str | None = None, *, stacks: Path = PROJECT, **options: Any
) -> Lab:
    return Lab.up(
        load(stack, stacks), matrix("2017"), name=name or new_name(), root=root, users=USERS, **options
    )


def assert_nothing_is_left(name: str, root: Path) -> None:
    assert namespaces.existing(f"{name}.") == []
    assert list(namespaces.CONFIGURATION.glob(f"{name}.*")) == []
    assert not (root / name).exists()
    seen = world.status(name, root)
    assert (seen.hosts, seen.processes) == ((), ())
    own = f"{root / name}/".encode()
    assert [p for p in Path("/proc").glob("[0-9]*/cmdline") if own in read_bytes(p)] == []


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
