"""The documented protocol is the protocol."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from market import protocol
from market.reference import example, text

PAGE = Path(__file__).parents[2] / "docs" / "service.md"
MARK = "<!-- reference -->\n"


@pytest.mark.parametrize("kind", get_args(protocol.ClientMessage), ids=lambda kind: kind.__name__)
def test_the_example_of_a_request_is_one(kind: type[msgspec.Struct]) -> None:
    shown = example(kind)
    assert protocol.decode_client(protocol.encode(shown)) == shown


@pytest.mark.parametrize("kind", get_args(protocol.ServerMessage), ids=lambda kind: kind.__name__)
def test_the_example_of_an_answer_is_one(kind: type[msgspec.Struct]) -> None:
    shown = example(kind)
    assert protocol.decode_server(protocol.encode(shown)) == shown


def test_the_page_has_the_reference_of_this_version() -> None:
    prose, _, shown = PAGE.read_text(encoding="utf-8").partition(MARK)
    if os.environ.get("ISOCHRONE_UPDATE_GOLDEN"):
        PAGE.write_text(f"{prose}{MARK}\n{text()}", encoding="utf-8")
        pytest.skip("written anew")
    assert shown == f"\n{text()}", (
        "write it anew: ISOCHRONE_UPDATE_GOLDEN=1 pytest tests/service/test_reference.py"
    )
