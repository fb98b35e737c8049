from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.market_server import certificate as make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))
