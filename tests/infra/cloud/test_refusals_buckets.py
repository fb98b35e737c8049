"""What S3 refuses of buckets, and moto takes: the harness refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import buckets

RULE: dict[str, Any] = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}


def about(resource: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Deny", "Resource": [resource, f"{resource}/*"]}]})


@pytest.mark.parametrize(
    "declares",
    [
        lambda: buckets.misnamed("isochrone-geo-ii-load-123456789012"),
        lambda: buckets.unknown_owner("BucketOwnerEnforced"),
        lambda: buckets.unknown_cipher("AES256"),
        lambda: buckets.rules_in_wrong_form([RULE, {**RULE, "ID": "older"}]),
        lambda: buckets.policy_of_another_bucket("mine", about("arn:aws:s3:::mine")),
    ],
)
def test_what_is_right_passes(declares: Callable[[], None]) -> None:
    declares()


@pytest.mark.parametrize(
    ("declares", "message"),
    [
        (lambda: buckets.misnamed("Isochrone"), "does not match"),
        (lambda: buckets.misnamed("b" * 64), "does not match"),
        (lambda: buckets.misnamed("two..dots"), "does not match"),
        (lambda: buckets.unknown_owner("Everybody"), "no ownership"),
        (lambda: buckets.unknown_cipher("rot13"), "no encryption"),
        (lambda: buckets.rules_in_wrong_form([RULE, RULE]), "the same name"),
        (lambda: buckets.rules_in_wrong_form([{**RULE, "Status": "On"}]), "not On"),
        (lambda: buckets.rules_in_wrong_form([{"ID": "idle", "Status": "Enabled"}]), "does nothing"),
        (lambda: buckets.rules_in_wrong_form([{**RULE, "Expiration": {"Days": 0}}]), "at least a day"),
        (lambda: buckets.policy_of_another_bucket("mine", about("arn:aws:s3:::my")), "is about"),
    ],
)
def test_what_is_wrong_is_refused(declares: Callable[[], None], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        declares()
