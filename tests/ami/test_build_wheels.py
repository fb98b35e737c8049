"""Which Python packages are on the image."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ami.build import wheels
from ami.build.shell import BuildError

LOCK = {
    "package": [
        {"name": "a", "dependencies": [{"name": "b"}, {"name": "c", "marker": "x"}]},
        {"name": "b", "dependencies": [{"name": "a"}]},
        {"name": "c"},
        {"name": "unrelated"},
    ]
}
EXPORTED = """\
# made by uv
a==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
c==2.0 ; python_full_version < '3.11.3' \\
    --hash=sha256:cc
unrelated==3.0 \\
    --hash=sha256:dd
"""


def test_what_is_needed_by_what_is_needed_is_needed() -> None:
    assert wheels.closure(LOCK, ["a"]) == ("a", "b", "c")


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(BuildError, match="does not have missing"):
        wheels.closure(LOCK, ["missing"])


def test_only_what_is_needed_is_fetched_and_the_machine_decides_on_markers() -> None:
    chosen = wheels.select(EXPORTED, ["a", "c"])
    assert "unrelated" not in chosen
    assert "--hash=sha256:ab" in chosen
    assert "c==2.0" in chosen
    assert "python_full_version" not in chosen


def test_the_wheel_of_the_machine_depends_on_the_service() -> None:
    project = tomllib.loads(wheels.NODE_PROJECT.read_text())
    assert "isochrone-market" in wheels.requirement_names(project)


def test_what_the_machine_imports_is_what_its_wheel_has() -> None:
    ours = wheels.NODE_PROJECT.parent.parent
    for part in wheels._NODE_PARTS:
        assert (ours / part).exists()
    text = "".join(path.read_text() for path in Path(ours / "node").rglob("*.py"))
    assert "ami.build" not in text
    assert "ami.publish" not in text
