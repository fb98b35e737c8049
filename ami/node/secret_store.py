"""The secrets that the document names: read from Secrets Manager, kept in a file system in memory only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ami.errors import AmiError
from ami.node import aws
from ami.node.document import Document
from ami.node.paths import SECRETS
from ami.node.system import Directory, Disk, File, Run

CERTIFICATE: Final = "tls-certificate"
"""The one secret that may have no value yet: until a certificate is issued."""

MODE: Final = 0o640
GROUP: Final = "market"
_NO_VALUE: Final = "ResourceNotFoundException"


class SecretError(AmiError):
    """Secrets cannot be read; the message names all of them, and no value."""


@dataclass(frozen=True)
class SecretValues:
    """The values of the machine's secrets, by key; they are in no representation."""

    _values: Mapping[str, str] = field(repr=False)

    def __getitem__(self, key: str) -> str:
        """A value.

        Raises:
            SecretError: when the document does not have the machine read it.
        """
        try:
            return self._values[key]
        except KeyError:
            raise SecretError(
                f"the machine needs the secret {key}, which its document does not have it read"
            ) from None

    @property
    def certificate(self) -> str | None:
        """The certificate with its chain and key, None until there is one."""
        return self._values.get(CERTIFICATE)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the secrets that have a value, in the order of the document."""
        return tuple(self._values)


def read(document: Document) -> SecretValues:
    """Read the secrets of a document in the machine's region.

    Raises:
        SecretError: when some have no value or cannot be read; all of them are named.
    """
    secrets_manager = aws.client("secretsmanager", document.region)
    values, mistakes = {}, []
    for key, name in document.secrets.read.items():
        try:
            values[key] = str(secrets_manager.get_secret_value(SecretId=name)["SecretString"]).strip()
        except KeyError:
            mistakes.append(f"{name} is no text")
        except aws.REFUSALS as error:
            if not (key == CERTIFICATE and aws.code(error) == _NO_VALUE):
                mistakes.append(f"{name}: {aws.reason(error)}")
    mistakes += [f"{document.secrets.read[key]} is empty" for key in values if not values[key]]
    if mistakes:
        raise SecretError(f"secrets cannot be read in {document.region}: " + "; ".join(mistakes))
    return SecretValues(values)


def certificate(document: Document, client: Any = None) -> str | None:
    """The certificate's present value, None when it has none yet.

    Raises:
        SecretError: when it cannot be read.
    """
    name = document.secrets.read.get(CERTIFICATE)
    if name is None:
        return None
    try:
        secrets_manager = client or aws.client("secretsmanager", document.region)
        return str(secrets_manager.get_secret_value(SecretId=name)["SecretString"])
    except aws.REFUSALS as error:
        if aws.code(error) == _NO_VALUE:
            return None
        raise SecretError(f"{name} cannot be read: {aws.reason(error)}") from error


def keep(values: SecretValues, disk: Disk, run: Run) -> None:
    """Write each secret into a file of its own, in memory; those that the document no longer names go.

    The certificate is not among them: only nginx reads it, from a place of its own.

    Raises:
        SecretError: when the place for them is not in memory.
    """
    kind = run(["findmnt", "--noheadings", "--output", "FSTYPE", "--mountpoint", str(SECRETS)])
    if kind.output.strip() != "tmpfs":
        raise SecretError(f"{SECRETS} is not in memory, so that no secret is written: mount a tmpfs there")
    disk.make(Directory(SECRETS, 0o750, group=GROUP))
    files = list(_files(values))
    wanted = {file.path.name for file in files}
    for path in disk.at(SECRETS).iterdir():
        if path.name not in wanted:
            path.unlink()
    for file in files:
        disk.write(file)


def _files(values: SecretValues) -> Iterator[File]:
    for key in values.keys:
        if key != CERTIFICATE:
            yield File(SECRETS / key, values[key], MODE, group=GROUP)
