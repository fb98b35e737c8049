"""Security groups and their rules."""

from __future__ import annotations

from tests.infra.cloud.account import ACCOUNT_ID
from tests.infra.cloud.handlers.network import arn
from tests.infra.cloud.inputs import Inputs, tagged
from tests.infra.cloud.refusals import network as refuse
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:ec2/securityGroup:SecurityGroup")
def security_group(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    name, description = inputs.take("name"), inputs.get("description", "Managed by Pulumi")
    refuse.group_misnamed(name, description)
    id_ = ec2.create_security_group(
        GroupName=name,
        Description=description,
        VpcId=inputs.take("vpcId"),
        **tagged("security-group", inputs.tags()),
    )["GroupId"]
    # The provider takes away the rule by which AWS lets a new group reach everything.
    (made,) = ec2.describe_security_groups(GroupIds=[id_])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=id_, IpPermissions=made["IpPermissionsEgress"])
    return Made(id_, {"arn": arn(place, f"security-group/{id_}"), "ownerId": ACCOUNT_ID})


@handler("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
def default_security_group(place: Place, inputs: Inputs) -> Made:
    """The provider adopts the group and takes away its rules."""
    ec2 = place.client("ec2")
    only = {"vpc-id": inputs.take("vpcId"), "group-name": "default"}
    (group,) = ec2.describe_security_groups(
        Filters=[{"Name": name, "Values": [value]} for name, value in only.items()]
    )["SecurityGroups"]
    id_ = group["GroupId"]
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=id_, IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=id_, IpPermissions=group["IpPermissionsEgress"])
    if tags := inputs.tags():
        ec2.create_tags(Resources=[id_], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return Made(id_, {"arn": arn(place, f"security-group/{id_}"), "name": "default"})


def _rule(place: Place, inputs: Inputs, direction: str) -> Made:
    group = inputs.take("securityGroupId")
    permission = inputs.params(ipProtocol="IpProtocol", fromPort="FromPort", toPort="ToPort")
    described = inputs.params(description="Description")
    refuse.rule_misdescribed(described.get("Description", ""))
    peers = [key for key in ("referencedSecurityGroupId", "cidrIpv4", "cidrIpv6") if key in inputs]
    refuse.rule_without_one_peer(peers)
    if "referencedSecurityGroupId" in inputs:
        peer = inputs.take("referencedSecurityGroupId")
        refuse.foreign_group(place, group, peer)
        permission["UserIdGroupPairs"] = [{"GroupId": peer, **described}]
    elif "cidrIpv4" in inputs:
        network = inputs.take("cidrIpv4")
        refuse.loose_range(network)
        permission["IpRanges"] = [{"CidrIp": network, **described}]
    else:
        permission["Ipv6Ranges"] = [{"CidrIpv6": inputs.take("cidrIpv6"), **described}]
    authorize = getattr(place.client("ec2"), f"authorize_security_group_{direction}")
    made = authorize(
        GroupId=group, IpPermissions=[permission], **tagged("security-group-rule", inputs.tags())
    )["SecurityGroupRules"][0]
    id_ = made["SecurityGroupRuleId"]
    return Made(id_, {"arn": arn(place, f"security-group-rule/{id_}"), "securityGroupRuleId": id_})


@handler("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def ingress_rule(place: Place, inputs: Inputs) -> Made:
    return _rule(place, inputs, "ingress")


@handler("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def egress_rule(place: Place, inputs: Inputs) -> Made:
    return _rule(place, inputs, "egress")
