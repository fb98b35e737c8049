"""What an account uses already leaves less of its quotas for a stack; what the stack itself uses does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pulumi
import pytest

from infra.preflight import PreflightError, check_quotas
from infra.quotas import CORES
from infra.site import Site
from infra.stackfile import parse
from infra.usage import is_standard
from tests.infra.cloud.account import Account, add_image, open_account
from tests.infra.cloud.declared import Declared
from tests.infra.cloud.harness import declare

ROOT = Path(__file__).parents[3]
HOME = "eu-west-1"
OWN = [{"Key": "isochrone:stack", "Value": "baseline"}]


def checked(account: Account, stack: str = "baseline") -> Declared:
    """The quotas of an account are checked for a stack, of which nothing else is declared."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")

    def program() -> None:
        check_quotas(Site(parse(stack, text)))
        pulumi.export("checked", value=True)

    return declare(stack, text, account, program)


@pytest.fixture
def quotas() -> Mapping[str, float]:
    return {}


@pytest.fixture
def account(quotas: Mapping[str, float]) -> Iterator[Account]:
    with open_account(quotas) as account:
        yield account


def run_machines(account: Account, kind: str, count: int, tags: list[dict[str, str]] | None = None) -> None:
    specifications = [{"ResourceType": "instance", "Tags": tags}] if tags else []
    account.client("ec2", HOME).run_instances(
        ImageId=add_image(account, HOME),
        InstanceType=kind,
        MinCount=count,
        MaxCount=count,
        TagSpecifications=specifications,
    )


@pytest.mark.parametrize("quotas", [{CORES.name: 48}])
class TestCores:
    def test_an_account_that_runs_nothing_has_all_of_them(self, account: Account) -> None:
        assert checked(account).warnings == ()

    def test_those_of_machines_that_run_are_gone(self, account: Account) -> None:
        run_machines(account, "m3.2xlarge", 2)
        with pytest.raises(
            PreflightError, match=r"33 are needed beside 16 that are in use, 48 are allowed"
        ) as e:
            checked(account)
        assert "--service-code ec2 --quota-code L-1216C47A --desired-value 49 --region eu-west-1" in str(
            e.value
        )

    def test_those_that_the_stack_itself_runs_are_not(self, account: Account) -> None:
        run_machines(account, "c3.8xlarge", 1, OWN)
        checked(account)

    def test_those_of_machines_that_have_stopped_are_not(self, account: Account) -> None:
        run_machines(account, "m3.2xlarge", 2)
        ec2 = account.client("ec2", HOME)
        ids = [m["InstanceId"] for r in ec2.describe_instances()["Reservations"] for m in r["Instances"]]
        ec2.stop_instances(InstanceIds=ids)
        checked(account)

    def test_those_of_another_family_have_a_quota_of_their_own(self, account: Account) -> None:
        run_machines(account, "g4dn.4xlarge", 1)
        checked(account)


def test_a_family_is_standard_by_its_first_letters() -> None:
    standard = ("a1.medium", "c6i.large", "m3.xlarge", "r6i.large", "t3.medium", "i3.large", "z1d.large")
    other = (
        "g5.xlarge",
        "p4d.24xlarge",
        "inf1.xlarge",
        "trn1.2xlarge",
        "mac1.metal",
        "dl1.24xlarge",
        "x2gd.large",
    )
    assert [is_standard(kind) for kind in (*standard, *other)] == [True] * 7 + [False] * 7


def test_addresses_that_are_allocated_are_gone(account: Account) -> None:
    ec2 = account.client("ec2", HOME)
    for _ in range(4):
        ec2.allocate_address(Domain="vpc")
    checked(account)
    ec2.allocate_address(Domain="vpc")
    with pytest.raises(
        PreflightError, match=r"Elastic IPs in eu-west-1: 1 are needed beside 5 that are in use, 5"
    ):
        checked(account)


def test_addresses_of_the_stack_itself_are_not(account: Account) -> None:
    ec2 = account.client("ec2", HOME)
    for tags in ([], [], [], [], OWN):
        ec2.allocate_address(
            Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}] if tags else []
        )
    checked(account)


@pytest.mark.parametrize("quotas", [{"VPCs per Region": 1}])
def test_a_network_that_every_region_has_from_the_start_counts(account: Account) -> None:
    with pytest.raises(
        PreflightError, match=r"VPCs per Region in eu-west-1: 1 are needed beside 1 that are in use"
    ):
        checked(account)


@pytest.mark.parametrize("quotas", [{"DB instances": 2}])
def test_sql_servers_of_others_are_gone(account: Account) -> None:
    def serve(name: str, stack: str) -> None:
        account.client("rds", HOME).create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t3.medium",
            Engine="mariadb",
            EngineVersion="10.11",
            AllocatedStorage=20,
            MasterUsername="market",
            MasterUserPassword="not-a-secret",
            Tags=[{"Key": "isochrone:stack", "Value": stack}],
        )

    serve("own", "geo-i")
    serve("other", "geo-ii")
    checked(account, "geo-i")
    serve("another", "geo-ii")
    with pytest.raises(
        PreflightError, match=r"DB instances in eu-west-1: 1 are needed beside 2 .*L-7B6409FD"
    ):
        checked(account, "geo-i")
