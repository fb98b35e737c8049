"""An account that answers look-ups as it is told to, for tests of what the program asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import pulumi_aws as aws
from pulumi.runtime import set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.architecture import Architecture
from infra.offline import Warnings
from infra.site import Site

ANSWERING = 4
"""The look-ups that are answered at the same time."""

SILENT: tuple[dict[str, Any], list[tuple[str, str]]] = ({}, [("", "AccessDenied")])

Answer = dict[str, Any] | tuple[dict[str, Any], list[tuple[str, str]]]


NO_CLASS: tuple[dict[str, Any], list[tuple[str, str]]] = (
    {},
    [("", "no RDS Orderable DB Instance Options found matching criteria; try different search")],
)


NO_VERSION: tuple[dict[str, Any], list[tuple[str, str]]] = (
    {},
    [("", "no RDS engine versions found: {EngineVersion:10.11}")],
)


def offering(*_: object, without: tuple[str, ...] = ()) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Answers as an account does in which all is offered and allowed, except the types of `without`."""

    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        match token.rpartition(":")[2]:
            case "getInstanceTypeOfferings":
                asked = args["filters"][0]["values"]
                return {"instanceTypes": [kind for kind in asked if kind not in without]}
            case "getOrderableDbInstance":
                return (
                    NO_CLASS if args["instanceClass"] in without else {"instanceClass": args["instanceClass"]}
                )
            case "getEngineVersion":
                return NO_VERSION if args.get("version") in without else {"versionActual": "11.4.5"}
            case "getServiceQuota":
                return {"value": 1000.0}
            case "getAvailabilityZones":
                return {"names": [args["region"] + letter for letter in "abc"]}
        return nothing_used(token)

    return answer


def nothing_used(token: str) -> Answer:
    """What an account answers that has nothing yet."""
    return {
        "getVpcs": {"ids": []},
        "getEips": {"allocationIds": []},
        "getInstances": {"ids": [], "instanceIdentifiers": []},
    }[token.rpartition(":")[2]]


def allowing(value: float) -> Callable[[str, Mapping[str, Any]], Answer]:
    """Answers as an account does that has nothing, and may have so many of everything."""
    return lambda token, _: {"value": value} if token.endswith("getServiceQuota") else nothing_used(token)


@dataclass
class Account(Mocks):
    """An account that answers look-ups; what is asked, declared and warned of is kept."""

    answer: Callable[[str, Mapping[str, Any]], Answer]
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    told: Warnings = field(default_factory=Warnings)

    def call(self, args: MockCallArgs) -> Any:
        self.asked.append((args.token.rpartition(":")[2], args.args))
        return self.answer(args.token, args.args)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.declared.append(args.name)
        return args.name, {}

    @property
    def warnings(self) -> list[str]:
        return self.told.messages

    def preview(self, a: Architecture, *checks: Callable[[Site], None]) -> None:
        """Runs the checks and then declares a topic, as a program would."""

        def program() -> None:
            for check in checks:
                check(Site(a))
            aws.sns.Topic("after")

        failed: list[BaseException] = []

        def run() -> None:
            try:
                with event_loop() as loop:
                    set_mocks(self, "isochrone", "test", preview=True, logger=self.told.logger)
                    set_root_resource(None)  # type: ignore[arg-type]
                    # Otherwise those of a preview that failed are waited for in a loop that is closed.
                    SETTINGS.outputs = set()
                    loop.run_until_complete(run_in_stack(program))
            except BaseException as error:
                failed.append(error)

        # The SDK keeps its state by thread.
        thread = Thread(target=run, daemon=True)
        thread.start()
        thread.join()
        for error in failed:
            raise error


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for this thread, and one for each of those that answer, where the mocks need it."""
    loop, *answering = loops = [asyncio.new_event_loop() for _ in range(1 + ANSWERING)]
    with ThreadPoolExecutor(
        ANSWERING, initializer=lambda: asyncio.set_event_loop(answering.pop())
    ) as executor:
        asyncio.set_event_loop(loop)
        loop.set_default_executor(executor)
        try:
            yield loop
        finally:
            asyncio.set_event_loop(None)
            executor.shutdown()
            for each in loops:
                each.close()
