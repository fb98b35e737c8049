"""Runs the Pulumi program without an engine, an account or a network, and tells what it declares.

Resources and look-ups are answered with values made from their own names, so that two runs of the same
program and stack file give the same answer on every machine. Secrets never leave this module.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from threading import Thread
from typing import Any, Final

import pulumi
from pulumi.runtime import rpc, set_all_config, set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.answers import answer, outputs
from infra.declaration import PROJECT, SECRET, Declaration, Declared
from infra.errors import InfraError
from infra.stackfile import holds_secret

UNKNOWN: Final = "[known after it is made]"
"""What stands for a value that only AWS can tell."""

TIMEOUT_S: Final = 180.0
"""A program that takes longer waits for something that never comes."""


class OfflineError(InfraError):
    """The program could not be run to its end offline."""


Lookup = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Answers a look-up: its token and its arguments by Pulumi's keys, to its result by Pulumi's keys."""


def declare(
    stack: str, config: Mapping[str, Any], program: Callable[[], None], lookup: Lookup = answer
) -> Declaration:
    """What a program declares for a stack.

    Args:
        stack: the stack's name.
        config: the stack's configuration, by full key, as its file has it.
        program: what `pulumi up` would run.
        lookup: what answers the program's look-ups in AWS's place.

    Raises:
        InfraError: when the program refuses the stack.
        OfflineError: when it fails otherwise, or does not end.
    """
    mocks = _Answers(lookup)
    monitor = _Monitor(mocks)
    log = Warnings()
    failed: list[BaseException] = []

    # A thread of its own: the SDK keeps all of its state in context variables and ties it to the event loop.
    def run() -> None:
        try:
            with _event_loop() as loop:
                set_mocks(mocks, PROJECT, stack, preview=True, logger=log.logger, monitor=monitor)
                set_root_resource(None)  # type: ignore[arg-type]
                SETTINGS.outputs = set()  # Otherwise those of all runs are in one, also of a failed one.
                set_all_config(*engine_config(config))
                loop.run_until_complete(run_in_stack(program))
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, name=f"offline-{stack}", daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if thread.is_alive():
        raise OfflineError(
            f"the program of {stack} has not ended after {TIMEOUT_S:g} s; see what it waits for"
        )
    for error in failed:
        if isinstance(error, InfraError):
            raise error
        if isinstance(error, pulumi.RunError):
            raise OfflineError(str(error)) from error
        raise OfflineError(f"the program of {stack} failed: {error}") from error
    found = sorted(monitor.declared, key=lambda resource: (resource.type, resource.name))
    if twice := sorted({a.name for a, b in pairwise(found) if _key(a) == _key(b)}):
        raise OfflineError(f"the program of {stack} declares twice: {', '.join(twice)}")
    return Declaration(tuple(found), monitor.exports, tuple(log.messages))


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for this thread, and one for the one thread that answers its registrations."""
    loop, answering = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        # What fails is raised once; nobody asks the values that depended on it.
        loop.set_exception_handler(lambda *_: None)
        with ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(answering,)) as executor:
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
        answering.close()


def engine_config(config: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The configuration as the engine hands it to a program, and the keys whose values are secret.

    Scalars are strings, the rest is JSON text. A secret's value is redacted: it cannot be read without the
    stack's key.
    """
    handed: dict[str, str] = {}
    secret: list[str] = []
    for key, value in config.items():
        opened = _redacted_config(value)
        if holds_secret(value):
            secret.append(key)
        handed[key] = opened if isinstance(opened, str) else json.dumps(opened, default=_instant)
    return handed, secret


def _redacted_config(value: Any) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return SECRET
        return {key: _redacted_config(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted_config(item) for item in value]
    return _instant(value) if isinstance(value, date) else value


def _instant(value: date) -> str:
    return value.isoformat()


def _key(resource: Declared) -> tuple[str, str]:
    return resource.type, resource.name


class _Answers(Mocks):
    """Answers registrations with what is asked for plus outputs made of its name."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ.startswith(f"{PROJECT}:"):
            return None, {}
        return args.resource_id or f"{args.name}.id", {
            **outputs(args.typ, args.name, args.inputs),
            **args.inputs,
        }

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return self._lookup(args.token, args.args), []


class _Monitor(MockMonitor):
    """Records what is registered, with what the mocks are not told: parents and protection."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.declared: list[Declared] = []
        self.exports: Mapping[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            inputs = _clean(rpc.deserialize_properties(request.object, keep_unknowns=True))
            parent = "" if is_stack(request.parent) else request.parent.split("::")[-1]
            region = inputs.get("region", "")
            self.declared.append(
                Declared(request.type, request.name, parent, region, bool(request.protect), inputs)
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if is_stack(request.urn):
            self.exports = _clean(rpc.deserialize_properties(request.outputs, keep_unknowns=True))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def is_stack(urn: str) -> bool:
    """Whether a resource is the stack itself, by its URN; what has no parent is at its top."""
    return not urn or urn.split("::")[2] == "pulumi:pulumi:Stack"


def _clean(value: Any) -> Any:
    """The value with secrets redacted, unknown values named, and whole numbers as integers."""
    if rpc.is_rpc_secret(value):
        return SECRET
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in sorted(value.items()) if not _is_internal(key)}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _is_internal(key: object) -> bool:
    return str(key).startswith("__")


@dataclass
class Warnings:
    """Collects in `messages` what a program warns of; the engine would show it."""

    messages: list[str] = field(default_factory=list)

    @property
    def logger(self) -> logging.Logger:
        """A logger of nobody else, that keeps warnings."""
        logger = logging.Logger("isochrone.offline", logging.WARNING)
        handler = logging.Handler()
        handler.emit = lambda record: self.messages.append(record.getMessage())  # type: ignore[method-assign]
        logger.addHandler(handler)
        return logger
