"""Runs a Pulumi program without an engine, against an AWS account on moto, and tells what it declared.

Whatever the program declares is made by calls to AWS; what AWS would refuse and moto takes is refused by
checks of the harness's own (`refusals`), and what no handler passes on to AWS is an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime import set_all_config, set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.errors import InfraError
from tests.infra.cloud import handlers
from tests.infra.cloud.account import GLOBAL_REGION, Account
from tests.infra.cloud.configuration import PROJECT, handed_over
from tests.infra.cloud.errors import HarnessError, RefusedError, UnmappedError
from tests.infra.cloud.inputs import Inputs, plain
from tests.infra.cloud.registry import HANDLERS, LOOKUPS, Place, is_global
from tests.infra.cloud.secrets_seen import SecretsSeen, opened

TIMEOUT_S: Final = 50.0
"""A program that takes longer waits for something that never comes."""

_NAME_KEYS: Final = ("name", "identifier", "scheduledActionName", "dashboardName", "alarmName")
_SCOPE_KEYS: Final = ("autoscalingGroupName", "role", "vpcId", "zoneId")
"""Within what a name has to be unique."""

handlers.load()


@dataclass(frozen=True)
class Resource:
    """A resource that was made.

    Args:
        type: its type token.
        name: its logical name.
        region: the region that it is in; empty when it is global, or a component.
        parent: the logical name of its component; empty at the top.
        protect: whether Pulumi refuses to delete it.
        ignored: the inputs whose changes are ignored later.
        id: its id, as the provider gives it.
        inputs: what was asked for, by Pulumi's keys, secrets redacted.
        outputs: what the provider adds.
    """

    type: str
    name: str
    region: str
    parent: str
    protect: bool
    ignored: tuple[str, ...]
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """What a program declared, and the account in which it is.

    Args:
        stack: the stack's name.
        account: the account, to read back what is in it.
        resources: every resource except components.
        components: every component.
        exports: the stack's outputs, secrets redacted.
        secrets: every value that was handed over or given out as a secret.
        warnings: what the program warned of.
    """

    stack: str
    account: Account
    resources: tuple[Resource, ...]
    components: tuple[Resource, ...]
    exports: Mapping[str, Any]
    secrets: frozenset[str]
    warnings: tuple[str, ...]

    def client(self, service: str, region: str = GLOBAL_REGION) -> Any:
        """The boto3 client of a service in a region."""
        return self.account.client(service, region)

    def of_type(self, type_: str) -> list[Resource]:
        """The resources whose type token ends so: `ec2/vpc:Vpc`."""
        return [resource for resource in self.resources if resource.type.endswith(type_)]

    def leaks(self) -> list[str]:
        """Where a secret stands in the clear: in a name, an input or output not marked as secret, an export."""
        found = []
        for resource in self.resources:
            where = f"{resource.type} {resource.name}"
            texts = (resource.name, resource.inputs, resource.outputs)
            found += [where for secret in self.secrets if any(secret in text for text in opened(texts))]
        found += [
            f"export {key}"
            for key, value in self.exports.items()
            for secret in self.secrets
            if any(secret in text for text in opened(value))
        ]
        return found


def declare(stack: str, text: str, account: Account, program: Callable[[], None]) -> Declared:
    """Runs a program for a stack in an account.

    Args:
        stack: the stack's name.
        text: the text of its `Pulumi.<stack>.yaml`.
        account: where it declares its resources.
        program: what `pulumi up` would run.

    Raises:
        InfraError: when the program refuses what it is given.
        HarnessError: when AWS or the harness refuses what it declares, or it fails otherwise, or does not end.
    """
    cloud = Cloud(account)
    monitor = _Monitor(cloud)
    log = _Warnings()
    failed: list[BaseException] = []

    # A thread of its own: the SDK keeps all of its state in context variables and ties it to the event loop.
    def run() -> None:
        try:
            with _event_loop() as loop:
                set_mocks(cloud, PROJECT, stack, preview=False, logger=log.logger, monitor=monitor)
                set_root_resource(None)  # type: ignore[arg-type]
                set_all_config(*handed_over(text))
                loop.run_until_complete(run_in_stack(program))
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    thread = Thread(target=run, name=f"moto-{stack}", daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if thread.is_alive():
        raise HarnessError(f"the program of {stack} has not ended after {TIMEOUT_S:g} s: what does it wait for?")
    # What AWS refused comes first: other failures follow from it.
    for error in (*cloud.refused, *failed):
        if isinstance(error, (InfraError, HarnessError)):
            raise error
        raise HarnessError(f"the program of {stack} failed: {error}") from error
    return Declared(
        stack,
        account,
        tuple(r for r in monitor.made if not r.type.startswith(f"{PROJECT}:")),
        tuple(r for r in monitor.made if r.type.startswith(f"{PROJECT}:")),
        monitor.exports,
        frozenset(cloud.secrets.values),
        tuple(log.messages),
    )


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for this thread, and one for the one thread that makes what is registered."""
    loop, making = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        with ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(making,)) as executor:
            loop.set_default_executor(executor)
            try:
                yield loop
            finally:
                left = asyncio.all_tasks(loop)
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        making.close()


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
        # A program may go on without an answer of AWS.
        with self._lock, self._telling(args.token, UnmappedError):
            if args.token not in LOOKUPS:
                raise UnmappedError("the harness has no answer to this look-up: add one")
            inputs = Inputs(args.token, args.args)
            place = Place(self.account, _region(args.token, args.provider, inputs))
            answer = LOOKUPS[args.token](place, inputs)
            _nothing_left(inputs)
            if "randomPassword" in answer:
                self.secrets.add(answer["randomPassword"])
        return {"id": args.token, **plain(args.args), **answer}, []

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


class _Monitor(MockMonitor):
    """Records what is registered, with what the mocks are not told: parents, protection, secrets."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.made: list[Resource] = []
        self.exports: Mapping[str, Any] = {}
        self._cloud = cloud
        self._keys: set[tuple[str, str]] = set()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        if request.type == "pulumi:pulumi:Stack":
            return super().RegisterResource(request)
        key = (request.type, request.name)
        if key in self._keys:
            self._cloud.refused.append(HarnessError(f"{request.type} {request.name} is declared twice"))
            raise self._cloud.refused[-1]
        self._keys.add(key)
        inputs = self._cloud.secrets.redacted(request.object)
        response = super().RegisterResource(request)
        outputs = self._cloud.secrets.redacted(response.object)
        self.made.append(
            Resource(
                request.type,
                request.name,
                inputs.get("region", ""),
                "" if _is_stack(request.parent) else request.parent.split("::")[-1],
                bool(request.protect),
                tuple(request.ignoreChanges),
                response.id,
                inputs,
                {key: value for key, value in outputs.items() if key not in inputs},
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if _is_stack(request.urn):
            self.exports = self._cloud.secrets.redacted(request.outputs)
        return super().RegisterResourceOutputs(request)


def _is_stack(urn: str) -> bool:
    return not urn or urn.split("::")[2] == "pulumi:pulumi:Stack"


@dataclass
class _Warnings:
    """Collects what the program warns of; the engine would show it."""

    messages: list[str] = field(default_factory=list)

    @property
    def logger(self) -> logging.Logger:
        logger = logging.Logger("isochrone.harness", logging.WARNING)
        handler = logging.Handler()
        handler.emit = lambda record: self.messages.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        return logger
