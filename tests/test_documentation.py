"""What the documentation tells a reader to type exists, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from isochrone import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:|#)([^)#]+)[^)]*\)")
COMMAND = re.compile(r"^(?:\$ )?(?:sudo )?(?:\.venv/bin/)?(isochrone|make) (.+?)(?:\s+#.*)?$", re.MULTILINE)
CODE = re.compile(r"```(?:console|sh)\n(.*?)```", re.DOTALL)


def commands(program: str) -> list[tuple[str, str]]:
    return [
        (page.name, arguments)
        for page in PAGES
        for block in CODE.findall(page.read_text(encoding="utf-8"))
        for name, arguments in COMMAND.findall(block)
        if name == program
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(("page", "arguments"), commands("isochrone"))
def test_a_command_that_is_shown_is_accepted(page: str, arguments: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(arguments)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), f"{page}: there is no command {words}"
    command.make_context(command.name, words)


@pytest.mark.parametrize(("page", "arguments"), commands("make"))
def test_a_target_that_is_shown_is_in_the_makefile(page: str, arguments: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in shlex.split(arguments):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), f"{page}: make {target}"


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8")[:2500]
    assert "make demo" in first_screen
    assert "make test" in first_screen
