"""The secrets of a stack: made once or given, kept in Secrets Manager, copied to where they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import given_certificate
from infra.architecture import Architecture
from infra.declaration import SECRET
from infra.errors import InfraError
from infra.secret_names import SecretKey, secret_keys, secret_name, secret_regions
from infra.site import Site

LENGTH: Final = 40
"""Letters and digits of a secret that is made: 238 bits."""

_RDS_PASSWORD: Final = re.compile(r"[!-~]{8,41}")
_NOT_IN_RDS_PASSWORD: Final = frozenset('/"@')
"""What RDS takes as a master password: 8 to 41 printable ASCII characters, without these and a space.

Source: the RDS API reference, `MasterUserPassword` of CreateDBInstance.
"""

RECOVERY_DAYS: Final = 7
"""How long a deleted secret of a protected stack can be had back: the least that AWS takes."""


class GivenSecretError(InfraError):
    """The secrets that the configuration gives are not those that the stack needs."""


@dataclass(frozen=True)
class SecretsArgs:
    """What the secrets are for.

    Args:
        site: the stack's architecture, names and addresses.
        given: values that are not to be made but are given, from the secret configuration
            `isochrone:secrets`.
    """

    site: Site
    given: Mapping[str, str] = field(default_factory=dict, repr=False)


class Secrets(pulumi.ComponentResource):
    """A secret for each key, with its value.

    A value is made when the secret is, and never changes afterwards: later runs make another, which is
    ignored. Whoever needs the value takes it from here, so that a run which failed half way does not leave
    two parts of a stack with different ones. The certificate has no value until ACME has issued it, unless
    it is given.

    Args:
        arns: the ARN of each secret at home, by key.
    """

    arns: Mapping[SecretKey, pulumi.Output[str]]

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_given(args.site, args.given)
        super().__init__("isochrone:infra:Secrets", name, None, opts)
        self._name = name
        self._site = args.site
        secrets = {key: self._secret(key) for key in secret_keys(args.site.architecture)}
        self.arns = {key: secret.arn for key, secret in secrets.items()}
        self._values = {
            key: self._value(key, secret, args.given.get(key))
            for key, secret in secrets.items()
            if key in args.given or not _issued(args.site.architecture, key)
        }
        self.register_outputs({"arns": self.arns})

    def value(self, key: SecretKey) -> pulumi.Output[str]:
        """The value of a secret, marked as secret.

        Raises:
            KeyError: for the certificate, when it is issued later.
        """
        return self._values[key]

    def _secret(self, key: SecretKey) -> aws.secretsmanager.Secret:
        architecture = self._site.architecture
        return aws.secretsmanager.Secret(
            f"{self._name}-{key}",
            region=self._site.home,
            name=secret_name(self._site, key),
            description=f"Isochrone {architecture.name}: {key}",
            recovery_window_in_days=RECOVERY_DAYS if architecture.protect else 0,
            force_overwrite_replica_secret=True,
            replicas=[
                aws.secretsmanager.SecretReplicaArgs(region=region)
                for region in secret_regions(architecture, key)
                if region != self._site.home
            ],
            tags=self._site.tags(key),
            opts=pulumi.ResourceOptions(parent=self, protect=architecture.protect),
        )

    def _value(
        self, key: SecretKey, secret: aws.secretsmanager.Secret, given: str | None
    ) -> pulumi.Output[str]:
        text = pulumi.Output.secret(given) if given is not None else self._made()
        version = aws.secretsmanager.SecretVersion(
            f"{self._name}-{key}",
            region=self._site.home,
            secret_id=secret.id,
            secret_string=text,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=[] if given is not None else ["secretString"],
                additional_secret_outputs=["secretString"],
            ),
        )
        return pulumi.Output.secret(version.secret_string.apply(_present))

    def _made(self) -> pulumi.Output[str]:
        made = aws.secretsmanager.get_random_password_output(
            region=self._site.home, password_length=LENGTH, exclude_punctuation=True
        )
        return pulumi.Output.secret(made.random_password)


def check_given(site: Site, given: Mapping[str, str]) -> None:
    """The given secrets have to be those of the stack, and the certificate among them when it is to be given.

    A preview without the engine cannot decrypt the certificate, and so does not look at it.

    Raises:
        GivenSecretError: with every mistake; no value is in the message.
    """
    architecture = site.architecture
    known = secret_keys(architecture)
    mistakes = [
        f"isochrone:secrets.{key}: is no secret of the stack; those are {', '.join(known)}"
        for key in given
        if key not in known
    ]
    mistakes += [f"isochrone:secrets.{key}: is empty" for key, value in given.items() if not value.strip()]
    password = given.get("sql-admin", "")
    if password.strip() and architecture.sql.placement != "node" and not _is_rds_password(password):
        mistakes.append(
            "isochrone:secrets.sql-admin: is no password that RDS takes; give 8 to 41 printable ASCII"
            ' characters without `/`, `"`, `@` and spaces'
        )
    if architecture.certificate == "given" and "tls-certificate" not in given:
        mistakes.append(
            "isochrone:secrets.tls-certificate: is missing, as the certificate is to be given:"
            " pulumi config set --secret --path isochrone:secrets.tls-certificate < certificate.pem"
        )
    if architecture.certificate == "acme" and "tls-certificate" in given:
        mistakes.append(
            "isochrone:secrets.tls-certificate: is given though isochrone:certificate is acme;"
            " set that to given"
        )
    certificate = given.get("tls-certificate", SECRET)
    if architecture.certificate == "given" and certificate.strip() not in ("", SECRET):
        names = [site.play_name, *map(site.regional_name, architecture.nodes.regions)]
        mistakes += [
            f"isochrone:secrets.tls-certificate: {mistake}"
            for mistake in given_certificate.mistakes(certificate, names)
        ]
    if mistakes:
        raise GivenSecretError("\n".join(mistakes))


def _is_rds_password(value: str) -> bool:
    return _RDS_PASSWORD.fullmatch(value) is not None and not _NOT_IN_RDS_PASSWORD & set(value)


def _issued(architecture: Architecture, key: SecretKey) -> bool:
    return key == "tls-certificate" and architecture.certificate == "acme"


def _present(value: str | None) -> str:
    return value or ""
