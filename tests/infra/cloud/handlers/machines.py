"""Machines: launch templates, instances, disks, images."""

from __future__ import annotations

import base64
from typing import Any

from tests.infra.cloud.handlers.network import arn
from tests.infra.cloud.inputs import Inputs, tag_list, tagged
from tests.infra.cloud.refusals import machines as refuse
from tests.infra.cloud.registry import Made, Place, handler

_EBS = {
    "volumeType": "VolumeType",
    "volumeSize": "VolumeSize",
    "iops": "Iops",
    "throughput": "Throughput",
    "encrypted": "Encrypted",
    "kmsKeyId": "KmsKeyId",
    "snapshotId": "SnapshotId",
    "deleteOnTermination": "DeleteOnTermination",
}


def _is(value: Any) -> bool:
    """A truth value, which the provider takes as a text in launch templates."""
    return value in (True, "true")


def _ebs(inputs: Inputs) -> dict[str, Any]:
    ebs = inputs.params(**_EBS)
    for flag in ("Encrypted", "DeleteOnTermination"):
        if flag in ebs:
            ebs[flag] = _is(ebs[flag])
    refuse.disk_that_there_is_not(ebs)
    return ebs


def _metadata(inputs: Inputs) -> dict[str, Any]:
    options = inputs.params(
        httpEndpoint="HttpEndpoint",
        httpTokens="HttpTokens",
        httpPutResponseHopLimit="HttpPutResponseHopLimit",
        httpProtocolIpv6="HttpProtocolIpv6",
        instanceMetadataTags="InstanceMetadataTags",
    )
    refuse.metadata_in_wrong_form(options)
    return options


def _interface(inputs: Inputs) -> dict[str, Any]:
    interface = inputs.params(
        deviceIndex="DeviceIndex",
        associatePublicIpAddress="AssociatePublicIpAddress",
        deleteOnTermination="DeleteOnTermination",
        securityGroups="Groups",
        subnetId="SubnetId",
        description="Description",
    )
    for flag in ("AssociatePublicIpAddress", "DeleteOnTermination"):
        if flag in interface:
            interface[flag] = _is(interface[flag])
    return interface


@handler("aws:ec2/launchTemplate:LaunchTemplate")
def launch_template(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    inputs.only("updateDefaultVersion", True)
    name = inputs.take("name")
    data: dict[str, Any] = inputs.params(
        imageId="ImageId",
        instanceType="InstanceType",
        keyName="KeyName",
        userData="UserData",
        vpcSecurityGroupIds="SecurityGroupIds",
        instanceInitiatedShutdownBehavior="InstanceInitiatedShutdownBehavior",
    )
    if "ebsOptimized" in inputs:
        data["EbsOptimized"] = _is(inputs.take("ebsOptimized"))
    if profile := inputs.part("iamInstanceProfile"):
        data["IamInstanceProfile"] = profile.params(name="Name", arn="Arn")
    if metadata := inputs.part("metadataOptions"):
        data["MetadataOptions"] = _metadata(metadata)
    if monitoring := inputs.part("monitoring"):
        data["Monitoring"] = monitoring.params(enabled="Enabled")
    data["BlockDeviceMappings"] = [
        {
            **mapping.params(deviceName="DeviceName"),
            **({"Ebs": _ebs(ebs)} if (ebs := mapping.part("ebs")) else {}),
        }
        for mapping in inputs.parts("blockDeviceMappings")
    ]
    data["NetworkInterfaces"] = [_interface(part) for part in inputs.parts("networkInterfaces")]
    data["TagSpecifications"] = [
        {"ResourceType": part.take("resourceType"), "Tags": tag_list(part.tags())}
        for part in inputs.parts("tagSpecifications")
    ]
    refuse.template_in_wrong_form(place, name, data)
    made = ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={key: value for key, value in data.items() if value != []},
        **inputs.params(description="VersionDescription"),
        **tagged("launch-template", inputs.tags()),
    )["LaunchTemplate"]
    id_ = made["LaunchTemplateId"]
    return Made(
        id_,
        {
            "arn": arn(place, f"launch-template/{id_}"),
            "latestVersion": made["LatestVersionNumber"],
            "defaultVersion": made["DefaultVersionNumber"],
        },
    )


@handler("aws:ec2/instance:Instance")
def instance(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    params: dict[str, Any] = inputs.params(
        ami="ImageId",
        instanceType="InstanceType",
        subnetId="SubnetId",
        privateIp="PrivateIpAddress",
        vpcSecurityGroupIds="SecurityGroupIds",
        keyName="KeyName",
        ebsOptimized="EbsOptimized",
        instanceInitiatedShutdownBehavior="InstanceInitiatedShutdownBehavior",
    )
    inputs.only("userDataReplaceOnChange", True, False)
    inputs.only("associatePublicIpAddress", False)
    monitored = inputs.get("monitoring", False)
    if "iamInstanceProfile" in inputs:
        params["IamInstanceProfile"] = {"Name": inputs.take("iamInstanceProfile")}
    if metadata := inputs.part("metadataOptions"):
        params["MetadataOptions"] = _metadata(metadata)
    if "userData" in inputs:
        params["UserData"] = inputs.take("userData")
    if "userDataBase64" in inputs:
        params["UserData"] = base64.b64decode(inputs.take("userDataBase64"), validate=True).decode()
    tags, volume_tags = inputs.tags(), inputs.tags("volumeTags")
    if root := inputs.part("rootBlockDevice"):
        root_tags = root.tags()
        refuse.tagged_twice(volume_tags, root_tags)
        volume_tags = volume_tags or root_tags
        params["BlockDeviceMappings"] = [{"DeviceName": "/dev/xvda", "Ebs": _ebs(root)}]
    refuse.machine_in_wrong_form(place, params)
    specifications = [
        {"ResourceType": kind, "Tags": tag_list(some)}
        for kind, some in (("instance", tags), ("volume", volume_tags))
        if some
    ]
    made = ec2.run_instances(MinCount=1, MaxCount=1, TagSpecifications=specifications, **params)["Instances"][
        0
    ]
    id_ = made["InstanceId"]
    if monitored:
        # As the provider does beside saying so at the launch; moto does not have this call.
        ec2.monitor_instances(InstanceIds=[id_])
    if "disableApiTermination" in inputs:
        protected = {"Value": inputs.take("disableApiTermination")}
        ec2.modify_instance_attribute(InstanceId=id_, DisableApiTermination=protected)
    return Made(
        id_,
        {
            "arn": arn(place, f"instance/{id_}"),
            "availabilityZone": made["Placement"]["AvailabilityZone"],
            "privateIp": made["PrivateIpAddress"],
            "publicIp": made.get("PublicIpAddress", ""),
            "primaryNetworkInterfaceId": made["NetworkInterfaces"][0]["NetworkInterfaceId"],
        },
    )


@handler("aws:ebs/volume:Volume")
def volume(place: Place, inputs: Inputs) -> Made:
    ebs = inputs.params(
        size="Size",
        type="VolumeType",
        iops="Iops",
        throughput="Throughput",
        encrypted="Encrypted",
        kmsKeyId="KmsKeyId",
        snapshotId="SnapshotId",
    )
    refuse.disk_that_there_is_not({**ebs, "VolumeSize": ebs.get("Size")})
    made = place.client("ec2").create_volume(
        AvailabilityZone=inputs.take("availabilityZone"), **ebs, **tagged("volume", inputs.tags())
    )
    return Made(made["VolumeId"], {"arn": arn(place, f"volume/{made['VolumeId']}")})


@handler("aws:ec2/volumeAttachment:VolumeAttachment")
def volume_attachment(place: Place, inputs: Inputs) -> Made:
    for steering in ("forceDetach", "skipDestroy", "stopInstanceBeforeDetaching"):
        inputs.only(steering, True, False)
    params = inputs.params(volumeId="VolumeId", instanceId="InstanceId", deviceName="Device")
    refuse.disk_out_of_reach(place, params["VolumeId"], params["InstanceId"], params["Device"])
    place.client("ec2").attach_volume(**params)
    return Made(f"vai-{params['VolumeId']}-{params['InstanceId']}")


@handler("aws:ec2/ami:Ami")
def ami(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    params: dict[str, Any] = inputs.params(
        name="Name",
        description="Description",
        architecture="Architecture",
        virtualizationType="VirtualizationType",
        bootMode="BootMode",
        enaSupport="EnaSupport",
        imdsSupport="ImdsSupport",
        sriovNetSupport="SriovNetSupport",
        rootDeviceName="RootDeviceName",
    )
    params["BlockDeviceMappings"] = [
        {"DeviceName": part.take("deviceName"), "Ebs": _ebs(part)} for part in inputs.parts("ebsBlockDevices")
    ]
    refuse.image_in_wrong_form(place, params)
    id_ = ec2.register_image(**params)["ImageId"]
    if tags := inputs.tags():
        ec2.create_tags(Resources=[id_], Tags=tag_list(tags))
    return Made(id_, {"arn": arn(place, f"image/{id_}")})


@handler("aws:ec2/amiCopy:AmiCopy")
def ami_copy(place: Place, inputs: Inputs) -> Made:
    ec2 = place.client("ec2")
    params = inputs.params(
        name="Name",
        description="Description",
        sourceAmiId="SourceImageId",
        sourceAmiRegion="SourceRegion",
        encrypted="Encrypted",
        kmsKeyId="KmsKeyId",
    )
    refuse.image_name_taken(place, params["Name"])
    id_ = ec2.copy_image(**params)["ImageId"]
    if tags := inputs.tags():
        ec2.create_tags(Resources=[id_], Tags=tag_list(tags))
    return Made(id_, {"arn": arn(place, f"image/{id_}")})


@handler("aws:ec2/tag:Tag")
def tag(place: Place, inputs: Inputs) -> Made:
    resource, key = inputs.take("resourceId"), inputs.take("key")
    place.client("ec2").create_tags(Resources=[resource], Tags=[{"Key": key, "Value": inputs.take("value")}])
    return Made(f"{resource},{key}")
