"""What holds of the machines of every stack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.capacity import holds_data, most_nodes, pool_size
from infra.flows import Place, places
from infra.group_names import DRAIN_HOOK, LAUNCH_HOOK, POOL_TAG, pool_name
from infra.hardware import ordered_type
from infra.secret_names import reads, secret_name, writes
from tests.infra.cloud.view import View

IMDS_V2 = {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1}


def grouped(view: View) -> Iterator[tuple[Place, Mapping[str, Any], Mapping[str, Any]]]:
    """The places whose machines are in groups, with the group and what it launches from."""
    for place in places(view.site.architecture):
        if place.role in ("node", "core", "load"):
            (group,) = view.groups(place.region, place.role)
            yield place, group, view.template(place.region, group)


def hooks(view: View, place: Place, group: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The hooks of a group, by name."""
    found = view.client("autoscaling", place.region).describe_lifecycle_hooks(
        AutoScalingGroupName=group["AutoScalingGroupName"]
    )["LifecycleHooks"]
    return {hook["LifecycleHookName"]: hook for hook in found}


class EveryMachine:
    def test_machines_of_every_place_are_of_the_ordered_type(self, view: View) -> None:
        a = view.site.architecture
        named = {
            "node": a.nodes.instance_type,
            "core": a.core.instance_type if a.core else None,
            "redis": a.redis.instance_type,
            "monitoring": a.monitoring.instance_type,
            "load": a.load.instance_type if a.load else None,
        }
        found = {place.role: template["InstanceType"] for place, _, template in grouped(view)}
        found |= {role: m["InstanceType"] for role in ("redis", "monitoring") for m in view.instances(role)}
        roles = {place.role for place in places(a)} - {"sql"}
        assert found == {role: ordered_type(a.hardware, named[role] or "") for role in roles}

    def test_metadata_is_had_with_a_token_and_on_the_machine_only(self, view: View) -> None:
        for _, _, template in grouped(view):
            assert IMDS_V2.items() <= template["MetadataOptions"].items()
        for resource in view.declared.of_type("ec2/instance:Instance"):
            # moto does not tell a machine's metadata options.
            assert resource.inputs["metadataOptions"] == {
                "httpEndpoint": "enabled",
                "httpTokens": "required",
                "httpPutResponseHopLimit": 1,
            }

    def test_disks_are_encrypted_and_as_large_and_fast_as_the_file_says(self, view: View) -> None:
        a = view.site.architecture
        for place, _, template in grouped(view):
            made_of = {"node": a.nodes, "core": a.core, "load": a.load}[place.role]
            assert made_of
            volume = made_of.volume
            (disk,) = [mapping["Ebs"] for mapping in template["BlockDeviceMappings"]]
            assert disk["Encrypted"]
            assert disk["VolumeSize"] == volume.size_gib
            assert disk.get("Iops", 3000) >= (volume.iops or 0)
        for machine in (*view.instances("redis"), *view.instances("monitoring")):
            attached = [mapping["Ebs"]["VolumeId"] for mapping in machine["BlockDeviceMappings"]]
            for disk in view.client("ec2").describe_volumes(VolumeIds=attached)["Volumes"]:
                assert disk["Encrypted"]

    def test_machines_start_from_the_tested_image_of_their_region(self, view: View) -> None:
        started = [(place.region, template["ImageId"]) for place, _, template in grouped(view)]
        for role in ("redis", "monitoring"):
            started += [(view.site.home, machine["ImageId"]) for machine in view.instances(role)]
        for region, image in started:
            (found,) = view.client("ec2", region).describe_images(ImageIds=[image])["Images"]
            tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
            assert (tags["isochrone:image"], tags["isochrone:tested"]) == (
                view.site.architecture.image,
                "true",
            )

    def test_groups_span_the_zones_within_their_bounds(self, view: View) -> None:
        a = view.site.architecture
        for place, group, _ in grouped(view):
            subnets = {subnet["SubnetId"]: subnet for subnet in view.subnets(place.region)}
            zones = {subnets[id_]["AvailabilityZone"] for id_ in group["VPCZoneIdentifier"].split(",")}
            assert len(zones) == a.zones_in(place.region)
            bounds = group["MinSize"], group["DesiredCapacity"], group["MaxSize"]
            assert bounds[0] <= bounds[1] <= bounds[2]
            if place.role == "core":
                assert bounds == (2, 2, 2)
            elif place.role == "load":
                assert a.load
                assert bounds == (a.load.per_region,) * 3
            else:
                assert bounds[1:] == (a.nodes.per_region, most_nodes(a))

    def test_machines_are_drained_before_they_go(self, view: View) -> None:
        for place, group, _ in grouped(view):
            hook = hooks(view, place, group)[DRAIN_HOOK]
            assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
            assert hook["DefaultResult"] == "CONTINUE"

    def test_a_machine_is_waited_for_at_its_launch_where_it_is_told_to_say_that_it_can_serve(
        self, view: View
    ) -> None:
        for place, group, _ in grouped(view):
            found = hooks(view, place, group)
            waited_for = place.role in ("node", "core") and not (
                place.role == "node" and holds_data(view.site.architecture)
            )
            assert set(found) == {DRAIN_HOOK} | ({LAUNCH_HOOK} if waited_for else set())
            if waited_for:
                assert found[LAUNCH_HOOK]["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
                assert found[LAUNCH_HOOK]["DefaultResult"] == "ABANDON"
            for document in view.told(place):
                assert document["group"]["launch-hook"] == (LAUNCH_HOOK if waited_for else None)

    def test_each_region_has_addresses_for_as_many_nodes_as_it_may_have(self, view: View) -> None:
        a = view.site.architecture
        for region in a.nodes.regions:
            pool = [{"Name": f"tag:{POOL_TAG}", "Values": [pool_name(view.site, region)]}]
            found = view.client("ec2", region).describe_addresses(Filters=pool)["Addresses"]
            assert len({address["PublicIp"] for address in found}) == pool_size(a) >= most_nodes(a)
            told = [document["address-pool"] for document in view.told(Place("node", region))]
            assert told == [{"tag": POOL_TAG, "value": pool_name(view.site, region)}]

    def test_machines_with_fixed_addresses_have_no_public_one(self, view: View) -> None:
        for role in ("redis", "monitoring"):
            for machine in view.instances(role):
                assert not machine.get("PublicIpAddress")

    def test_what_machines_are_told_is_of_their_place(self, view: View) -> None:
        for place in places(view.site.architecture):
            for document in view.told(place):
                assert (document["stack"], document["home"]) == (view.site.architecture.name, view.site.home)
        told = {(d["role"], d["region"]) for d in map(json.loads, view.user_data.values())}
        assert told == {(p.role, p.region) for p in places(view.site.architecture) if p.role != "sql"}

    def test_machines_are_told_hosts_that_exist(self, view: View) -> None:
        a = view.site.architecture
        redis = {machine["PrivateIpAddress"] for machine in view.instances("redis")} | {"127.0.0.1"}
        sql = {"127.0.0.1"}
        if a.sql.placement != "node":
            sql = {view.server(r)["Endpoint"]["Address"] for r in {a.home, *a.sql_placement.source_of}}
        for document in map(json.loads, view.user_data.values()):
            if document["redis"]:
                assert {document["redis"]["master"]["host"], document["redis"]["read"]["host"]} <= redis
            if document["sql"]:
                assert document["sql"]["read"]["host"] in sql

    def test_no_machine_is_told_a_secret(self, view: View) -> None:
        texts = view.user_data
        assert texts
        assert view.declared.secrets
        for where, text in texts.items():
            assert not [secret for secret in view.declared.secrets if secret in text], where

    def test_each_kind_of_machine_has_a_role_of_its_own_that_machines_only_take_on(self, view: View) -> None:
        iam = view.client("iam")
        for role in {place.role for place in places(view.site.architecture)} - {"sql"}:
            profile = iam.get_instance_profile(InstanceProfileName=view.site.name(role))["InstanceProfile"]
            assert [found["RoleName"] for found in profile["Roles"]] == [view.site.name(role)]
            (statement,) = profile["Roles"][0]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
            assert statement["Action"] == "sts:AssumeRole"
        for place, _, template in grouped(view):
            assert template["IamInstanceProfile"]["Name"] == view.site.name(place.role)
        for role in ("redis", "monitoring"):
            for machine in view.instances(role):
                assert machine["IamInstanceProfile"]["Arn"].endswith(f"/{view.site.name(role)}")

    def test_no_role_may_do_everything(self, view: View) -> None:
        for _, statement in self._statements(view):
            actions = statement["Action"]
            assert not [action for action in actions if "*" in action]
            if "*" in statement["Resource"]:
                assert statement["Condition"], statement

    def test_a_role_reads_and_writes_its_own_secrets_only(self, view: View) -> None:
        for role, statement in self._statements(view):
            for action, keys in (
                ("secretsmanager:GetSecretValue", reads(view.site.architecture, role)),  # type: ignore[arg-type]
                ("secretsmanager:PutSecretValue", writes(view.site.architecture, role)),  # type: ignore[arg-type]
            ):
                if action in statement["Action"]:
                    named = {arn.split(":secret:")[1].rsplit("-", 1)[0] for arn in statement["Resource"]}
                    assert named == {secret_name(view.site, key) for key in keys}

    def _statements(self, view: View) -> Iterator[tuple[str, Mapping[str, Any]]]:
        iam = view.client("iam")
        for role in {place.role for place in places(view.site.architecture)} - {"sql"}:
            name = view.site.name(role)
            assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    yield role, statement
