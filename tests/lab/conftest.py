"""A name for a lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.world import destroy
from tests.lab.worlds import lab_name


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A name for a lab, of which nothing is left afterwards whatever the test does."""
    name = lab_name()
    yield name
    destroy(name, tmp_path, grace_s=0)
