"""Scripts on machines, run through Systems Manager's Run Command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from botocore.exceptions import ClientError

from fleet.errors import FleetError
from fleet.machines import Client, Machine
from infra.aws_errors import AWS_ERRORS

DOCUMENT: Final = "AWS-RunShellScript"
DELIVERY_S: Final = 60
"""How long a machine may take to fetch a script; Systems Manager takes no less than 30 s."""

POLL_S: Final = 2.0
SPARE_S: Final = 30.0
"""What an answer may take beyond the script's own time, to come back."""

_RUNNING: Final = ("Pending", "InProgress", "Delayed", "Cancelling")
_NOT_YET: Final = "InvocationDoesNotExist"

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Sent:
    """A script that was sent to a machine, by the command's id; `bound_s` is how long it may run."""

    machine: Machine
    command_id: str
    bound_s: float


@dataclass(frozen=True)
class Answer:
    """How far a script is, and what it wrote so far as Systems Manager keeps it (24,000 characters)."""

    state: State
    output: str = ""
    error: str = ""


class Transport(Protocol):
    """Runs scripts on machines."""

    def send(self, machine: Machine, script: str, bound_s: float, comment: str) -> Sent:
        """Have a machine run a shell script, for at most so long; raises `FleetError`."""

    def answer(self, sent: Sent) -> Answer:
        """How far it is; raises `FleetError`."""

    def cancel(self, sent: Sent) -> None:
        """Have it ended; raises `FleetError`."""


@dataclass(frozen=True)
class Ssm:
    """The transport by Systems Manager; `client` makes boto3's clients."""

    client: Client

    def send(self, machine: Machine, script: str, bound_s: float, comment: str) -> Sent:
        """See `Transport`."""
        try:
            command = self.client("ssm", machine.region).send_command(
                InstanceIds=[machine.instance_id],
                DocumentName=DOCUMENT,
                Comment=comment[:100],
                TimeoutSeconds=DELIVERY_S,
                Parameters={"commands": [script], "executionTimeout": [str(int(bound_s))]},
            )["Command"]
        except AWS_ERRORS as error:
            raise _told(machine, "cannot be told what to do", error) from error
        return Sent(machine, command["CommandId"], bound_s + DELIVERY_S)

    def answer(self, sent: Sent) -> Answer:
        """See `Transport`."""
        try:
            found = self.client("ssm", sent.machine.region).get_command_invocation(
                CommandId=sent.command_id, InstanceId=sent.machine.instance_id
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == _NOT_YET:
                return Answer("running")
            raise _told(sent.machine, "does not say how far it is", error) from error
        except AWS_ERRORS as error:
            raise _told(sent.machine, "does not say how far it is", error) from error
        status = found["Status"]
        state: State = "running" if status in _RUNNING else "done" if status == "Success" else "failed"
        error_text = found.get("StandardErrorContent", "")
        if state == "failed" and not error_text.strip():
            error_text = found.get("StatusDetails") or status
        return Answer(state, found.get("StandardOutputContent", ""), error_text)

    def cancel(self, sent: Sent) -> None:
        """See `Transport`."""
        try:
            self.client("ssm", sent.machine.region).cancel_command(
                CommandId=sent.command_id, InstanceIds=[sent.machine.instance_id]
            )
        except AWS_ERRORS as error:
            raise _told(sent.machine, "cannot be stopped", error) from error


def _told(machine: Machine, what: str, error: Exception) -> FleetError:
    advice = ""
    if isinstance(error, ClientError) and error.response["Error"]["Code"] == "InvalidInstanceId":
        advice = "; it runs no agent of Systems Manager (yet): see its console"
    return FleetError(f"{machine.instance_id} ({machine.role} in {machine.region}) {what}: {error}{advice}")


def failed(sent: Sent, answer: Answer) -> FleetError:
    """What to say of a script that failed."""
    machine = sent.machine
    why = answer.error.strip() or answer.output.strip() or "it said nothing"
    return FleetError(
        f"{machine.instance_id} ({machine.role} in {machine.region}) failed: {why.splitlines()[-1]}"
    )


def run(
    transport: Transport,
    machines: Iterable[Machine],
    script: str,
    bound_s: float,
    comment: str,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Answer]:
    """Run the same script on machines at the same time, and wait for all of them.

    Raises:
        FleetError: when it fails on one of them, or takes too long.
    """
    sent = send(transport, [(machine, script, bound_s) for machine in machines], comment)
    return wait(sent, transport, sleep)


def send(transport: Transport, scripts: Iterable[tuple[Machine, str, float]], comment: str) -> list[Sent]:
    """Send scripts to machines, all or none: each with how long it may run (s).

    Raises:
        FleetError: when one cannot be sent; the others are cancelled.
    """
    sent: list[Sent] = []
    try:
        for machine, script, bound_s in scripts:
            sent.append(transport.send(machine, script, bound_s, comment))
    except BaseException:
        for each in sent:
            _cancelled(transport, each)
        raise
    return sent


def wait(
    sent: Sequence[Sent],
    transport: Transport,
    sleep: Callable[[float], None] = time.sleep,
    between: Callable[[], None] = lambda: None,
) -> list[Answer]:
    """Wait for scripts that were sent; the others are cancelled when one fails or takes too long.

    Args:
        sent: what was sent.
        transport: how.
        sleep: how to wait between two looks.
        between: is done at every look.

    Raises:
        FleetError: when one fails or takes too long.
    """
    until_s = time.monotonic() + max((each.bound_s for each in sent), default=0.0) + SPARE_S
    answers: dict[Sent, Answer] = {}
    try:
        while left := [each for each in sent if each not in answers]:
            for each in left:
                answer = transport.answer(each)
                if answer.state == "failed":
                    raise failed(each, answer)
                if answer.state == "done":
                    answers[each] = answer
            between()
            if len(answers) < len(sent):
                if time.monotonic() > until_s:
                    late = ", ".join(each.machine.instance_id for each in sent if each not in answers)
                    raise FleetError(f"{late} did not end in time: see Run Command in the console")
                sleep(POLL_S)
    except BaseException:
        for each in sent:
            if each not in answers:
                _cancelled(transport, each)
        raise
    return [answers[each] for each in sent]


def _cancelled(transport: Transport, sent: Sent) -> None:
    """Cancel what can be cancelled: the first failure is the one that is told."""
    try:
        transport.cancel(sent)
    except FleetError:
        return
