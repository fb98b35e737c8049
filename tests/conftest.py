"""What every test process is set up with."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

# How long an example takes is the machine's affair; every test has a timeout.
settings.register_profile("isochrone", deadline=None)
settings.load_profile("isochrone")

# moto's accounts and Pulumi's modules come to a gigabyte of objects: with the usual thresholds a sixth of the
# processor's time goes into looking through them.
gc.set_threshold(100_000, 50, 100)

# No test looks for Amazon's own images, which moto makes by the hundred for each region that is asked.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Free what a file leaves behind, at its end.

    That takes up to seconds, in which the server of a later file's test would stand still.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect(1)
