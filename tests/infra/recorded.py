"""Runs components on mocks and keeps what they register: types, names, inputs, protection, dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from pulumi.runtime import rpc, set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.answers import answer

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Registered:
    """A resource that was registered."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool
    ignores: Sequence[str]
    depends_on: Sequence[str]
    timeouts: Mapping[str, str]
    deletes_first: bool | None


class _Answers(Mocks):
    """Answers with what was asked for, an id made of the name, and ARNs and zones of their form."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        region = args.inputs.get("region", "")
        made: dict[str, Any] = {"arn": f"arn:aws:sns:{region}:{ACCOUNT}:{args.name}"}
        if args.typ == "aws:route53/zone:Zone":
            made |= {"zoneId": f"Z{args.name.upper()}", "nameServers": ["ns-1.example", "ns-2.example"]}
        return f"{args.name}.id", {**made, **args.inputs}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return answer(args.token, args.args), []


class _Recorder(MockMonitor):
    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.registered: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        self.registered.append(
            Registered(
                request.type,
                request.name,
                rpc.deserialize_properties(request.object),
                request.protect,
                list(request.ignoreChanges),
                [urn.split("::")[-1] for urn in request.dependencies],
                {field.name: value for field, value in request.customTimeouts.ListFields()},
                request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
            )
        )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def registered(program: Callable[[], object]) -> list[Registered]:
    """What a program registers, in no particular order, without the stack itself."""
    recorder = _Recorder(_Answers())
    # In a context of its own: the SDK keeps all of its state in context variables.
    copy_context().run(_run, program, recorder)
    return [resource for resource in recorder.registered if resource.type != "pulumi:pulumi:Stack"]


def _run(program: Callable[[], object], recorder: _Recorder) -> None:
    loop, answering = asyncio.new_event_loop(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(answering,)) as executor:
            loop.set_default_executor(executor)
            SETTINGS.outputs = set()  # Otherwise those of an earlier run are awaited too, on its closed loop.
            set_mocks(recorder.mocks, "isochrone", "test", monitor=recorder)
            set_root_resource(None)  # type: ignore[arg-type]
            loop.run_until_complete(run_in_stack(lambda: _discard(program())))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        answering.close()


def _discard(_: object) -> None:
    """A program must not return what Pulumi would wait for."""


def of_type(resources: Sequence[Registered], type_: str) -> dict[str, Registered]:
    """Those of a type (`HealthCheck`, `Record`), by logical name; no two have the same."""
    found = [resource for resource in resources if resource.type.split(":")[-1] == type_]
    by_name = {resource.name: resource for resource in found}
    assert len(by_name) == len(found), "two resources have the same type and name"
    return by_name
