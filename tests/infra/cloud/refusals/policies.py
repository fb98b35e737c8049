"""Policy documents that IAM refuses, and moto takes."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.infra.cloud.errors import RefusedError

_PRINCIPALS: Final = ("Service", "AWS", "Federated")


def check_policy(document: str, *, principal: bool, most: int = 6144) -> None:
    """A policy is JSON of the version of 2012 whose statements have an effect, actions and, as it belongs,
    a principal or resources; it is no longer than `most` characters without blanks.
    """
    try:
        policy = json.loads(document)
    except ValueError as error:
        raise RefusedError(f"the policy is not JSON: {error}") from error
    if not isinstance(policy, dict) or policy.get("Version") != "2012-10-17":
        raise RefusedError("the policy is not of version 2012-10-17")
    if unknown := set(policy) - {"Version", "Id", "Statement"}:
        raise RefusedError(f"a policy has no {', '.join(sorted(unknown))}")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not statements:
        raise RefusedError("the policy has no statement")
    for statement in statements:
        _check_statement(statement, principal=principal)
    if len(re.sub(r"\s", "", document)) > most:
        raise RefusedError(f"the policy is longer than {most} characters")


def _check_statement(statement: dict[str, Any], *, principal: bool) -> None:
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise RefusedError(f"{statement.get('Effect')} is no effect")
    actions = statement.get("Action") or statement.get("NotAction")
    if not actions:
        raise RefusedError("a statement names no action")
    for action in [actions] if isinstance(actions, str) else actions:
        if action != "*" and not re.fullmatch(r"[a-z0-9-]+:[A-Za-z*?]+", action):
            raise RefusedError(f"{action} is no action")
    if not re.fullmatch(r"[A-Za-z0-9]*", statement.get("Sid", "")):
        raise RefusedError(f"the statement's Sid {statement['Sid']} is not of letters and digits")
    if principal != ("Principal" in statement):
        raise RefusedError("a statement names a principal just where it is not attached to one")
    if principal:
        named = statement["Principal"]
        if named != "*" and not (isinstance(named, dict) and set(named) <= set(_PRINCIPALS) and named):
            raise RefusedError(f"{named} is no principal")
    elif not (statement.get("Resource") or statement.get("NotResource")):
        raise RefusedError("a statement names no resource")
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
        raise RefusedError(f"{condition} is no condition")
