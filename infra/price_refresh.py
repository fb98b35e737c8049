"""Asks AWS's price list for all that a price file has, and makes the file of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

from infra.aws_errors import AWS_ERRORS
from infra.errors import InfraError
from infra.price_offers import NoOfferError, Question, published, read

PRICING_REGION: Final = "us-east-1"
"""Where the price list of all regions is asked."""

_CONFIG: Final = Config(retries={"mode": "adaptive", "max_attempts": 10})
"""AWS slows callers down after some requests a second, and there are about 200."""


class RefreshError(InfraError):
    """The price list could not be asked, or has no price for something."""


@dataclass(frozen=True)
class Refreshed:
    """A price file's JSON, and what has no price in it."""

    data: Mapping[str, Any]
    missing: tuple[str, ...]

    def complete(self) -> Mapping[str, Any]:
        """The file's JSON.

        Raises:
            RefreshError: when something has no price; the message names all of it.
        """
        if self.missing:
            raise RefreshError(
                "AWS's price list has no price for:\n"
                + "\n".join(f"  {what}" for what in self.missing)
                + "\nnothing is written; --incomplete writes the others, and a stack that needs one of these"
                " is refused then"
            )
        return self.data


def pricing_client() -> Any:
    """A client for the price list, with the credentials of the environment.

    Raises:
        RefreshError: when the environment names credentials that are not there.
    """
    try:
        return boto3.client("pricing", region_name=PRICING_REGION, config=_CONFIG)
    except BotoCoreError as error:
        raise RefreshError(f"AWS's price list cannot be asked: {error}") from error


def refresh(client: Any, today: date, asked: Iterable[Question]) -> Refreshed:
    """Today's prices.

    Args:
        client: boto3's client of the price list.
        today: the date of the file.
        asked: the questions, each with a path of its own in the file.

    Raises:
        RefreshError: when AWS does not answer.
    """
    data: dict[str, Any] = {}
    missing: list[str] = []
    newest = ""
    services: list[str] = []
    for question in asked:
        offers = list(ask(client, question))
        newest = max(newest, published(offers))
        services.append(question.service)
        try:
            _put(data, question.key, read(question, offers))
        except NoOfferError as error:
            missing.append(str(error))
    source = (
        f"AWS Price List API ({', '.join(dict.fromkeys(services))}), published until {newest or 'unknown'}:"
        " on demand, Linux, shared tenancy; RDS MariaDB in a single zone; data transfer to the dearest of the"
        " other regions; US dollars without tax or discounts"
    )
    return Refreshed(
        {"as_of": today.isoformat(), "source": source, "as_ordered": True, **data}, tuple(missing)
    )


def ask(client: Any, question: Question) -> Iterator[Mapping[str, Any]]:
    """The products that AWS answers a question with.

    Raises:
        RefreshError: when it does not answer; the message says why and what to do.
    """
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in question.filters.items()
    ]
    try:
        for page in client.get_paginator("get_products").paginate(
            ServiceCode=question.service, Filters=filters, FormatVersion="aws_v1"
        ):
            yield from map(json.loads, page["PriceList"])
    except (NoCredentialsError, PartialCredentialsError):
        raise RefreshError(
            "AWS's price list is asked with your credentials, and there are none: `aws configure`, or"
            " AWS_PROFILE; they need pricing:GetProducts only"
        ) from None
    except AWS_ERRORS as error:
        raise RefreshError(f"AWS's price list does not answer about {question.what}: {error}") from error


def _put(data: dict[str, Any], key: Sequence[str], value: object) -> None:
    *parents, last = key
    for parent in parents:
        data = data.setdefault(parent, {})
    data[last] = value
