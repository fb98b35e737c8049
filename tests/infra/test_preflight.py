"""What AWS does not offer or allow refuses the program before it declares anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pulumi_aws as aws
import pytest
from pulumi.runtime import set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.architecture import Architecture, Routing
from infra.hardware import Hardware
from infra.preflight import PreflightError, check_domain, check_offers, check_quotas, check_zones
from infra.regions import REGIONS
from infra.site import Site
from infra.stackfile import load

ROOT = Path(__file__).parents[2]
HOME = "eu-west-1"
# Of the provider's own modules, when they are first imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws")

ANSWERING = 4
"""The look-ups that are answered at the same time."""

SILENT: tuple[dict[str, Any], list[tuple[str, str]]] = ({}, [("", "AccessDenied")])

Answer = dict[str, Any] | tuple[dict[str, Any], list[tuple[str, str]]]


NO_CLASS: tuple[dict[str, Any], list[tuple[str, str]]] = (
    {},
    [("", "no RDS Orderable DB Instance Options found matching criteria; try different search")],
)


def offering(*_: object, without: tuple[str, ...] = ()) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Answers as an account does in which all is offered and allowed, except the types of `without`."""

    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        match token.rpartition(":")[2]:
            case "getInstanceTypeOfferings":
                asked = args["filters"][0]["values"]
                return {"instanceTypes": [kind for kind in asked if kind not in without]}
            case "getOrderableDbInstance":
                return (
                    NO_CLASS if args["instanceClass"] in without else {"instanceClass": args["instanceClass"]}
                )
            case "getServiceQuota":
                return {"value": 1000.0}
            case "getAvailabilityZones":
                return {"names": [args["region"] + letter for letter in "abc"]}
        return nothing_used(token)

    return answer


def nothing_used(token: str) -> Answer:
    """What an account answers that has nothing yet."""
    return {
        "getVpcs": {"ids": []},
        "getEips": {"allocationIds": []},
        "getInstances": {"ids": [], "instanceIdentifiers": []},
    }[token.rpartition(":")[2]]


def allowing(value: float) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Answers as an account does that has nothing, and may have so many of everything."""
    return lambda token, _: {"value": value} if token.endswith("getServiceQuota") else nothing_used(token)


@dataclass
class Account(Mocks):
    """An account that answers look-ups; what is asked, declared and warned of is kept."""

    answer: Callable[[str, Mapping[str, Any]], Answer]
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def call(self, args: MockCallArgs) -> Any:
        self.asked.append((args.token.rpartition(":")[2], args.args))
        return self.answer(args.token, args.args)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.declared.append(args.name)
        return args.name, {}

    @property
    def log(self) -> logging.Logger:
        logger = logging.Logger("preflight", logging.WARNING)
        handler = logging.Handler()
        handler.emit = lambda record: self.warnings.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        return logger

    def preview(self, a: Architecture, *checks: Callable[[Site], None]) -> None:
        """Runs the checks and then declares a topic, as a program would."""

        def program() -> None:
            for check in checks:
                check(Site(a))
            aws.sns.Topic("after")

        failed: list[BaseException] = []

        def run() -> None:
            try:
                with event_loop() as loop:
                    set_mocks(self, "isochrone", "test", preview=True, logger=self.log)
                    set_root_resource(None)  # type: ignore[arg-type]
                    loop.run_until_complete(run_in_stack(program))
            except BaseException as error:
                failed.append(error)

        # The SDK keeps its state by thread.
        thread = Thread(target=run, daemon=True)
        thread.start()
        thread.join()
        for error in failed:
            raise error


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for this thread, and one for each of those that answer, where the mocks need it."""
    loop, *answering = loops = [asyncio.new_event_loop() for _ in range(1 + ANSWERING)]
    with ThreadPoolExecutor(
        ANSWERING, initializer=lambda: asyncio.set_event_loop(answering.pop())
    ) as executor:
        asyncio.set_event_loop(loop)
        loop.set_default_executor(executor)
        try:
            yield loop
        finally:
            asyncio.set_event_loop(None)
            executor.shutdown()
            for each in loops:
                each.close()


def architecture(stack: str) -> Architecture:
    return load(stack, ROOT)


@pytest.mark.parametrize("stack", ["baseline", "geo-i", "geo-ii"])
def test_an_account_that_has_everything_lets_the_program_go_on_without_a_word(stack: str) -> None:
    account = Account(offering())
    account.preview(architecture(stack), check_domain, check_zones, check_offers, check_quotas)
    assert account.declared == ["after"]
    assert account.warnings == []


def test_each_region_is_asked_once_for_its_types_and_once_for_each_class() -> None:
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
    assert len(account.asked) == len(types) + len(classes)


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
