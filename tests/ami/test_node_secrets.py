"""Secrets are read where the machine is, kept in memory, and named but never told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from ami.node import paths, secret_store
from ami.node.secret_store import SecretError, SecretValues
from ami.node.system import Done
from tests.ami.node_fakes import SECRETS, Programs, account, disk, document, put_secrets


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with account():
        yield


def test_every_secret_of_the_document_is_read_in_the_machines_region() -> None:
    told = document("geo-ii", "node", "sa-east-1")
    put_secrets(told, tls_certificate="PEM\n", token_key=" given with white space \n")
    values = secret_store.read(told)
    assert values["redis-password"] == "redis-secret"
    assert values["token-key"] == "given with white space"
    assert values.certificate == "PEM"
    assert set(values.keys) == set(told.secrets.read)


def test_only_the_certificate_may_come_later() -> None:
    told = document("geo-i", "node")
    put_secrets(told)
    assert secret_store.read(told).certificate is None
    assert secret_store.certificate(told) is None


def test_all_that_is_missing_is_named_at_once() -> None:
    told = document("geo-ii", "core")
    client = boto3.client("secretsmanager", told.region)
    client.create_secret(Name=told.secrets.read["sql-ledger"], SecretString=" ")
    client.create_secret(Name=told.secrets.read["sql-reader"], SecretBinary=b"binary")
    with pytest.raises(SecretError) as refused:
        secret_store.read(told)
    message = str(refused.value)
    assert "isochrone/geo-ii/sql-admin: ResourceNotFoundException" in message
    assert "isochrone/geo-ii/sql-ledger is empty" in message
    assert "isochrone/geo-ii/sql-reader is no text" in message


def test_no_value_is_in_a_representation() -> None:
    assert "redis-secret" not in repr(SecretValues(SECRETS))


def test_each_secret_is_a_file_for_the_service_and_the_certificate_none(tmp_path: Path) -> None:
    where, given = disk(tmp_path)
    secret_store.keep(SecretValues({**SECRETS, "tls-certificate": "PEM"}), where, Programs())
    directory = where.at(paths.SECRETS)
    assert {path.name: path.read_text() for path in directory.iterdir()} == SECRETS
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o640}
    assert directory.stat().st_mode & 0o777 == 0o750
    assert set(given.values()) == {("root", "market")}


def test_a_secret_that_is_no_longer_named_goes(tmp_path: Path) -> None:
    where, _ = disk(tmp_path)
    secret_store.keep(SecretValues(SECRETS), where, Programs())
    secret_store.keep(SecretValues({"token-key": "new"}), where, Programs())
    assert [path.name for path in where.at(paths.SECRETS).iterdir()] == ["token-key"]


def test_no_secret_is_written_to_a_disk(tmp_path: Path) -> None:
    where, _ = disk(tmp_path)
    with pytest.raises(SecretError, match="is not in memory"):
        secret_store.keep(SecretValues(SECRETS), where, Programs({"findmnt": Done(1, "")}))
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
