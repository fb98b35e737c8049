"""The steward has a certificate issued when one is due, once, and puts it where the nodes look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import msgspec
import pytest

from ami.node import certificate_issue
from ami.node.acme_order import AcmeError, order
from ami.node.certificate_issue import EARLY, INTERVAL_S, RETRY_S, CertificateIssue
from ami.node.certificates import parse, self_signed
from ami.node.dns_challenge import ChallengeError, answered
from ami.node.document import Document
from tests.ami.acme_authority import DAYS, Authority, authority
from tests.ami.node_fakes import HOME, account, document, launch, put_secrets

PLAY = "play.market.example"
NAMES = (PLAY, f"*.{PLAY}")
CHALLENGE = f"_acme-challenge.{PLAY}"


class Stack:
    """An account of moto's with the zone and the secret of a stack, and an authority that looks there."""

    def __init__(self) -> None:
        self.route53: Any = boto3.client("route53", HOME)
        zone = self.route53.create_hosted_zone(Name="market.example", CallerReference="x")["HostedZone"]["Id"]
        self.zone = zone.removeprefix("/hostedzone/")
        told = document("geo-ii", "core")
        assert told.certificate is not None
        certificate = msgspec.structs.replace(told.certificate, zone_id=self.zone)
        self.document: Document = msgspec.structs.replace(told, certificate=certificate)
        put_secrets(self.document)
        self.authority: Authority

    def txt(self, name: str) -> list[str]:
        records = self.route53.list_resource_record_sets(HostedZoneId=self.zone)["ResourceRecordSets"]
        return [
            value["Value"].strip('"')
            for record in records
            if record["Type"] == "TXT" and record["Name"].rstrip(".") == name
            for value in record["ResourceRecords"]
        ]

    def put(self, pem: str) -> None:
        client = boto3.client("secretsmanager", HOME)
        client.put_secret_value(SecretId=self.document.secrets.write["tls-certificate"], SecretString=pem)

    def secret(self) -> str:
        client = boto3.client("secretsmanager", HOME)
        found = client.get_secret_value(SecretId=self.document.secrets.read["tls-certificate"])
        return str(found["SecretString"])

    def steward(self, instance_id: str) -> CertificateIssue:
        assert self.document.certificate is not None
        directory = f"{self.authority.url}/dir"
        return CertificateIssue(
            self.document, self.document.certificate, instance_id, partial(order, directory=directory)
        )


@pytest.fixture
def stack() -> Iterator[Stack]:
    with account():
        made = Stack()
        with authority(made.txt) as made.authority:
            yield made


def start(role: str = "core") -> str:
    return launch(HOME, **{"isochrone:stack": "geo-ii", "isochrone:role": role})


def test_the_first_certificate_is_for_all_names_and_its_record_goes_again(stack: Stack) -> None:
    assert stack.steward(start()).look() == INTERVAL_S
    pair = parse(stack.secret())
    assert pair.names == NAMES
    assert timedelta(days=DAYS - 1) < pair.expires - datetime.now(UTC) < timedelta(days=DAYS)
    assert pair.chain.count("BEGIN CERTIFICATE") == 2
    assert stack.txt(CHALLENGE) == []


def test_a_name_may_be_longer_than_a_common_name_can_be() -> None:
    name = f"play.{'a' * 60}.market.example"
    written: list[str] = []

    @contextmanager
    def challenge(values: Sequence[str]) -> Iterator[None]:
        written[:] = values
        yield

    with authority(lambda _: written) as asked:
        assert order((name,), challenge, directory=f"{asked.url}/dir").names == (name,)


def test_one_that_will_do_is_left(stack: Stack) -> None:
    steward = stack.steward(start())
    steward.look()
    pem = stack.secret()
    assert steward.look() == pytest.approx(INTERVAL_S, rel=0.1)
    assert (stack.secret(), stack.authority.orders) == (pem, 1)


@pytest.mark.parametrize(
    ("names", "begun", "due"),
    [
        (NAMES, timedelta(0), True),
        ((PLAY,), timedelta(days=-60), True),
        (NAMES, timedelta(days=-60), False),
    ],
    ids=["30 days are left", "a name is missing", "90 days are left"],
)
def test_one_is_due_when_it_ends_soon_or_a_name_is_missing(
    stack: Stack, names: Sequence[str], begun: timedelta, due: bool
) -> None:
    stack.put(self_signed(names, datetime.now(UTC) - begun).pem)
    stack.steward(start()).look()
    assert stack.authority.orders == due
    assert timedelta(days=30) == EARLY


def test_of_two_stewards_one_orders(stack: Stack) -> None:
    first, second = sorted([start(), start()])
    start("node")
    assert stack.steward(second).look() == pytest.approx(INTERVAL_S, rel=0.1)
    assert stack.authority.orders == 0
    stack.steward(first).look()
    assert stack.authority.orders == 1


def test_the_second_takes_over_when_the_first_has_gone(stack: Stack) -> None:
    first, second = sorted([start(), start()])
    boto3.client("ec2", HOME).terminate_instances(InstanceIds=[first])
    stack.steward(second).look()
    assert stack.authority.orders == 1


def test_a_refusal_is_told_and_tried_again_later(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def nowhere(*_: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(certificate_issue, "answered", nowhere)
    assert stack.steward(start()).look() == RETRY_S
    assert f"could not check {PLAY}, *.{PLAY}: no TXT record with the digest" in caplog.text


def test_an_authority_that_is_away_is_named() -> None:
    with pytest.raises(AcmeError, match=r"http://127\.0\.0\.1:1/dir issued no certificate for play"):
        order((PLAY,), lambda _: contextmanager(lambda: iter([None]))(), directory="http://127.0.0.1:1/dir")


def test_the_record_has_both_values_while_it_lasts(stack: Stack) -> None:
    with answered(stack.zone, CHALLENGE, ["one", "two"], HOME, poll_s=0):
        assert stack.txt(CHALLENGE) == ["one", "two"]
    assert stack.txt(CHALLENGE) == []


def test_the_record_goes_when_the_order_fails(stack: Stack) -> None:
    with pytest.raises(ZeroDivisionError), answered(stack.zone, CHALLENGE, ["one"], HOME, poll_s=0):
        raise ZeroDivisionError
    assert stack.txt(CHALLENGE) == []


def test_a_zone_that_is_not_ours_is_named(stack: Stack) -> None:
    with (
        pytest.raises(ChallengeError, match=f"{CHALLENGE} could not be written: NoSuchHostedZone"),
        answered("ZNONE", CHALLENGE, ["one"], HOME, poll_s=0),
    ):
        pass
