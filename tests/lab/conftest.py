"""A name for a lab, and a directory for its state."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.world import destroy
from tests.infra.stack_files import changed, config_of, text_of
from tests.lab.labs import FEW
from tests.lab.worlds import lab_name


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A name for a lab, of which nothing is left afterwards whatever the test does."""
    name = lab_name()
    yield name
    destroy(name, tmp_path, grace_s=0)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A state directory that the servers' own users can reach; pytest's are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="isochrone-lab-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stack files whose baseline has few API processes: for what does not depend on their number."""
    directory = tmp_path_factory.mktemp("stacks")
    config = changed(config_of("baseline"), {"nodes.api-processes": FEW})
    (directory / "Pulumi.baseline.yaml").write_text(text_of(config), encoding="utf-8")
    return directory
