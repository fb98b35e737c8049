"""What a machine tells its auto scaling group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from ami.errors import AmiError
from ami.node import aws
from ami.node.document import Group

Status = Literal["Healthy", "Unhealthy"]

_NOBODY_WAITS: Final = "no active lifecycle action"
"""What AWS says of a machine that is in service already: "No active Lifecycle Action found with ..."."""


class GroupError(AmiError):
    """The group could not be told."""


@dataclass(frozen=True)
class GroupMember:
    """A machine as a member of its group.

    Args:
        group: the group.
        region: where it is.
        instance_id: the machine's id.
    """

    group: Group
    region: str
    instance_id: str

    def report(self, status: Status) -> None:
        """Say whether the machine can serve; the group replaces one that cannot.

        Raises:
            GroupError: when it cannot be told.
            AwsError: when there is no such region.
        """
        with self._telling(f"that this machine is {status}") as client:
            client.set_instance_health(
                InstanceId=self.instance_id, HealthStatus=status, ShouldRespectGracePeriod=False
            )

    def has_launched(self) -> None:
        """Say that this machine can serve, so that its group counts on it.

        There is nobody to tell where the group has no such hook, and where it does not wait: the machine was
        there before the hook, or boots again.

        Raises:
            GroupError: when it cannot be told.
            AwsError: when there is no such region.
        """
        if self.group.launch_hook is None:
            return
        with self._telling(f"that {self.instance_id} can serve") as client:
            try:
                self._complete(client, self.group.launch_hook)
            except aws.REFUSALS as error:
                if aws.code(error) != "ValidationError" or _NOBODY_WAITS not in str(error).lower():
                    raise

    def has_drained(self) -> None:
        """Say that nothing is left to wait for.

        Raises:
            GroupError: when it cannot be told.
            AwsError: when there is no such region.
        """
        with self._telling(f"that {self.instance_id} has drained") as client:
            self._complete(client, self.group.drain_hook)

    def _complete(self, client: Any, hook: str) -> None:
        client.complete_lifecycle_action(
            LifecycleHookName=hook,
            AutoScalingGroupName=self.group.name,
            LifecycleActionResult="CONTINUE",
            InstanceId=self.instance_id,
        )

    @cached_property
    def _client(self) -> Any:
        return aws.client("autoscaling", self.region)

    @contextmanager
    def _telling(self, what: str) -> Iterator[Any]:
        """The client; a refusal as the error that says `what` could not be told."""
        try:
            yield self._client
        except aws.REFUSALS as error:
            raise GroupError(f"{self.group.name} could not be told {what}: {aws.reason(error)}") from error
