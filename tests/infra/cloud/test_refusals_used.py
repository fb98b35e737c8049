"""Every refusal is asked for by a handler: a check that nobody makes refuses nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def checks() -> list[str]:
    """The public functions of the refusals that return nothing, hence can only refuse."""
    return [
        node.name
        for path in (HERE / "refusals").glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


def used() -> set[str]:
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in HERE.rglob("*.py")
        if not path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Attribute, ast.Name))
    }


@pytest.mark.parametrize("check", checks())
def test_the_check_is_made(check: str) -> None:
    assert check in used()
