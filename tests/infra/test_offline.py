"""A program runs without an engine, an account or a network, and always says the same."""

from __future__ import annotations

from threading import Event
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra import offline
from infra.answers import UnansweredError
from infra.declaration import SECRET, Declaration
from infra.errors import InfraError, StackFileError
from infra.offline import OfflineError, declare, engine_config


class Shop(pulumi.ComponentResource):
    def __init__(self, name: str) -> None:
        super().__init__("isochrone:infra:Shop", name)
        zones = aws.get_availability_zones_output(region="eu-west-1", state="available").names
        password = aws.secretsmanager.get_random_password_output(region="eu-west-1").random_password
        topic = aws.sns.Topic(f"{name}-topic", region="eu-west-1", opts=pulumi.ResourceOptions(parent=self))
        secret = aws.secretsmanager.Secret(
            f"{name}-secret",
            region="eu-west-1",
            description=zones[0],
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        aws.secretsmanager.SecretVersion(
            f"{name}-version",
            region="eu-west-1",
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(password),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.topic_arn = topic.arn
        self.register_outputs({})


def program() -> None:
    shop = Shop("shop")
    pulumi.log.warn("the shop is small")
    pulumi.export("topic", shop.topic_arn)
    pulumi.export("title", pulumi.Config().require("title"))
    pulumi.export("sizes", pulumi.Config().require_object("nodes")["sizes"])
    pulumi.export("preview", pulumi.runtime.is_dry_run())


CONFIG: dict[str, Any] = {"isochrone:title": "Shops", "isochrone:nodes": {"sizes": [1, 2]}}


@pytest.fixture(scope="module")
def shop() -> Declaration:
    return declare("shops", CONFIG, program)


def test_every_resource_is_told_with_its_component_and_region(shop: Declaration) -> None:
    told = [(r.type, r.name, r.parent, r.region) for r in shop.resources]
    assert told == [
        ("aws:secretsmanager/secret:Secret", "shop-secret", "shop", "eu-west-1"),
        ("aws:secretsmanager/secretVersion:SecretVersion", "shop-version", "shop", "eu-west-1"),
        ("aws:sns/topic:Topic", "shop-topic", "shop", "eu-west-1"),
        ("isochrone:infra:Shop", "shop", "", ""),
    ]


def test_protection_is_told(shop: Declaration) -> None:
    assert [r.name for r in shop.resources if r.protect] == ["shop-secret"]


def test_references_and_look_ups_are_answered_with_names(shop: Declaration) -> None:
    secret, version, *_ = shop.resources
    assert secret.inputs["description"] == "eu-west-1a"
    assert version.inputs["secretId"] == "shop-secret.id"
    assert shop.exports["topic"] == "arn:aws:sns:eu-west-1:123456789012:shop-topic"


def test_secrets_are_redacted(shop: Declaration) -> None:
    assert shop.resources[1].inputs["secretString"] == SECRET


def test_configuration_comes_as_from_the_engine(shop: Declaration) -> None:
    assert shop.exports["title"] == "Shops"
    assert shop.exports["sizes"] == [1, 2]
    assert shop.exports["preview"] is True


def test_warnings_of_the_program_are_told(shop: Declaration) -> None:
    assert shop.warnings == ("the shop is small",)


def test_a_second_run_says_the_same(shop: Declaration) -> None:
    assert declare("shops", CONFIG, program) == shop


def test_a_refusal_of_the_program_comes_through() -> None:
    def refuses() -> None:
        raise StackFileError("Pulumi.x.yaml", ["isochrone:zones: is wrong"])

    with pytest.raises(StackFileError, match="zones: is wrong"):
        declare("shops", CONFIG, refuses)


def test_another_failure_names_the_stack() -> None:
    with pytest.raises(OfflineError, match="shops failed: nothing there"):
        declare("shops", CONFIG, lambda: (_ for _ in ()).throw(ValueError("nothing there")))


def test_a_failure_in_an_output_is_one_of_the_program() -> None:
    def fails() -> None:
        def refuse(_: object) -> str:
            raise pulumi.RunError("no such image")

        aws.sns.Topic("topic", name=pulumi.Output.from_input(1).apply(refuse))

    with pytest.raises(OfflineError, match="no such image"):
        declare("shops", CONFIG, fails)


def test_a_look_up_without_an_answer_is_refused_with_its_name() -> None:
    with pytest.raises(InfraError, match="aws:sqs/getQueue:getQueue has no answer offline") as caught:
        declare("shops", CONFIG, lambda: pulumi.export("x", aws.sqs.get_queue(name="q").url))
    assert issubclass(UnansweredError, InfraError)
    assert "answers.py" in str(caught.value)


def test_two_resources_of_one_type_and_name_are_refused() -> None:
    def twice() -> None:
        aws.sns.Topic("topic", region="eu-west-1")
        aws.sns.Topic("topic", region="us-east-1")

    with pytest.raises(OfflineError, match="declares twice: topic"):
        declare("shops", CONFIG, twice)


def test_a_program_that_waits_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "TIMEOUT_S", 0.2)
    ended = Event()
    with pytest.raises(OfflineError, match=r"has not ended after 0.2 s"):
        declare("shops", CONFIG, lambda: (ended.wait(), None)[1])
    ended.set()


def test_secret_configuration_is_marked_and_never_opened() -> None:
    handed, secret = engine_config(
        {
            "isochrone:zones": 2,
            "isochrone:protect": True,
            "isochrone:secrets": {"redis-password": {"secure": "v1:abc"}},
        }
    )
    assert handed == {
        "isochrone:zones": "2",
        "isochrone:protect": "true",
        "isochrone:secrets": '{"redis-password": "[secret]"}',
    }
    assert secret == ["isochrone:secrets"]
