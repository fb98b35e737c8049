"""Roles, keys and secrets that AWS refuses, and moto takes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import unquote

from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals.tags import check_text
from tests.infra.cloud.registry import Place


def misnamed(name: str, most: int = 64) -> None:
    """A role's name is short, of letters, digits and a few signs."""
    check_text("the name", name, rf"[\w+=,.@-]{{1,{most}}}")


def misdescribed(description: str) -> None:
    """A role's description has no sign beyond Latin-1."""
    check_text("the description", description, r"[\t\n\r\x20-\x7e\xa1-\xff]{0,1000}")


def too_much_in_line(place: Place, role: str, policy: str) -> None:
    """All policies in one role together have at most 10,240 characters."""
    iam = place.client("iam")
    total = len(re.sub(r"\s", "", policy))
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        total += len(json.dumps(document) if isinstance(document, dict) else unquote(document))
    if total > 10_240:
        raise RefusedError(f"the policies in {role} have {total} characters, more than 10240")


def alias_of_nothing(place: Place, alias: str, key: str) -> None:
    """A key's alias begins with `alias/`, is not AWS's own, and its key is in the region."""
    check_text("the alias", alias, r"alias/(?!aws/)[A-Za-z0-9/_-]{1,249}")
    key_in_region(place, key)


def key_in_region(place: Place, key: str) -> None:
    """A key that something is encrypted with exists in its region and is enabled."""
    match key.split(":"):
        case ["arn", "aws", "kms", region, *_] if region != place.region:
            raise RefusedError(f"the key {key} is of another region than {place.region}")
        case _:
            pass
    found = place.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    if not found["Enabled"]:
        raise RefusedError(f"the key {key} is not enabled")


def key_that_locks_out(policy: str, account: str) -> None:
    """A key's policy lets the account administer it; else nobody could ever again."""
    for statement in json.loads(policy)["Statement"]:
        named = statement["Principal"]
        principals = named.get("AWS", []) if isinstance(named, dict) else named
        if f"arn:aws:iam::{account}:root" in principals and statement["Action"] in ("kms:*", ["kms:*"]):
            return
    raise RefusedError("the key's policy locks the account out")


def secret_misnamed(name: str) -> None:
    """A secret's name is of letters, digits and a few signs."""
    check_text("the secret's name", name, r"[A-Za-z0-9/_+=.@-]{1,512}")


def secret_gone_wrong(window_days: int) -> None:
    """A deleted secret can be recovered for 7 to 30 days, or not at all."""
    if window_days != 0 and not 7 <= window_days <= 30:
        raise RefusedError(f"{window_days} days are no recovery window")


def replicated_twice(place: Place, regions: Sequence[str]) -> None:
    """A secret has one replica in a region, and none in its own."""
    if len(set(regions)) < len(regions) or place.region in regions:
        raise RefusedError(f"a secret of {place.region} cannot have the replicas {', '.join(regions)}")


def key_gone_wrong(window_days: int) -> None:
    """A key waits 7 to 30 days for its deletion."""
    if not 7 <= window_days <= 30:
        raise RefusedError(f"a key cannot wait {window_days} days for its deletion")
