"""A stack's bucket, as the command uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fleet.errors import FleetError
from infra.aws_errors import AWS_ERRORS


@dataclass(frozen=True)
class Store:
    """A bucket.

    Args:
        client: boto3's client of S3 in the bucket's region.
        bucket: its name.
    """

    client: Any
    bucket: str

    def put(self, key: str, body: bytes) -> None:
        """Write an object; raises `FleetError`."""
        with self._told(f"{key} could not be written"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """Read an object; raises `FleetError`."""
        with self._told(f"{key} could not be read"):
            return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self, prefix: str) -> set[str]:
        """The objects whose keys begin so; raises `FleetError`."""
        with self._told(f"{prefix} could not be listed"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return {found["Key"] for page in pages for found in page.get("Contents", ())}

    def remove(self, prefix: str) -> None:
        """Delete the objects whose keys begin so; raises `FleetError`."""
        keys = sorted(self.keys(prefix))
        with self._told(f"{prefix} could not be deleted"):
            for key in keys:
                self.client.delete_object(Bucket=self.bucket, Key=key)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except AWS_ERRORS as error:
            raise FleetError(f"{what} in the bucket {self.bucket}: {error}") from error
