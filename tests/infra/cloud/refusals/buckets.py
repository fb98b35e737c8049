"""Buckets that S3 refuses, and moto takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text


def misnamed(name: str) -> None:
    """A bucket's name has 3 to 63 small letters, digits and single hyphens or dots."""
    check_text("the bucket's name", name, r"(?!.*\.\.)(?!xn--)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def unknown_owner(ownership: str) -> None:
    """Who owns objects is one of the ways that there are."""
    if ownership not in ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"):
        raise RefusedError(f"{ownership} is no ownership of objects")


def unknown_cipher(algorithm: str) -> None:
    """Objects are encrypted in one of the ways that there are."""
    if algorithm not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise RefusedError(f"{algorithm} is no encryption of S3")


def rules_in_wrong_form(rules: Sequence[Mapping[str, Any]]) -> None:
    """Each rule has a name of its own, is on or off, and does something."""
    names = [rule.get("ID") for rule in rules]
    if len(set(names)) < len(names):
        raise RefusedError("two lifecycle rules have the same name")
    for rule in rules:
        if rule.get("Status") not in ("Enabled", "Disabled"):
            raise RefusedError(f"a lifecycle rule is Enabled or Disabled, not {rule.get('Status')}")
        if not {"Expiration", "AbortIncompleteMultipartUpload"} & set(rule):
            raise RefusedError(f"the lifecycle rule {rule.get('ID')} does nothing")
        if rule.get("Expiration", {}).get("Days", 1) < 1:
            raise RefusedError("what expires is kept for at least a day")


def policy_of_another_bucket(name: str, policy: str) -> None:
    """A bucket's policy is about the bucket."""
    for statement in json.loads(policy)["Statement"]:
        named = statement.get("Resource", [])
        for resource in [named] if isinstance(named, str) else named:
            if resource.partition("/")[0] != f"arn:aws:s3:::{name}":
                raise RefusedError(f"the policy of {name} is about {resource}")
