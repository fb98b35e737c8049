"""Finds the machine image that a stack's machines start from, by its tag."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pulumi
import pulumi_aws as aws

from infra.site import Site


def image_id(site: Site, region: str) -> pulumi.Output[str]:
    """The newest tested image in a region that has the tag which the architecture names.

    Another one is a changed template: it replaces nodes and cores one by one, but no machine that holds data
    (`MachineGroupArgs.least_healthy_percent`, `fixed_machine`).

    Raises:
        pulumi.RunError: from the output, when there is none; the message says what to do.
    """
    tag = site.architecture.image
    found = aws.ec2.get_ami_ids_output(
        region=region,
        owners=["self"],
        filters=[
            aws.ec2.GetAmiIdsFilterArgs(name="state", values=["available"]),
            aws.ec2.GetAmiIdsFilterArgs(name="tag:isochrone:image", values=[tag]),
            aws.ec2.GetAmiIdsFilterArgs(name="tag:isochrone:tested", values=["true"]),
        ],
    )
    return found.ids.apply(partial(_newest, tag, region))


def _newest(tag: str, region: str, ids: Sequence[str]) -> str:
    if not ids:
        raise pulumi.RunError(
            f"{region} has no tested machine image with the tag {tag!r}: run `pulumi up -s image` first, "
            "or name another tag as isochrone:image"
        )
    return ids[0]
