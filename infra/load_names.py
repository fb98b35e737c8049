"""The bucket of a stack's load fleet, and what is where in it."""

from __future__ import annotations

from typing import Final

from infra.site import Site

JOBS: Final = "jobs/"
"""What load machines fetch: the generator, their plans, their users' tokens."""

RESULTS: Final = "results/"
"""What load machines leave: that they are ready, how far they are, what they measured."""

BOOKS: Final = "books/"
"""What the machine of the ledger leaves: what the pools and the SQL master say was staked."""


def bucket_name(site: Site, account: str) -> str:
    """The name of the bucket, with the account's number: all accounts of AWS share the names of buckets."""
    return site.name("load", account)
