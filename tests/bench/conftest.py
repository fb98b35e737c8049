from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.bench.market_server import certificate as make_certificate

settings.register_profile("bench", deadline=None)
settings.load_profile("bench")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))
