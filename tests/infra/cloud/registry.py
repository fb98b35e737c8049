"""The handlers: what each resource type and each look-up does on AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.infra.cloud.account import Account
from tests.infra.cloud.inputs import Inputs


@dataclass(frozen=True)
class Place:
    """The account, and the region in it where a resource is made.

    Args:
        account: the account.
        region: the region; that of the global services for what has none.
        name: the resource's logical name.
    """

    account: Account
    region: str
    name: str = ""

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, of this region when no other is named."""
        return self.account.client(service, region or self.region)


@dataclass(frozen=True)
class Made:
    """A resource that was made: its id as the provider gives it, and outputs that are not inputs."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[Place, Inputs], Made]
Lookup = Callable[[Place, Inputs], Mapping[str, Any]]

HANDLERS: Final[dict[str, Handler]] = {}
LOOKUPS: Final[dict[str, Lookup]] = {}

GLOBAL: Final = ("aws:iam/", "aws:route53/", "aws:index/getCallerIdentity:", "aws:index/getPartition:")
"""How the tokens begin of what is in no region."""


def handler(type_: str) -> Callable[[Handler], Handler]:
    """Marks the function that makes resources of a type."""

    def register(function: Handler) -> Handler:
        HANDLERS[type_] = function
        return function

    return register


def lookup(token: str) -> Callable[[Lookup], Lookup]:
    """Marks the function that answers a look-up."""

    def register(function: Lookup) -> Lookup:
        LOOKUPS[token] = function
        return function

    return register


def is_global(type_: str) -> bool:
    """Whether a type of resource, or a look-up, is in no region."""
    return type_.startswith(GLOBAL)
