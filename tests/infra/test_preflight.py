"""What AWS does not offer or allow refuses the program before it declares anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from infra.architecture import Architecture, Routing
from infra.hardware import Hardware
from infra.preflight import PreflightError, check_domain, check_offers, check_quotas, check_zones
from infra.regions import REGIONS
from infra.stackfile import load
from tests.infra.answering import NO_CLASS, SILENT, Account, Answer, allowing, offering

ROOT = Path(__file__).parents[2]
HOME = "eu-west-1"
# Of the provider's own modules, when they are first imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws")


def architecture(stack: str) -> Architecture:
    return load(stack, ROOT)


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_an_account_that_has_everything_lets_the_program_go_on_without_a_word(stack: str) -> None:
    account = Account(offering())
    account.preview(architecture(stack), check_domain, check_zones, check_offers, check_quotas)
    assert account.declared == ["after"]
    assert account.warnings == []


def test_each_region_is_asked_once_for_its_types_each_class_and_the_version() -> None:
    account = Account(offering())
    account.preview(architecture("geo-ii"), check_offers)
    types = {
        args["region"]: args["filters"][0]["values"]
        for name, args in account.asked
        if name == "getInstanceTypeOfferings"
    }
    assert types == {region: ["m3.2xlarge"] for region in REGIONS} | {
        HOME: ["m3.2xlarge", "m3.medium", "m2.xlarge"]
    }
    classes = [
        (a["region"], a["instanceClass"]) for name, a in account.asked if name == "getOrderableDbInstance"
    ]
    assert sorted(classes) == [
        ("ap-northeast-1", "db.t3.medium"),
        ("ap-southeast-1", "db.t3.medium"),
        ("eu-west-1", "db.r5.2xlarge"),
        ("sa-east-1", "db.t3.medium"),
        ("us-east-1", "db.t3.medium"),
        ("us-west-2", "db.t3.medium"),
    ]
    versions = [a["region"] for name, a in account.asked if name == "getEngineVersion"]
    assert sorted(versions) == sorted(region for region, _ in classes)
    assert len(account.asked) == len(types) + len(classes) + len(versions)


@pytest.mark.parametrize(("version", "asked"), [("10.11", None), ("10.11.8", "10.11.8")])
def test_a_class_is_asked_for_with_a_version_that_is_exact(version: str, asked: str | None) -> None:
    a = architecture("geo-i")
    account = Account(offering())
    account.preview(replace(a, sql=replace(a.sql, engine_version=version)), check_offers)
    (args,) = (args for name, args in account.asked if name == "getOrderableDbInstance")
    assert args["engine"] == "mariadb"
    assert args.get("engineVersion") == asked
    assert args["preferredInstanceClasses"] == [args["instanceClass"]]


def test_every_region_with_too_few_zones_is_refused_at_once_with_what_to_do() -> None:
    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        few = {"us-west-1": ["us-west-1a"], HOME: [f"{HOME}a", f"{HOME}b"]}
        return {"names": few[args["region"]]} if args["region"] in few else offering()(token, args)

    account = Account(answer)
    with pytest.raises(PreflightError) as caught:
        account.preview(replace(architecture("geo-i"), zones=3), check_zones)
    assert set(caught.value.problems) == {
        f"this account has 2 of the 3 availability zones that {HOME} has to have: lower isochrone:zones",
        "this account has 1 of the 2 availability zones that us-west-1 has to have: take another region",
    }
    assert account.declared == []


def test_what_aws_does_not_say_of_zones_is_one_warning() -> None:
    account = Account(lambda *_: SILENT)
    account.preview(architecture("geo-i"), check_zones)
    assert account.declared == ["after"]
    (warning,) = account.warnings
    assert warning.startswith("AWS did not say which availability zones there are in: eu-west-1, us-east-1")


def in_zone(domain: str) -> Architecture:
    """geo-i with a domain that is said to be in a zone which is there already."""
    return replace(architecture("geo-i"), domain=domain, routing=Routing("latency", zone_id="Z0123456789"))


@pytest.mark.parametrize("domain", ["market.example", "geo-i.market.example"])
def test_a_domain_may_be_anywhere_in_the_zone_that_is_named(domain: str) -> None:
    account = Account(lambda *_: {"name": "market.example."})
    account.preview(in_zone(domain), check_domain)
    assert account.asked == [("getZone", {"zoneId": "Z0123456789"})]
    assert (account.declared, account.warnings) == (["after"], [])


@pytest.mark.parametrize("domain", ["other.example", "supermarket.example", "market.other"])
def test_a_domain_elsewhere_is_refused_before_records_are(domain: str) -> None:
    account = Account(lambda *_: {"name": "market.example."})
    with pytest.raises(PreflightError) as caught:
        account.preview(in_zone(domain), check_domain)
    assert caught.value.problems == (
        f"{domain} is not in the hosted zone Z0123456789, which has market.example: set isochrone:domain to"
        " that or to a name below it, such as geo-i.market.example",
    )
    assert account.declared == []


def test_a_zone_that_is_not_the_account_s_is_refused() -> None:
    account = Account(lambda *_: ({}, [("", "NoSuchHostedZone: No hosted zone found with ID: Z0123456789")]))
    with pytest.raises(PreflightError, match=r"no hosted zone Z0123456789.*leave that out to have one made"):
        account.preview(in_zone("market.example"), check_domain)


def test_what_aws_does_not_say_of_the_zone_is_one_warning() -> None:
    account = Account(lambda *_: SILENT)
    account.preview(in_zone("market.example"), check_domain)
    assert account.declared == ["after"]
    (warning,) = account.warnings
    assert warning.startswith("AWS did not say which domain is in the hosted zone: Z0123456789;")


def test_every_type_that_is_not_offered_is_refused_at_once_with_what_to_use_instead() -> None:
    account = Account(offering(without=("m3.xlarge", "m2.xlarge")))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-i"), check_offers)
    m3, m2 = "m6i.xlarge: isochrone:hardware current", "r6i.large: isochrone:hardware current"
    assert set(caught.value.problems) == {
        *(f"it does not offer m3.xlarge in {region} (instead use {m3})" for region in REGIONS),
        f"it does not offer m2.xlarge in {HOME} (instead use {m2})",
    }
    assert account.declared == []


def test_for_current_hardware_the_thesis_s_own_is_named_instead() -> None:
    account = Account(offering(without=("m6i.xlarge",)))
    with pytest.raises(PreflightError, match=r"m6i\.xlarge in .* use m3\.xlarge: isochrone:hardware thesis"):
        account.preview(replace(architecture("geo-i"), hardware="current"), check_offers)


def test_what_aws_does_not_say_of_offers_is_one_warning_with_what_to_use_instead() -> None:
    account = Account(lambda *_: SILENT)
    account.preview(architecture("geo-i"), check_offers)
    assert account.declared == ["after"]
    (warning,) = account.warnings
    assert "m3.xlarge in sa-east-1 (instead use m6i.xlarge: isochrone:hardware current)" in warning
    assert "db.r5.4xlarge in eu-west-1 (instead use db.r6i.4xlarge: isochrone:hardware current)" in warning
    assert "AccessDenied" in warning


def test_a_quota_that_is_too_small_is_refused_with_the_request_to_file() -> None:
    account = Account(allowing(1.0))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-ii"), check_quotas)
    assert len(caught.value.problems) == 8 + 8 + 1
    assert "--quota-code L-0263D0A3 --desired-value 2 --region sa-east-1" in str(caught.value)
    assert account.declared == []


def test_what_aws_does_not_say_of_quotas_is_one_warning_and_the_rest_is_checked() -> None:
    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        if args.get("serviceCode", "ec2") != "ec2":
            return SILENT
        return allowing(1.0)(token, args)

    account = Account(answer)
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-ii"), check_quotas)
    assert len(caught.value.problems) == 8 + 8
    (warning,) = account.warnings
    assert "Read replicas per primary in eu-west-1 (5 are needed)" in warning
    assert "VPCs per Region in us-east-1" in warning
    assert "Elastic" not in warning


def test_a_class_that_rds_does_not_offer_is_refused_with_what_to_use_instead() -> None:
    account = Account(offering(without=("db.r5.4xlarge",)))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-i"), check_offers)
    assert caught.value.problems == (
        f"it does not offer db.r5.4xlarge in {HOME} (instead use db.r6i.4xlarge: isochrone:hardware current)",
    )
    assert account.declared == []
    assert account.warnings == []


@pytest.mark.parametrize(
    "said",
    [
        "no RDS DB Instance Classes match the criteria; try a different search",
        "api error InvalidParameterValue: Invalid DB Instance class: db.r5.4xlarge",
    ],
)
def test_it_is_a_no_in_whichever_words(said: str) -> None:
    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        denied = args.get("instanceClass") == "db.r5.4xlarge"
        return ({}, [("", said)]) if denied else offering()(token, args)

    with pytest.raises(PreflightError, match=r"does not offer db\.r5\.4xlarge"):
        Account(answer).preview(architecture("geo-i"), check_offers)


def test_types_and_classes_are_refused_together() -> None:
    account = Account(offering(without=("m2.xlarge", "db.t3.medium", "db.r5.2xlarge")))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-ii"), check_offers)
    assert len(caught.value.problems) == 1 + 5 + 1


@pytest.mark.parametrize(
    ("stack", "hardware", "silent"),
    [
        ("geo-i", "thesis", ["db.r5.4xlarge in eu-west-1"]),
        ("geo-i", "current", ["db.r6i.4xlarge in eu-west-1"]),
        ("geo-ii", "thesis", ["db.r5.2xlarge in eu-west-1", "db.t3.medium in us-east-1"]),
        ("geo-ii", "current", ["db.r6i.2xlarge in eu-west-1", "db.t4g.medium in us-east-1"]),
    ],
)
def test_where_nothing_of_the_engine_is_known_nobody_has_said_no(
    stack: str, hardware: Hardware, silent: list[str]
) -> None:
    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        return NO_CLASS if token.endswith("getOrderableDbInstance") else offering()(token, args)

    account = Account(answer)
    account.preview(replace(architecture(stack), hardware=hardware), check_offers)
    assert account.declared == ["after"]
    (warning,) = account.warnings
    assert all(each in warning for each in silent)


def test_all_questions_are_under_way_at_the_same_time() -> None:
    together = Barrier(3, timeout=10)

    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        if token.endswith("getServiceQuota"):
            together.wait()
        return allowing(1000.0)(token, args)

    account = Account(answer)
    account.preview(architecture("baseline"), check_quotas)
    quotas = [name for name, _ in account.asked if name == "getServiceQuota"]
    assert len(quotas) == together.parties
