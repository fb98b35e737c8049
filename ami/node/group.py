"""What a machine tells its auto scaling group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from ami.errors import AmiError
from ami.node.document import Group

Status = Literal["Healthy", "Unhealthy"]


class GroupError(AmiError):
    """The group could not be told."""


class GroupMember:
    """A machine as a member of its group.

    AWS's library is loaded with the first word to the group: most of a machine's life nothing is said.

    Args:
        group: the group.
        region: where it is.
        instance_id: the machine's id.
    """

    def __init__(self, group: Group, region: str, instance_id: str) -> None:
        self._group = group
        self._region = region
        self._instance_id = instance_id

    def report(self, status: Status) -> None:
        """Say whether the machine can serve; the group replaces one that cannot.

        Raises:
            GroupError: when it cannot be told.
        """
        with self._telling(f"that this machine is {status}") as client:
            client.set_instance_health(
                InstanceId=self._instance_id, HealthStatus=status, ShouldRespectGracePeriod=False
            )

    def has_drained(self) -> None:
        """Say that nothing is left to wait for.

        Raises:
            GroupError: when it cannot be told.
        """
        with self._telling(f"that {self._instance_id} has drained") as client:
            client.complete_lifecycle_action(
                LifecycleHookName=self._group.drain_hook,
                AutoScalingGroupName=self._group.name,
                LifecycleActionResult="CONTINUE",
                InstanceId=self._instance_id,
            )

    @contextmanager
    def _telling(self, what: str) -> Iterator[Any]:
        """A client for one word; a refusal of it as the error that says `what` could not be told."""
        from ami.node import aws  # noqa: PLC0415 - see the class

        try:
            yield aws.client("autoscaling", self._region)
        except aws.REFUSALS as error:
            raise GroupError(f"{self._group.name} could not be told {what}: {aws.reason(error)}") from error
