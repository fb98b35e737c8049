"""The harness itself: it makes what a program declares, and lets nothing pass unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from botocore.exceptions import ClientError

from infra.errors import InfraError
from tests.infra.cloud import harness
from tests.infra.cloud.account import Account, add_image, open_account
from tests.infra.cloud.configuration import handed_over
from tests.infra.cloud.declared import Declared, Resource
from tests.infra.cloud.errors import HarnessError, RefusedError, UnmappedError
from tests.infra.cloud.harness import declare

REGION = "eu-west-1"
EMPTY = "config: {}"


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with open_account() as account:
        yield account


def vpc(name: str, network: str = "10.1.0.0/16", **more: Any) -> aws.ec2.Vpc:
    return aws.ec2.Vpc(name, region=REGION, cidr_block=network, **more)


def test_a_resource_is_made_in_its_region_and_its_outputs_reach_the_next(account: Account) -> None:
    def program() -> None:
        network = vpc("network", tags={"Name": "network"})
        aws.ec2.Subnet(
            "subnet",
            region=REGION,
            vpc_id=network.id,
            cidr_block="10.1.0.0/20",
            availability_zone=f"{REGION}a",
        )
        pulumi.export("network", network.id)

    declared = declare("stack", EMPTY, account, program)
    (subnet,) = declared.of_type("ec2/subnet:Subnet")
    (found,) = declared.client("ec2", REGION).describe_subnets(SubnetIds=[subnet.id])["Subnets"]
    assert found["VpcId"] == declared.exports["network"] == subnet.inputs["vpcId"]
    assert (found["CidrBlock"], found["AvailabilityZone"]) == ("10.1.0.0/20", "eu-west-1a")


def test_a_resource_without_a_region_is_refused(account: Account) -> None:
    with pytest.raises(RefusedError, match="Vpc network: names no region"):
        declare("stack", EMPTY, account, lambda: aws.ec2.Vpc("network", cidr_block="10.1.0.0/16"))


def test_a_provider_of_the_programs_own_is_refused(account: Account) -> None:
    def program() -> None:
        aws.Provider("own", region=REGION)

    with pytest.raises(UnmappedError, match="pulumi:providers:aws own"):
        declare("stack", EMPTY, account, program)


def test_a_property_that_is_passed_on_to_nothing_is_an_error(account: Account) -> None:
    with pytest.raises(UnmappedError, match=r"ec2/vpc:Vpc network: .* ipv4IpamPoolId"):
        declare("stack", EMPTY, account, lambda: vpc("network", ipv4_ipam_pool_id="pool"))


def test_a_misspelled_key_in_a_nested_value_is_an_error(account: Account) -> None:
    def program() -> None:
        zone = aws.route53.Zone("zone", name="market.example")
        aws.route53.Record(
            "record",
            zone_id=zone.zone_id,
            name="play.market.example",
            type="A",
            set_identifier="one",
            latency_routing_policies=[{"region": REGION, "regoin": REGION}],  # type: ignore[list-item]
            ttl=60,
            records=["198.51.100.1"],
        )

    with pytest.raises(UnmappedError, match=r"record: .* latencyRoutingPolicies\[0\].regoin"):
        declare("stack", EMPTY, account, program)


def test_a_type_without_a_handler_is_an_error(account: Account) -> None:
    with pytest.raises(UnmappedError, match="aws:sqs/queue:Queue queue"):
        declare("stack", EMPTY, account, lambda: aws.sqs.Queue("queue", region=REGION))


def test_a_look_up_without_an_answer_is_an_error(account: Account) -> None:
    def program() -> None:
        pulumi.export("topic", aws.sns.get_topic_output(name="alarms").arn)

    with pytest.raises(UnmappedError, match="getTopic"):
        declare("stack", EMPTY, account, program)


def test_the_same_type_and_name_twice_is_refused(account: Account) -> None:
    def program() -> None:
        vpc("network")
        vpc("network", "10.2.0.0/16")

    with pytest.raises(HarnessError, match="Vpc network is declared twice"):
        declare("stack", EMPTY, account, program)


def test_the_same_name_on_aws_twice_is_refused(account: Account) -> None:
    def program() -> None:
        for name in ("one", "other"):
            aws.cloudwatch.LogGroup(name, region=REGION, name="/isochrone/same", retention_in_days=7)

    with pytest.raises(RefusedError, match="the name /isochrone/same is taken"):
        declare("stack", EMPTY, account, program)


def test_what_aws_refuses_is_told_with_the_resources_name(account: Account) -> None:
    with pytest.raises(RefusedError, match=r"Vpc network: .*InvalidVpc.Range"):
        declare("stack", EMPTY, account, lambda: vpc("network", "10.0.0.0/8"))


def test_the_programs_own_errors_are_passed_on(account: Account) -> None:
    def program() -> None:
        raise InfraError("it cannot be had")

    with pytest.raises(InfraError, match="it cannot be had"):
        declare("stack", EMPTY, account, program)


def test_a_program_that_never_ends_is_ended(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "TIMEOUT_S", 0.3)

    async def never() -> None:
        await asyncio.sleep(2)

    with pytest.raises(HarnessError, match="has not ended"):
        declare("stack", EMPTY, account, lambda: pulumi.export("never", pulumi.Output.from_input(never())))


def test_what_the_provider_asks_beside_is_asked_too(account: Account) -> None:
    def monitored() -> None:
        network = vpc("network", "10.7.0.0/16")
        subnet = aws.ec2.Subnet(
            "subnet",
            region=REGION,
            vpc_id=network.id,
            cidr_block="10.7.0.0/20",
            availability_zone=f"{REGION}a",
        )
        aws.ec2.Instance(
            "machine",
            region=REGION,
            ami=add_image(account, REGION),
            instance_type="m3.medium",
            subnet_id=subnet.id,
            monitoring=True,
        )

    # Calls that a moto server does not have, and that the provider repeats for most of an hour.
    with pytest.raises(HarnessError, match="monitor_instances"):
        declare("stack", EMPTY, account, monitored)

    def quota_by_code() -> None:
        quota = aws.servicequotas.get_service_quota_output(
            region=REGION, service_code="vpc", quota_code="L-F678F1CE"
        )
        pulumi.export("quota", quota.value)

    with pytest.raises(HarnessError, match="needs quotaName"):
        declare("stack", EMPTY, account, quota_by_code)


def test_an_unanswered_look_up_can_be_recovered_from(account: Account) -> None:
    def program() -> None:
        quota = aws.servicequotas.get_service_quota_output(
            region=REGION, service_code="ec2", quota_name="Nothing"
        )
        pulumi.export("quota", quota.apply(lambda q: str(q.value)).recover(lambda error: "unknown"))

    assert declare("stack", EMPTY, account, program).exports == {"quota": "unknown"}


def test_configuration_arrives_as_the_engine_hands_it_over(account: Account) -> None:
    text = "config: {isochrone:home: eu-west-1, isochrone:zones: 2, protect: true, nodes: {regions: [a]}}"

    def program() -> None:
        config = pulumi.Config()
        pulumi.export("stack", pulumi.get_stack())
        pulumi.export("project", pulumi.get_project())
        pulumi.export("all", [config.get(key) for key in ("home", "zones", "protect", "nodes")])

    exports = declare("geo-x", text, account, program).exports
    assert (exports["stack"], exports["project"]) == ("geo-x", "isochrone")
    assert exports["all"] == ["eu-west-1", "2", "true", '{"regions": ["a"]}']


def test_a_secret_in_the_configuration_is_handed_over_as_one() -> None:
    text = "config: {isochrone:secrets: {redis-password: {secure: hunter2}}, isochrone:home: eu-west-1}"
    values, secret = handed_over(text)
    assert values["isochrone:secrets"] == '{"redis-password": "hunter2"}'
    assert secret == ["isochrone:secrets"]


def password() -> pulumi.Output[str]:
    answer = aws.secretsmanager.get_random_password_output(region=REGION, password_length=24)
    return pulumi.Output.secret(answer.random_password)


def test_a_secret_is_remembered_and_redacted(account: Account) -> None:
    def program() -> None:
        secret = aws.secretsmanager.Secret("secret", region=REGION, name="isochrone/one")
        aws.secretsmanager.SecretVersion(
            "version", region=REGION, secret_id=secret.id, secret_string=password()
        )

    declared = declare("stack", EMPTY, account, program)
    client = declared.client("secretsmanager", REGION)
    value = client.get_secret_value(SecretId="isochrone/one")["SecretString"]
    assert value in declared.secrets
    assert declared.of_type("SecretVersion")[0].inputs["secretString"] == "[secret]"
    assert declared.leaks() == []


def test_a_secret_in_the_clear_is_a_leak_wherever_it_is(account: Account) -> None:
    def program() -> None:
        shown = aws.secretsmanager.get_random_password_output(
            region=REGION, password_length=24, exclude_punctuation=True
        ).random_password
        vpc("network", tags={"Name": shown})
        pulumi.export("shown", shown)

    assert declare("stack", EMPTY, account, program).leaks() == ["aws:ec2/vpc:Vpc network", "export shown"]


def test_a_secret_in_encoded_user_data_is_a_leak(account: Account) -> None:
    leaked = Resource(
        "aws:ec2/launchTemplate:LaunchTemplate",
        "template",
        REGION,
        "",
        False,
        (),
        "lt-1",
        {"userData": "cGFzc3dvcmQ9Y29ycmVjdC1ob3JzZQ=="},
        {},
    )
    declared = Declared("s", account, (leaked,), (), {}, frozenset({"correct-horse"}), ())
    assert declared.leaks() == ["aws:ec2/launchTemplate:LaunchTemplate template"]


def test_two_accounts_are_never_open_at_once(account: Account) -> None:
    with pytest.raises(HarnessError, match="is open already"), open_account():
        pass


def test_what_does_not_depend_on_anything_comes_in_no_order_to_rely_on(account: Account) -> None:
    names = [f"network-{number}" for number in range(20)]

    def program() -> None:
        for name in names:
            vpc(name)

    made = [resource.name for resource in declare("stack", EMPTY, account, program).resources]
    assert sorted(made) == sorted(names)
    assert made.index(names[-1]) < made.index(names[1])


def test_what_depends_on_something_comes_after_it(account: Account) -> None:
    def program() -> None:
        networks = [vpc(f"network-{number}") for number in range(3)]
        group = aws.cloudwatch.LogGroup(
            "logs",
            region=REGION,
            name="/isochrone/after",
            retention_in_days=7,
            opts=pulumi.ResourceOptions(depends_on=networks),
        )
        pulumi.export("logs", group.name)

    made = [resource.name for resource in declare("stack", EMPTY, account, program).resources]
    assert made[-1] == "logs"


@pytest.mark.parametrize(
    ("image", "type_", "message"),
    [("ami-00000000", "m3.medium", "InvalidAMIID"), (None, "m3.huge", "InvalidInstanceType")],
)
def test_no_machine_starts_from_an_image_or_of_a_type_that_is_not_there(
    account: Account, image: str | None, type_: str, message: str
) -> None:
    found = image or add_image(account, REGION)
    with pytest.raises(ClientError, match=message):
        account.client("ec2", REGION).run_instances(ImageId=found, InstanceType=type_, MinCount=1, MaxCount=1)
