"""The tests of the booted image run by `make test-image` only: they need the disk and their own network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.image import network
from tests.image.guest import accelerator
from tests.image.machines import Host

IMAGE = Path(__file__).parents[2] / "out" / "image"

collect_ignore_glob = [] if os.environ.get("ISOCHRONE_IMAGE") else ["test_*.py"]


def pytest_report_header() -> str | None:
    """Say what is left out."""
    return None if os.environ.get("ISOCHRONE_IMAGE") else "tests/image: run by `make test-image` only"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that boots a machine waits for it with limits of its own, which say more than this one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def disk() -> Path:
    """The disk that was built."""
    path = IMAGE / "disk.raw"
    if not path.exists():
        pytest.fail("there is no image; run `make image`")
    return path


@pytest.fixture(scope="session")
def own_network() -> None:
    """A network of the tests' own, with the metadata service's address."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        network.enter()
    if why := network.prepare():
        pytest.fail(why)


@pytest.fixture(scope="session")
def accel(disk: Path, own_network: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """How guests are run on this machine."""
    return accelerator(disk, tmp_path_factory.mktemp("kvm"))


@pytest.fixture(scope="session")
def host(disk: Path, accel: str, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """What guests are run on."""
    return Host(disk, accel, tmp_path_factory.mktemp("guests"))
