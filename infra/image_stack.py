"""The image stack: registers snapshots as machine images at home and copies them to the other regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.image_spec import Image, ImageSpec, tags

ROOT_DEVICE: Final = "/dev/xvda"
"""The name of the disk that a machine boots from."""

_FIXED: Final = [
    "architecture",
    "bootMode",
    "ebsBlockDevices",
    "enaSupport",
    "imdsSupport",
    "rootDeviceName",
    "sriovNetSupport",
    "virtualizationType",
]
"""What registration fixes: to change it takes another snapshot or size, hence an image of another name."""


@dataclass(frozen=True)
class MachineImageArgs:
    """What an image is registered from.

    Args:
        spec: the image stack's file: home, the other regions, the disk's size.
        image: which of its images.
    """

    spec: ImageSpec
    image: Image


class MachineImage(pulumi.ComponentResource):
    """An image registered from a snapshot at home, with an encrypted copy in every other region.

    Its machines answer metadata requests of version 2 only. Destroying it deregisters the image and its
    copies; the published snapshot stays. A stack that was upped with it starts no machine after that: an
    earlier image is kept until every stack was upped with the next one.
    """

    ids: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: MachineImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("isochrone:infra:MachineImage", name, None, opts)
        spec, image = args.spec, args.image
        # The name is what is in it: images never change, another disk is another image.
        physical = f"isochrone-{image.snapshot}-{spec.size_gib}gib"
        description = f"Isochrone's machine image from {image.snapshot}"
        registered = aws.ec2.Ami(
            f"{name}-{spec.home}",
            region=spec.home,
            name=physical,
            description=description,
            architecture="x86_64",
            virtualization_type="hvm",
            boot_mode="legacy-bios",
            ena_support=True,
            imds_support="v2.0",
            root_device_name=ROOT_DEVICE,
            ebs_block_devices=[
                aws.ec2.AmiEbsBlockDeviceArgs(
                    device_name=ROOT_DEVICE,
                    snapshot_id=image.snapshot,
                    volume_size=spec.size_gib,
                    volume_type="gp3",
                    delete_on_termination=True,
                )
            ],
            tags=tags(spec, image),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=_FIXED),
        )
        ids = {spec.home: registered.id}
        for region in spec.regions:
            if region == spec.home:
                continue
            ids[region] = aws.ec2.AmiCopy(
                f"{name}-{region}",
                region=region,
                name=physical,
                description=description,
                source_ami_id=registered.id,
                source_ami_region=spec.home,
                encrypted=True,
                tags=tags(spec, image),
                opts=pulumi.ResourceOptions(parent=self),
            ).id
        self.ids = ids
        self.register_outputs({"ids": ids})


def declare_images(spec: ImageSpec) -> None:
    """Declares every image of the stack and exports their ids by tag and region."""
    images = {
        image.image: MachineImage(f"image-{image.snapshot}", MachineImageArgs(spec, image))
        for image in spec.images
    }
    pulumi.export("images", {tag: image.ids for tag, image in images.items()})
