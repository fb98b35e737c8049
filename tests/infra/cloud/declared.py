"""What a program declared: its resources, its outputs, and the account in which they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.infra.cloud.account import GLOBAL_REGION, Account
from tests.infra.cloud.secrets_seen import opened


@dataclass(frozen=True)
class Resource:
    """A resource that was made.

    Args:
        type: its type token.
        name: its logical name.
        region: the region that it is in; empty when it is global, or a component.
        parent: the logical name of its component; empty at the top.
        protect: whether Pulumi refuses to delete it.
        ignored: the inputs whose changes are ignored later.
        id: its id, as the provider gives it.
        inputs: what was asked for, by Pulumi's keys, secrets redacted.
        outputs: what the provider adds.
    """

    type: str
    name: str
    region: str
    parent: str
    protect: bool
    ignored: tuple[str, ...]
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """What a program declared, and the account in which it is.

    Args:
        stack: the stack's name.
        account: the account, to read back what is in it.
        resources: every resource except components.
        components: every component.
        exports: the stack's outputs, secrets redacted.
        secrets: every value that was handed over or given out as a secret.
        warnings: what the program warned of.
    """

    stack: str
    account: Account
    resources: tuple[Resource, ...]
    components: tuple[Resource, ...]
    exports: Mapping[str, Any]
    secrets: frozenset[str]
    warnings: tuple[str, ...]

    def client(self, service: str, region: str = GLOBAL_REGION) -> Any:
        """The boto3 client of a service in a region."""
        return self.account.client(service, region)

    def of_type(self, type_: str) -> list[Resource]:
        """The resources whose type token ends so: `ec2/vpc:Vpc`."""
        return [resource for resource in self.resources if resource.type.endswith(type_)]

    def leaks(self) -> list[str]:
        """Where a secret stands in the clear: in a name, in an export, or in what is not marked as secret."""
        found = []
        for resource in self.resources:
            where = f"{resource.type} {resource.name}"
            texts = (resource.name, resource.inputs, resource.outputs)
            found += [where for secret in self.secrets if any(secret in text for text in opened(texts))]
        found += [
            f"export {key}"
            for key, value in self.exports.items()
            for secret in self.secrets
            if any(secret in text for text in opened(value))
        ]
        return found
