"""docs/connections.md names every limit with its default, and every numbered close."""

from __future__ import annotations

import re
from pathlib import Path

from market.connection_settings import Compression, Limits
from market.protocol import CloseCode
from market.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text(encoding="utf-8")


def test_every_limit_is_in_the_guide_with_its_default() -> None:
    rows = {
        name: float(value) for name, value in re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", GUIDE, re.MULTILINE)
    }
    assert rows == {
        name.replace("_", "-"): float(getattr(Limits(), name)) for name in Limits.__struct_fields__
    }


def test_every_close_is_in_the_guide() -> None:
    rows = [
        (int(code), name) for code, name in re.findall(r"^\| (\d{4}) \| `([A-Z_]+)`", GUIDE, re.MULTILINE)
    ]
    assert rows == [(code.value, code.name) for code in CloseCode]


def test_the_other_defaults_are_those_of_the_settings() -> None:
    defaults = dict(
        zip(
            Settings.__struct_fields__[-len(Settings.__struct_defaults__) :],
            Settings.__struct_defaults__,
            strict=True,
        )
    )
    assert f"`token-leeway-s` ({defaults['token_leeway_s']:.0f} s)" in GUIDE
    assert f"`drain-spread-ms` ({defaults['drain_spread_ms'] // 1000} s)" in GUIDE
    assert f"`window-bits` ({Compression().window_bits})" in GUIDE
    assert f"`min-bytes` ({Compression().min_bytes})" in GUIDE
