"""What the program refuses before it declares anything, and what it finds in an account that is in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.program import run
from infra.quotas import CORES
from infra.regions import REGIONS
from tests.infra.cloud.account import Account, add_image, add_images, open_account
from tests.infra.cloud.declared import Declared
from tests.infra.cloud.errors import HarnessError
from tests.infra.cloud.harness import declare

ROOT = Path(__file__).parents[3]
HOME = "eu-west-1"


def text(stack: str) -> str:
    return (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")


def declared(account: Account, stack: str, more: str = "", **replaced: str) -> Declared:
    changed = text(stack) + more
    for old, new in replaced.items():
        assert f"{old}:" in changed
        changed = changed.replace(f"{old}:", new)
    return declare(stack, changed, account, run)


def is_empty(account: Account) -> bool:
    """Whether nothing of a stack is in an account."""
    made = [{"Name": "tag:isochrone:managed-by", "Values": ["pulumi"]}]
    networks = [n for r in REGIONS for n in account.client("ec2", r).describe_vpcs(Filters=made)["Vpcs"]]
    zones = account.client("route53").list_hosted_zones()["HostedZones"]
    secrets = account.client("secretsmanager", HOME).list_secrets()["SecretList"]
    return not (networks or zones or secrets)


@pytest.fixture
def account() -> Iterator[Account]:
    with open_account() as account:
        yield account


@pytest.mark.parametrize(
    ("quotas", "message"),
    [
        ({"EC2-VPC Elastic IPs": 1}, r"Elastic IPs in us-west-1.*--quota-code L-0263D0A3"),
        ({CORES.name: 8}, r"On-Demand Standard .* instances"),
        ({"VPCs per Region": 0}, r"VPCs per Region"),
    ],
)
def test_a_quota_that_is_too_small_is_named_before_anything_is_made(
    quotas: Mapping[str, float], message: str
) -> None:
    with open_account(quotas) as account:
        add_images(account)
        with pytest.raises(HarnessError, match=f"(?s){message}"):
            declared(account, "geo-i")
        assert is_empty(account)


def test_a_version_of_sql_that_rds_lacks_is_named_before_anything_is_made(account: Account) -> None:
    add_images(account)
    line = "log-flush: everysec\n    engine-version: '10.7'\n"
    with pytest.raises(HarnessError, match=r"does not offer mariadb 10\.7 in eu-west-1 \(instead use 11\.4"):
        declare("geo-i", text("geo-i").replace("log-flush: everysec\n", line), account, run)
    assert is_empty(account)


def test_a_wrong_stack_file_is_refused_before_anything_is_made(account: Account) -> None:
    with pytest.raises(HarnessError, match=r"isochrone:hom\b") as caught:
        declared(account, "baseline", **{"isochrone:home": "isochrone:hom:"})
    assert "isochrone:home: is missing" in str(caught.value)
    assert is_empty(account)


@pytest.mark.parametrize("tested", ["false", None])
def test_no_machine_starts_from_an_image_that_was_not_tested(account: Account, tested: str | None) -> None:
    tags = {"isochrone:image": "current"} | ({"isochrone:tested": tested} if tested else {})
    add_image(account, HOME, **tags)
    with pytest.raises(HarnessError, match="eu-west-1 has no tested machine image with the tag 'current'"):
        declared(account, "baseline")
    assert account.client("autoscaling", HOME).describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_records_go_into_a_zone_that_exists(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    add_images(account)
    # moto's ids of zones do not look like AWS's.
    monkeypatch.setattr("moto.route53.models.create_route53_zone_id", lambda **_: "Z0123456789ABC")
    route53 = account.client("route53")
    made = route53.create_hosted_zone(Name="market.example", CallerReference="before")["HostedZone"]["Id"]
    zone = made.removeprefix("/hostedzone/")
    found = declared(account, "baseline", f"    zone-id: {zone}\n")
    assert [each["Id"] for each in route53.list_hosted_zones()["HostedZones"]] == [made]
    records = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert {"play.market.example.", "eu-west-1.play.market.example."} <= {
        record["Name"] for record in records
    }
    assert found.exports["name_servers"] == []


def snapshot(account: Account) -> str:
    ec2 = account.client("ec2", HOME)
    volume = ec2.create_volume(AvailabilityZone=f"{HOME}a", Size=8)["VolumeId"]
    found: str = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    return found


OTHER = "snap-0fedcba987654321f"


def image_of(account: Account, *, tested: bool) -> Declared:
    there = snapshot(account)
    more = f"  isochrone:snapshot: {there}\n  isochrone:tested: {there if tested else OTHER}\n"
    return declared(account, "image", more)


def test_the_image_stack_registers_an_image_in_every_region_that_a_stack_then_finds(account: Account) -> None:
    images = image_of(account, tested=True).exports["images"]["current"]
    assert set(images) == set(REGIONS)
    for region, image in images.items():
        (found,) = account.client("ec2", region).describe_images(ImageIds=[image])["Images"]
        tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
        assert (tags["isochrone:image"], tags["isochrone:tested"]) == ("current", "true")
    declared(account, "baseline")
    (group,) = account.client("autoscaling", HOME).describe_auto_scaling_groups()["AutoScalingGroups"]
    (version,) = account.client("ec2", HOME).describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"]
    )["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["ImageId"] == images[HOME]


def test_an_image_that_was_not_booted_is_of_no_use_to_a_stack(account: Account) -> None:
    image_of(account, tested=False)
    with pytest.raises(HarnessError, match="no tested machine image"):
        declared(account, "baseline")
