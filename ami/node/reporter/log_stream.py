"""The machine's stream in its role's log group on CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from ami.node import aws
from ami.node.reporter.log_events import Event

NEVER_TAKEN: Final = frozenset(("InvalidParameterException", "SerializationException", "ValidationException"))
"""What CloudWatch says to a call that would be wrong the next time too."""

_MISSING: Final = "ResourceNotFoundException"
_THERE: Final = "ResourceAlreadyExistsException"


class LogStream:
    """A stream, made with the first call that finds it missing.

    Args:
        group: the log group, which the stack has made.
        name: tells the stream's name, which is the machine's id; asked with the first call.
        client: makes boto3's client of CloudWatch Logs, at the first call.
    """

    def __init__(self, group: str, name: Callable[[], str], client: Callable[[], Any]) -> None:
        self._group = group
        self._ask_name = name
        self._make_client = client
        self._name: str | None = None
        self._client: Any = None

    def put(self, events: Sequence[Event]) -> int:
        """Send events that one call may have; how many of them CloudWatch refuses for their times.

        Raises:
            AmiError: when the machine does not know its id, or there is no such service.
            ClientError, BotoCoreError: when CloudWatch does not take the call.
        """
        if self._name is None:
            self._name = self._ask_name()
        if self._client is None:
            self._client = self._make_client()
        try:
            answer = self._put(events)
        except ClientError as error:
            if aws.code(error) != _MISSING:
                raise
            self._make()
            answer = self._put(events)
        return refused(answer.get("rejectedLogEventsInfo") or {}, len(events))

    def _put(self, events: Sequence[Event]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.put_log_events(
            logGroupName=self._group,
            logStreamName=self._name,
            logEvents=[{"timestamp": event.at_ms, "message": event.text} for event in events],
        )
        return found

    def _make(self) -> None:
        try:
            self._client.create_log_stream(logGroupName=self._group, logStreamName=self._name)
        except ClientError as error:
            if aws.code(error) != _THERE:
                raise


def refused(info: Mapping[str, int], sent: int) -> int:
    """How many of a batch's events an answer says were not taken: from its beginning, and up to its end."""
    old = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    return min(sent, old + sent - info.get("tooNewLogEventStartIndex", sent))


def never_taken(error: Exception) -> bool:
    """Whether a call would be refused the next time too."""
    if isinstance(error, ParamValidationError):
        return True
    return isinstance(error, ClientError) and aws.code(error) in NEVER_TAKEN
