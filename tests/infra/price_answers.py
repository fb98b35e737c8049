"""Answers of AWS's price list, and a client that gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.stub import Stubber

from infra.price_offers import Question, questions
from infra.regions import REGIONS

USAGE_PREFIX = {"us-east-1": "", "eu-west-1": "EU-"}
ALL = {question.key: question for question in questions()}


def offer(usage: str, unit: str, *tiers: tuple[str, str], **attributes: str) -> dict[str, Any]:
    """A product as the price list has it; `tiers` are the beginnings and the prices in US dollars."""
    sku = "YQHNG5NBWUE3D67S"
    dimensions = {
        f"{sku}.JRTCKXETXF.{number}": {
            "unit": unit,
            "beginRange": begins,
            "endRange": "Inf",
            "description": f"${price} per {unit}",
            "appliesTo": [],
            "rateCode": f"{sku}.JRTCKXETXF.{number}",
            "pricePerUnit": {"USD": price},
        }
        for number, (begins, price) in enumerate(tiers)
    }
    reserved = {"unit": "Quantity", "pricePerUnit": {"USD": "999"}, "beginRange": "0"}
    return {
        "product": {
            "productFamily": "A family",
            "attributes": {"usagetype": usage, **attributes},
            "sku": sku,
        },
        "serviceCode": "A service",
        "terms": {
            "OnDemand": {f"{sku}.JRTCKXETXF": {"priceDimensions": dimensions, "sku": sku}},
            "Reserved": {f"{sku}.38NPMPTW36": {"priceDimensions": {"x": reserved}, "sku": sku}},
        },
        "version": "20260226205400",
        "publicationDate": "2026-02-26T20:54:00Z",
    }


def linux(usage: str, price: str, **attributes: str) -> dict[str, Any]:
    attributes = {"marketoption": "OnDemand", "licenseModel": "No License required", **attributes}
    return offer(usage, "Hrs", ("0", price), **attributes)


def answer(question: Question) -> list[dict[str, Any]]:
    """What AWS would answer: the right product at some price, with the usage type of its region."""
    region = next((part for part in question.key if part in REGIONS), "us-east-1")
    usage = USAGE_PREFIX.get(region, "APN1-") + re.sub(r"\[.*?\]\??", "", question.usage).replace("\\", "")
    usage = usage.replace("{2,4}", "EU")
    if question.tiered:
        return [offer(usage, "Mo", ("0", "0.0"), ("50", "0.50"))]
    price = {"route53_per_hour": "0.50", "health_check_option_month": "1.00", "inter_region_gb": "0.02"}.get(
        question.key[0], f"{0.05 + len(question.key[-1]) / 100:.10f}"
    )
    return [offer(usage, question.unit or "Mo", ("0", price))]


def pages(
    question: Question, *answers: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The answers and the parameters of the calls that they need, one call for each page."""
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in question.filters.items()
    ]
    expected = {"ServiceCode": question.service, "Filters": filters, "FormatVersion": "aws_v1"}
    for number, found in enumerate(answers):
        more = {"NextToken": f"page-{number + 1}"} if number + 1 < len(answers) else {}
        before = {"NextToken": f"page-{number}"} if number else {}
        listed = {"FormatVersion": "aws_v1", "PriceList": [json.dumps(each) for each in found], **more}
        yield listed, {**expected, **before}


@contextmanager
def stubbed(calls: Iterator[tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[Any]:
    """A client of the price list that answers these calls, and no others."""
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stubber:
        for answered, expected in calls:
            stubber.add_response("get_products", answered, expected)
        yield client
        stubber.assert_no_pending_responses()
