"""The Python packages of the image: wheels of this project, and those that uv.lock records for them."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ami.build.shell import BuildError, run

NODE_PROJECT: Final = Path(__file__).with_name("node-project.toml")
"""The project file of the wheel of `ami`: the part that runs on the machine, and what it depends on."""

INSTALLED: Final = "isochrone-ami"
"""The wheel that is installed; it depends on all others."""

_NODE_PARTS: Final = ("__init__.py", "errors.py", "render.py", "templates", "node")


def closure(lock: Mapping[str, Any], roots: Iterable[str]) -> tuple[str, ...]:
    """The names of the packages that `roots` depend on, themselves included, by the text of uv.lock.

    Raises:
        BuildError: when the lock does not have one of them.
    """
    packages = {package["name"]: package for package in lock["package"]}
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in packages:
            raise BuildError(f"uv.lock does not have {name}; add it to pyproject.toml and run `uv lock`")
        found.add(name)
        waiting += [dependency["name"] for dependency in packages[name].get("dependencies", ())]
    return tuple(sorted(found))


def requirement_names(project: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that a project file depends on."""
    return tuple(text.split(">=")[0].strip() for text in project["project"]["dependencies"])


def select(requirements: str, names: Iterable[str]) -> str:
    """The blocks of a requirements file that are for one of the names; a block goes on in indented lines.

    Markers are left out: the machine's Python is another than the build's, and the installation decides.
    """
    wanted = set(names)
    kept: list[str] = []
    keep = False
    for line in requirements.splitlines():
        if line and not line[0].isspace():
            keep = line.split("==")[0].strip() in wanted
            line = re.sub(r" ;[^\\]*", " ", line)  # noqa: PLW2901
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def make_wheels(repository: Path, uv: str, python: Path, directory: Path, log: Path, epoch: int) -> None:
    """Fill a directory with all wheels that the image installs.

    Args:
        repository: the root of this project.
        uv: the program.
        python: a Python that has pip.
        directory: where the wheels go; what was there is removed.
        log: where the programs' output goes.
        epoch: the time of all files in the project's own wheels (s since 1970).
    """
    shutil.rmtree(directory, ignore_errors=True)
    stage = directory / "stage"
    (stage / "ami").mkdir(parents=True)
    for part in _NODE_PARTS:
        source = repository / "ami" / part
        if source.is_dir():
            shutil.copytree(source, stage / "ami" / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, stage / "ami" / part)
    shutil.copy(NODE_PROJECT, stage / "pyproject.toml")

    lock = tomllib.loads((repository / "uv.lock").read_text(encoding="utf-8"))
    project = tomllib.loads(NODE_PROJECT.read_text(encoding="utf-8"))
    names = closure(lock, (*requirement_names(project), "pip"))
    exported = run(
        [uv, "export", "--quiet", "--locked", "--all-groups", "--no-emit-workspace"], cwd=repository
    )
    (directory / "requirements.txt").write_text(select(exported, names), encoding="utf-8")
    run(
        [
            *(python, "-m", "pip", "--isolated", "download", "--quiet", "--require-hashes", "--no-deps"),
            *("--only-binary", ":all:", "--dest", directory, "-r", directory / "requirements.txt"),
        ],
        log=log,
    )
    fixed = {"SOURCE_DATE_EPOCH": str(epoch)}
    for built in (repository / "service", stage):
        run([uv, "build", "--quiet", "--wheel", "--out-dir", directory, built], log=log, env=fixed)
    shutil.rmtree(stage)
