"""What AWS refuses because of what is there already, or is not, and moto takes: the harness refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.infra.cloud.account import Account, add_image, open_account
from tests.infra.cloud.errors import RefusedError
from tests.infra.cloud.refusals import dns, identity, machines, network, scaling, sql, watching
from tests.infra.cloud.registry import Place

HOME, AWAY = "eu-west-1", "us-east-1"


@dataclass(frozen=True)
class World:
    """An account with a network at home and one away, a machine, a group, a topic, a zone and a server."""

    account: Account
    home: Place
    away: Place
    vpc: str
    other_vpc: str
    away_vpc: str
    subnets: tuple[str, str]
    other_subnet: str
    table: str
    group: str
    other_group: str
    image: str
    template: str
    machine: str
    zone: str


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_account() as account:
        ec2, away = account.client("ec2", HOME), account.client("ec2", AWAY)

        def vpc(client: Any, network: str) -> str:
            made: str = client.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
            return made

        def subnet(vpc_id: str, network: str, zone: str) -> str:
            made: str = ec2.create_subnet(VpcId=vpc_id, CidrBlock=network, AvailabilityZone=f"{HOME}{zone}")[
                "Subnet"
            ]["SubnetId"]
            return made

        def group(vpc_id: str) -> str:
            made: str = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc_id)[
                "GroupId"
            ]
            return made

        one, other, distant = vpc(ec2, "10.1.0.0/16"), vpc(ec2, "10.2.0.0/16"), vpc(away, "10.3.0.0/16")
        subnets = subnet(one, "10.1.0.0/20", "a"), subnet(one, "10.1.16.0/20", "b")
        own, foreign = group(one), group(other)
        image = add_image(account, HOME)
        template = ec2.create_launch_template(
            LaunchTemplateName="nodes", LaunchTemplateData={"ImageId": image, "InstanceType": "m3.medium"}
        )["LaunchTemplate"]["LaunchTemplateId"]
        machine = ec2.run_instances(
            ImageId=image,
            InstanceType="m3.medium",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnets[0],
            PrivateIpAddress="10.1.0.10",
            SecurityGroupIds=[own],
        )["Instances"][0]["InstanceId"]
        account.client("autoscaling", HOME).create_auto_scaling_group(
            AutoScalingGroupName="nodes",
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=0,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
            VPCZoneIdentifier=subnets[0],
        )
        zone = account.client("route53").create_hosted_zone(Name="market.example", CallerReference="1")
        yield World(
            account,
            Place(account, HOME),
            Place(account, AWAY),
            one,
            other,
            distant,
            subnets,
            subnet(other, "10.2.0.0/20", "a"),
            ec2.create_route_table(VpcId=one)["RouteTable"]["RouteTableId"],
            own,
            foreign,
            image,
            template,
            machine,
            zone["HostedZone"]["Id"].removeprefix("/hostedzone/"),
        )


def test_a_subnet_in_another_regions_zone(world: World) -> None:
    with pytest.raises(RefusedError, match="us-east-1a is no zone of eu-west-1"):
        network.foreign_zone(world.home, "us-east-1a")


def test_a_second_route_to_a_destination(world: World) -> None:
    with pytest.raises(RefusedError, match=r"has a route to 10.1.0.0/16 already"):
        network.route_taken(world.home, world.table, "10.1.0.0/16")


def test_a_route_table_of_another_network(world: World) -> None:
    with pytest.raises(RefusedError, match="different networks"):
        network.foreign_route_table(world.home, world.other_subnet, world.table)


def test_a_second_route_table_of_a_subnet(world: World) -> None:
    client = world.home.client("ec2")
    network.foreign_route_table(world.home, world.subnets[0], world.table)
    client.associate_route_table(SubnetId=world.subnets[0], RouteTableId=world.table)
    with pytest.raises(RefusedError, match="has a route table already"):
        network.foreign_route_table(world.home, world.subnets[0], world.table)


@pytest.mark.parametrize("service", ["com.amazonaws.us-east-1.s3", "com.amazonaws.eu-west-1.montoring"])
def test_an_endpoint_of_a_service_that_is_not_there(world: World, service: str) -> None:
    with pytest.raises(RefusedError, match=service):
        network.endpoint_of_no_service(world.home, service)


def interface(world: World, **other: Any) -> dict[str, Any]:
    return {
        "VpcId": world.vpc,
        "ServiceName": "com.amazonaws.eu-west-1.ssm",
        "VpcEndpointType": "Interface",
        "SubnetIds": list(world.subnets),
        **other,
    }


def test_an_endpoint_in_the_wrong_form(world: World) -> None:
    for bad, message in (
        ({"VpcEndpointType": "Gateway"}, "gateway endpoint takes no SubnetIds"),
        ({"RouteTableIds": [world.table]}, "takes no route tables"),
        ({"SubnetIds": [world.other_subnet]}, "of another network"),
        ({"PrivateDnsEnabled": True}, "need enableDnsHostnames"),
    ):
        with pytest.raises(RefusedError, match=message):
            network.endpoint_in_wrong_form(world.home, interface(world, **bad))


def test_an_interface_endpoint_twice_in_a_zone(world: World) -> None:
    again = world.home.client("ec2").create_subnet(
        VpcId=world.vpc, CidrBlock="10.1.32.0/20", AvailabilityZone=f"{HOME}a"
    )["Subnet"]["SubnetId"]
    with pytest.raises(RefusedError, match="one subnet per zone"):
        network.endpoint_in_wrong_form(world.home, interface(world, SubnetIds=[world.subnets[0], again]))


def test_a_peering_accepted_from_afar(world: World) -> None:
    with pytest.raises(RefusedError, match="autoAccept"):
        network.accepted_from_afar(world.home, AWAY)


def test_peers_whose_networks_overlap(world: World) -> None:
    same = world.away.client("ec2").create_vpc(CidrBlock="10.1.128.0/20")["Vpc"]["VpcId"]
    with pytest.raises(RefusedError, match="overlap"):
        network.overlapping_peers(world.home, world.vpc, AWAY, same)


def test_a_peering_that_nobody_accepted(world: World) -> None:
    connection = world.home.client("ec2").create_vpc_peering_connection(
        VpcId=world.vpc, PeerVpcId=world.away_vpc, PeerRegion=AWAY
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    with pytest.raises(RefusedError, match="not active"):
        network.inactive_peering(world.home, connection)
    with pytest.raises(RefusedError, match=f"is accepted in {AWAY}"):
        network.acceptance_elsewhere(world.home, connection)
    with pytest.raises(RefusedError, match="are peered already"):
        network.overlapping_peers(world.home, world.vpc, AWAY, world.away_vpc)
    world.away.client("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=connection)
    network.inactive_peering(world.home, connection)


def test_more_addresses_than_the_quota(world: World) -> None:
    for _ in range(5):
        network.too_many_addresses(world.away)
        world.away.client("ec2").allocate_address(Domain="vpc")
    with pytest.raises(RefusedError, match="5 Elastic IPs"):
        network.too_many_addresses(world.away)


def test_a_rule_that_names_a_group_of_another_network(world: World) -> None:
    with pytest.raises(RefusedError, match="different networks"):
        network.foreign_group(world.home, world.group, world.other_group)


def template(world: World, **other: Any) -> dict[str, Any]:
    return {"ImageId": world.image, "InstanceType": "m3.medium", "UserData": "e30=", **other}


def test_a_launch_template_in_the_wrong_form(world: World) -> None:
    machines.template_in_wrong_form(world.home, "nodes", template(world))
    for bad, message in (
        ({"UserData": "{}"}, "not Base64"),
        ({"UserData": "e30g" * 8192}, "longer than 16384"),
        ({"TagSpecifications": [{"ResourceType": "machine"}]}, "tags no machine"),
        ({"NetworkInterfaces": [{}], "SecurityGroupIds": [world.group]}, "not both"),
        ({"SecurityGroupIds": [world.group, world.other_group]}, "another network"),
        ({"EbsOptimized": True}, "cannot be optimised"),
        ({"InstanceType": "t4g.medium"}, "is not of the image's architecture"),
        ({"InstanceType": "m3.huge"}, "m3.huge"),
    ):
        with pytest.raises(Exception, match=message):
            machines.template_in_wrong_form(world.home, "nodes", template(world, **bad))


def test_a_profile_without_a_role(world: World) -> None:
    world.account.client("iam").create_instance_profile(InstanceProfileName="empty")
    with pytest.raises(RefusedError, match="has no role"):
        machines.template_in_wrong_form(
            world.home, "nodes", template(world, IamInstanceProfile={"Name": "empty"})
        )


@pytest.mark.parametrize(
    ("address", "message"),
    [("10.1.0.10", "is taken"), ("10.1.0.3", "for itself"), ("10.1.16.10", "is not in the subnet")],
)
def test_a_machine_at_an_address_that_it_cannot_have(world: World, address: str, message: str) -> None:
    params = {
        "SubnetId": world.subnets[0],
        "InstanceType": "m3.medium",
        "ImageId": world.image,
        "PrivateIpAddress": address,
    }
    with pytest.raises(RefusedError, match=message):
        machines.machine_in_wrong_form(world.home, params)


def test_a_machine_that_its_zone_does_not_offer(world: World) -> None:
    client = world.account.client("ec2", "sa-east-1")
    vpc = client.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/20", AvailabilityZone="sa-east-1b")
    params = {
        "SubnetId": subnet["Subnet"]["SubnetId"],
        "InstanceType": "m3.medium",
        "ImageId": add_image(world.account, "sa-east-1"),
    }
    with pytest.raises(RefusedError, match=r"m3\.medium is not offered in sa-east-1b"):
        machines.machine_in_wrong_form(Place(world.account, "sa-east-1"), params)


def test_a_disk_out_of_a_machines_reach(world: World) -> None:
    client = world.home.client("ec2")

    def volume(zone: str) -> str:
        made: str = client.create_volume(AvailabilityZone=f"{HOME}{zone}", Size=8)["VolumeId"]
        return made

    with pytest.raises(RefusedError, match="different zones"):
        machines.disk_out_of_reach(world.home, volume("b"), world.machine, "/dev/sdf")
    near = volume("a")
    with pytest.raises(RefusedError, match="does not match"):
        machines.disk_out_of_reach(world.home, near, world.machine, "/dev/data")
    client.attach_volume(VolumeId=near, InstanceId=world.machine, Device="/dev/sdf")
    with pytest.raises(RefusedError, match="is attached already"):
        machines.disk_out_of_reach(world.home, near, world.machine, "/dev/sdg")
    with pytest.raises(RefusedError, match="has a disk /dev/sdf already"):
        machines.disk_out_of_reach(world.home, volume("a"), world.machine, "/dev/sdf")


def test_an_image_in_the_wrong_form(world: World) -> None:
    client = world.home.client("ec2")
    (found,) = client.describe_images(ImageIds=[world.image])["Images"]
    snapshot = client.create_snapshot(
        VolumeId=client.create_volume(AvailabilityZone=f"{HOME}a", Size=8)["VolumeId"]
    )["SnapshotId"]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}
    good = {"Name": "image", "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [disk]}
    machines.image_in_wrong_form(world.home, good)
    for bad, message in (
        ({"Name": found["Name"]}, "has an image"),
        ({"RootDeviceName": "/dev/sda1"}, "no disk of the image"),
        ({"Architecture": "amd64"}, "no architecture"),
        ({"BootMode": "bios"}, "no way to boot"),
        (
            {"BlockDeviceMappings": [{**disk, "Ebs": {"SnapshotId": snapshot, "VolumeSize": 4}}]},
            "smaller than its snapshot",
        ),
    ):
        with pytest.raises(RefusedError, match=message):
            machines.image_in_wrong_form(world.home, {**good, **bad})


def group(world: World, **other: Any) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": "others",
        "MinSize": 1,
        "MaxSize": 2,
        "LaunchTemplate": {"LaunchTemplateId": world.template, "Version": "1"},
        **other,
    }


def test_a_group_in_the_wrong_form(world: World) -> None:
    scaling.group_in_wrong_form(world.home, group(world), world.subnets)
    for bad, message in (
        ({"MinSize": 3}, "at least 3 and at most 2"),
        ({"DesiredCapacity": 5}, "5 machines are not between"),
        ({"AutoScalingGroupName": "nodes"}, "has a group nodes already"),
        ({"HealthCheckType": "HTTP"}, "no kind of health check"),
        ({"TerminationPolicies": ["Oldest"]}, "Oldest is no termination policy"),
        ({"LaunchTemplate": {"LaunchTemplateId": world.template, "Version": "7"}}, "7"),
        ({"LaunchTemplate": {}}, "has a launch template"),
    ):
        with pytest.raises(Exception, match=message):
            scaling.group_in_wrong_form(world.home, group(world, **bad), world.subnets)
    with pytest.raises(RefusedError, match="one network"):
        scaling.group_in_wrong_form(world.home, group(world), [world.subnets[0], world.other_subnet])


def test_a_policy_hook_or_schedule_of_no_group(world: World) -> None:
    scaling.no_group(world.home, "nodes")
    with pytest.raises(RefusedError, match="us-east-1 has no group nodes"):
        scaling.no_group(world.away, "nodes")


def test_a_scaling_policy_in_the_wrong_form(world: World) -> None:
    good = {
        "PolicyName": "out",
        "AutoScalingGroupName": "nodes",
        "PolicyType": "SimpleScaling",
        "AdjustmentType": "ChangeInCapacity",
        "ScalingAdjustment": 1,
    }
    target = {"TargetValue": 0, "CustomizedMetricSpecification": {"Statistic": "Average"}}
    scaling.policy_in_wrong_form(world.home, good)
    for bad, message in (
        ({"PolicyType": "Simple"}, "no kind of policy"),
        ({"AdjustmentType": "Change"}, "no kind of adjustment"),
        ({"TargetTrackingConfiguration": target}, "TargetTrackingConfiguration"),
    ):
        with pytest.raises(RefusedError, match=message):
            scaling.policy_in_wrong_form(world.home, {**good, **bad})
    tracking = {
        "PolicyName": "track",
        "AutoScalingGroupName": "nodes",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": target,
    }
    with pytest.raises(RefusedError, match="0 is no target"):
        scaling.policy_in_wrong_form(world.home, tracking)
    world.home.client("autoscaling").put_scaling_policy(**good)
    with pytest.raises(RefusedError, match="has a policy out already"):
        scaling.policy_in_wrong_form(world.home, good)


def test_a_schedule_in_the_wrong_form(world: World) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    good = {
        "AutoScalingGroupName": "nodes",
        "ScheduledActionName": "final",
        "StartTime": soon.isoformat(),
        "MinSize": 1,
        "MaxSize": 2,
        "DesiredCapacity": 2,
    }
    scaling.schedule_in_wrong_form(world.home, good)
    for bad, message in (
        ({"StartTime": "2020-01-01T00:00:00+00:00"}, "has passed"),
        ({"EndTime": (soon - timedelta(hours=1)).isoformat()}, "ends after its start"),
        ({"MinSize": 3}, "at least 3"),
    ):
        with pytest.raises(RefusedError, match=message):
            scaling.schedule_in_wrong_form(world.home, {**good, **bad})
    world.home.client("autoscaling").put_scheduled_update_group_action(**good)
    with pytest.raises(RefusedError, match="has an action at"):
        scaling.schedule_in_wrong_form(world.home, {**good, "ScheduledActionName": "other"})


def test_an_alarm_that_acts_on_nothing_or_elsewhere(world: World) -> None:
    topic = world.home.client("sns").create_topic(Name="alarms")["TopicArn"]
    watching.action_to_nowhere(world.home, topic)
    policy = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1:autoScalingGroupName/x:policyName/y"
    for place, target, message in (
        (world.away, topic, "an alarm in us-east-1 cannot act on"),
        (world.home, topic.replace("alarms", "alerts"), "no topic"),
        (world.home, policy, "no scaling policy"),
        (world.home, "alarms", "cannot act on alarms"),
    ):
        with pytest.raises(RefusedError, match=message):
            watching.action_to_nowhere(place, target)


def record(name: str, **other: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "198.51.100.1"}], **other}


def latency(region: str, identifier: str) -> dict[str, Any]:
    return record("play.market.example", Region=region, SetIdentifier=identifier)


def test_a_record_out_of_its_zone(world: World) -> None:
    with pytest.raises(RefusedError, match="is not in the zone"):
        dns.record_out_of_zone(world.home, world.zone, record("play.othermarket.example"))


def test_records_that_clash(world: World) -> None:
    world.account.client("route53").change_resource_record_sets(
        HostedZoneId=world.zone,
        ChangeBatch={
            "Changes": [
                {"Action": "CREATE", "ResourceRecordSet": latency("eu-west-1", "eu")},
                {"Action": "CREATE", "ResourceRecordSet": record("one.market.example")},
            ]
        },
    )
    dns.clashing_record(world.home, world.zone, latency("us-east-1", "us"))
    for bad, message in (
        (latency("eu-west-1", "other"), "has a record for eu-west-1 already"),
        (latency("us-east-1", "eu"), "has a record eu already"),
        (record("play.market.example"), "of policy Region already"),
        (record("one.market.example"), "of policy simple already"),
        ({**record("one.market.example"), "Type": "CNAME"}, "beside its CNAME"),
    ):
        with pytest.raises(RefusedError, match=message):
            dns.clashing_record(world.home, world.zone, bad)


def test_a_record_that_names_no_health_check(world: World) -> None:
    with pytest.raises(RefusedError, match="no health check nobody"):
        dns.unchecked_health(world.home, record("x.market.example", HealthCheckId="nobody"))


@pytest.mark.parametrize(("target", "message"), [("play", "alias of itself"), ("nowhere", "has no record")])
def test_an_alias_to_nothing(world: World, target: str, message: str) -> None:
    alias = {
        "Name": "play.market.example",
        "Type": "A",
        "AliasTarget": {"DNSName": f"{target}.market.example", "HostedZoneId": world.zone},
    }
    with pytest.raises(RefusedError, match=message):
        dns.alias_to_nothing(world.home, world.zone, alias)


def test_a_key_of_another_region(world: World) -> None:
    key = world.away.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(RefusedError, match="of another region"):
        identity.key_in_region(world.home, key)
    with pytest.raises(RefusedError, match="does not match"):
        identity.alias_of_nothing(world.home, "alias/aws/sql", key)


def test_a_key_that_is_disabled(world: World) -> None:
    kms = world.home.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    with pytest.raises(RefusedError, match="is not enabled"):
        identity.key_in_region(world.home, key)


def test_a_secret_replicated_into_its_own_region(world: World) -> None:
    with pytest.raises(RefusedError, match="cannot have the replicas"):
        identity.replicated_twice(world.home, [HOME])


def test_too_much_policy_in_a_role(world: World) -> None:
    iam = world.account.client("iam")
    trust = '{"Version": "2012-10-17", "Statement": []}'
    iam.create_role(RoleName="wide", AssumeRolePolicyDocument=trust)
    with pytest.raises(RefusedError, match="more than 10240"):
        identity.too_much_in_line(world.home, "wide", "x" * 10_241)


def test_subnets_of_one_zone_or_two_networks(world: World) -> None:
    sql.too_few_zones(world.home, world.subnets)
    with pytest.raises(RefusedError, match="two zones"):
        sql.too_few_zones(world.home, world.subnets[:1])
    with pytest.raises(RefusedError, match="different networks"):
        sql.too_few_zones(world.home, [*world.subnets, world.other_subnet])


def server(world: World, name: str, **other: Any) -> str:
    rds = world.home.client("rds")
    if not rds.describe_db_subnet_groups()["DBSubnetGroups"]:
        rds.create_db_subnet_group(
            DBSubnetGroupName="sql", DBSubnetGroupDescription="sql", SubnetIds=list(world.subnets)
        )
        rds.create_db_parameter_group(
            DBParameterGroupName="old", DBParameterGroupFamily="mariadb10.6", Description="old"
        )
    made: str = rds.create_db_instance(
        DBInstanceIdentifier=name,
        DBInstanceClass="db.t3.medium",
        Engine="mariadb",
        EngineVersion="10.11",
        AllocatedStorage=20,
        MasterUsername="admin",
        MasterUserPassword="correct-horse",
        DBSubnetGroupName="sql",
        VpcSecurityGroupIds=[world.group],
        **other,
    )["DBInstance"]["DBInstanceArn"]
    return made


def test_a_replica_whose_source_has_no_backups(world: World) -> None:
    source = server(world, "bare", BackupRetentionPeriod=0)
    with pytest.raises(RefusedError, match="has no backups"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql"})


def test_a_replica_of_an_encrypted_server_without_a_key_of_its_region(world: World) -> None:
    key = world.home.client("kms").create_key()["KeyMetadata"]["Arn"]
    source = server(world, "locked", BackupRetentionPeriod=7, StorageEncrypted=True, KmsKeyId=key)
    with pytest.raises(RefusedError, match="needs a key of us-east-1"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql"})
    with pytest.raises(RefusedError, match="of another region than us-east-1"):
        sql.unreplicable(world.away, source, {"DBSubnetGroupName": "sql", "KmsKeyId": key})


def test_a_replica_elsewhere_without_a_subnet_group(world: World) -> None:
    source = server(world, "plain", BackupRetentionPeriod=7)
    with pytest.raises(RefusedError, match="needs a subnet group there"):
        sql.unreplicable(world.away, source, {})
    with pytest.raises(RefusedError, match="is no SQL server"):
        sql.unreplicable(world.away, "arn:aws:rds:eu-west-1:123456789012:cluster:plain", {})


def test_a_server_with_groups_that_do_not_fit(world: World) -> None:
    server(world, "fits", BackupRetentionPeriod=7)
    good = {"DBSubnetGroupName": "sql", "VpcSecurityGroupIds": [world.group]}
    sql.groups_that_do_not_fit(world.home, good, "mariadb", "10.11")
    for bad, message in (
        ({"DBParameterGroupName": "old"}, "of family mariadb10.6"),
        ({"VpcSecurityGroupIds": [world.other_group]}, "another network"),
    ):
        with pytest.raises(RefusedError, match=message):
            sql.groups_that_do_not_fit(world.home, {**good, **bad}, "mariadb", "10.11")
