"""A stack file's configuration as the engine hands it over, with others' keys and with secrets."""

from __future__ import annotations

import pytest

from infra.errors import StackFileError
from infra.stackfile import from_config, load, parse
from tests.infra.stack_files import ROOT, STACKS, config_of, edited, engine_form, mistakes, text_of


@pytest.mark.parametrize("stack", STACKS)
def test_the_engine_hands_over_the_same_architecture(stack: str) -> None:
    config = config_of(stack) | {"isochrone:zones": 3, "isochrone:protect": False, "aws:region": "eu-west-1"}
    a = from_config(stack, engine_form(config))
    assert a == parse(stack, text_of(config))
    assert (a.zones, a.protect) == (3, False)


def test_a_key_without_a_namespace_is_the_project_s_own() -> None:
    text = edited("geo-i").replace("isochrone:", "")
    assert parse("geo-i", text) == load("geo-i", ROOT)


def test_keys_of_others_are_left_to_them() -> None:
    config = config_of("geo-i") | {"aws:region": "eu-west-1", "aws:endpoints": [{"ec2": "http://127.0.0.1"}]}
    assert parse("geo-i", text_of(config)) == load("geo-i", ROOT)


def test_secrets_are_no_part_of_an_architecture() -> None:
    encrypted = {"redis-password": {"secure": "v1:abcd"}, "tls": {"certificate": {"secure": "v1:efgh"}}}
    config = config_of("geo-i") | {"isochrone:secrets": encrypted}
    assert parse("geo-i", text_of(config)) == load("geo-i", ROOT)
    opened = engine_form(config_of("geo-i")) | {"isochrone:secrets": '{"redis-password": "hunter2"}'}
    assert from_config("geo-i", opened, ["isochrone:secrets"]) == load("geo-i", ROOT)


def test_a_secret_in_plain_text_is_refused_and_not_repeated() -> None:
    found = mistakes("geo-i", secrets={"redis-password": "hunter2", "token-key": {"secure": "v1:abcd"}})
    assert len(found) == 1
    assert found[0].startswith("isochrone:secrets.redis-password: is in plain text")
    assert "hunter2" not in found[0]


@pytest.mark.parametrize("key", ["domain", "nodes", "passwords"])
def test_a_secret_under_another_key_is_refused_and_not_repeated(key: str) -> None:
    in_file = mistakes("geo-i", **{key: {"a": {"secure": "hunter2"}}})
    with pytest.raises(StackFileError) as from_engine:
        from_config(
            "geo-i", engine_form(config_of("geo-i")) | {f"isochrone:{key}": "hunter2"}, [f"isochrone:{key}"]
        )
    for found in (in_file, from_engine.value.mistakes):
        assert [m for m in found if m.startswith(f"isochrone:{key}: is a secret")]
        assert "hunter2" not in " ".join(found)
