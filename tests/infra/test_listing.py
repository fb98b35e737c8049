"""The record of what is declared is the same for the same declaration, and a change shows where it is."""

from __future__ import annotations

import base64
import difflib
import json
from typing import Any

from infra.declaration import Declaration, Declared
from infra.listing import listing


def declared(name: str, **inputs: Any) -> Declared:
    return Declared("aws:sns/topic:Topic", name, "shop", "eu-west-1", False, inputs)


def text(*resources: Declared) -> str:
    return listing(Declaration(resources, {"url": "x"}, ()))


def test_each_resource_is_a_block_with_sorted_keys() -> None:
    assert text(declared("one", b=[1, 2], a={"d": True, "c": None})) == (
        "aws:sns/topic:Topic one\n"
        "  parent: shop\n"
        "  a:\n    c: null\n    d: true\n"
        "  b:\n  - 1\n  - 2\n"
        "\n"
        "exports\n  url: x\n"
    )


def test_protection_is_on_record() -> None:
    protected = Declared("aws:sns/topic:Topic", "one", "", "eu-west-1", True, {})
    assert text(protected).startswith("aws:sns/topic:Topic one\n  protect: true\n")


def test_what_is_json_inside_is_opened_also_in_base64() -> None:
    document = json.dumps({"Statement": [{"Action": "sns:Publish"}]})
    opened = text(declared("one", policy=document))
    assert "  policy:\n    Statement:\n    - Action: sns:Publish\n" in opened
    assert text(declared("one", policy=base64.b64encode(document.encode()).decode())) == opened


def test_texts_that_only_look_like_json_stay() -> None:
    assert "  pattern: '[a-z'\n" in text(declared("one", pattern="[a-z"))


def test_a_change_of_one_value_is_a_difference_of_one_line() -> None:
    many = [declared(f"topic-{number}", policy=json.dumps({"a": 1, "b": [1, 2, 3]})) for number in range(9)]
    after = [*many[:4], declared("topic-4", policy=json.dumps({"b": [1, 7, 3], "a": 1})), *many[5:]]
    lines = difflib.ndiff(text(*many).splitlines(), text(*after).splitlines())
    assert [line for line in lines if line[0] in "+-"] == ["-     - 2", "+     - 7"]


def test_a_text_of_several_lines_stays_readable_and_has_no_blank_ends() -> None:
    shown = text(declared("one", note="first\n\nsecond"))
    assert "  note: |-\n    first\n\n    second\n" in shown
