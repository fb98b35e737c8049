"""What stands for the provider: every resource is made by calls to AWS, through its handler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from tests.infra.cloud import handlers
from tests.infra.cloud.account import GLOBAL_REGION, Account
from tests.infra.cloud.configuration import PROJECT
from tests.infra.cloud.errors import HarnessError, RefusedError, UnmappedError
from tests.infra.cloud.inputs import Inputs, plain
from tests.infra.cloud.registry import HANDLERS, LOOKUPS, Place, is_global
from tests.infra.cloud.secrets_seen import SecretsSeen

_NAME_KEYS: Final = ("name", "identifier", "scheduledActionName", "dashboardName", "alarmName")
_SCOPE_KEYS: Final = ("autoscalingGroupName", "role", "vpcId", "zoneId")
"""Within what a name has to be unique."""

handlers.load()


class Cloud(Mocks):
    """Makes each resource, and answers each look-up, by calls to AWS; one at a time."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.secrets = SecretsSeen()
        self.refused: list[HarnessError] = []
        self._lock = Lock()
        self._names: set[tuple[object, ...]] = set()

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if not args.custom and args.typ.startswith(f"{PROJECT}:"):
            return None, {}
        with self._lock, self._telling(f"{args.typ} {args.name}", HarnessError):
            id_, outputs = self._make(args)
        return id_, {**args.inputs, **outputs}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        try:
            with self._lock, self._telling(args.token, UnmappedError):
                answer = self._answer(args)
        except RefusedError as refused:
            # As the engine hands over an error of AWS: a program may go on without the answer.
            return {}, [("", str(refused))]
        return {"id": args.token, **plain(args.args), **answer}, []

    def _answer(self, args: MockCallArgs) -> Mapping[str, Any]:
        if args.token not in LOOKUPS:
            raise UnmappedError("the harness has no answer to this look-up: add one")
        inputs = Inputs(args.token, args.args)
        place = Place(self.account, _region(args.token, args.provider, inputs))
        answer = LOOKUPS[args.token](place, inputs)
        _nothing_left(inputs)
        if "randomPassword" in answer:
            self.secrets.add(answer["randomPassword"])
        return answer

    def _make(self, args: MockResourceArgs) -> tuple[str, Mapping[str, Any]]:
        if args.typ not in HANDLERS:
            raise UnmappedError("the harness does not make resources of this type: add a handler")
        if args.resource_id:
            raise UnmappedError("the harness does not read or import existing resources")
        inputs = Inputs(f"{args.typ} {args.name}", args.inputs)
        place = Place(self.account, _region(args.typ, args.provider or "", inputs), args.name)
        self._unique(args.typ, place.region, plain(args.inputs))
        made = HANDLERS[args.typ](place, inputs)
        _nothing_left(inputs)
        return made.id, made.outputs

    def _unique(self, type_: str, region: str, inputs: Mapping[str, Any]) -> None:
        name = next((inputs[key] for key in _NAME_KEYS if key in inputs), None)
        if name is None or type_ == "aws:route53/record:Record":
            return
        key = (type_, region, name, *(str(inputs.get(scope)) for scope in _SCOPE_KEYS))
        if key in self._names:
            raise RefusedError(f"the name {name} is taken")
        self._names.add(key)

    @contextmanager
    def _telling(self, what: str, fatal: type[HarnessError]) -> Iterator[None]:
        """Says what is refused, and keeps it when the program cannot be right after it."""
        try:
            yield
        except (HarnessError, ClientError, BotoCoreError) as error:
            kind = type(error) if isinstance(error, HarnessError) else RefusedError
            told = kind(f"{what}: {error}")
            if isinstance(told, fatal):
                self.refused.append(told)
            raise told from error


def _region(type_: str, provider: str, inputs: Inputs) -> str:
    if provider:
        raise RefusedError("has a provider of its own, which the stack's configuration does not reach")
    if is_global(type_):
        return GLOBAL_REGION
    if "region" not in inputs:
        raise RefusedError("names no region")
    return str(inputs.take("region"))


def _nothing_left(inputs: Inputs) -> None:
    if left := inputs.left:
        raise UnmappedError(f"the harness passes on nothing of {', '.join(left)}: extend the handler")
